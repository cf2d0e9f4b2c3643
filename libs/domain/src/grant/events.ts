import type { GrantOperation } from './grant-operations';

/** What can happen to a grant. A grant of a deleted key is gone with it: no event says so. */
export interface GrantCreated {
  type: 'GrantCreated';
  v: 1;
  /** In the account and region of the grant. */
  keyId: string;
  /** The ARN, as the request has it. */
  granteePrincipal: string;
  /** Of the user or role that the ARN meant then, where it was known: the grant does not fit a new one of that name. */
  granteeUniqueId?: string;
  retiringPrincipal?: string;
  retiringUniqueId?: string;
  /** In the order of the API's list, each once. */
  operations: GrantOperation[];
  constraints?: GrantConstraints;
  name?: string;
  /** ARN of the principal that created it; its account is the grant's issuing account. */
  issuedBy: string;
}

/** The key's side took it back. */
export interface GrantRevoked {
  type: 'GrantRevoked';
  v: 1;
}

/** Whoever it was given to, or the retiring principal, needs it no more. */
export interface GrantRetired {
  type: 'GrantRetired';
  v: 1;
}

export type GrantEvent = GrantCreated | GrantRevoked | GrantRetired;

/** At most one of them. What operations with an encryption context must have in it: exactly these pairs, or these among others. */
export interface GrantConstraints {
  encryptionContextEquals?: Readonly<Record<string, string>>;
  encryptionContextSubset?: Readonly<Record<string, string>>;
}
