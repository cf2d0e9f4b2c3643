import type { Tag } from '../key/events';
import type { NamedIds } from '../named-ids';

/**
 * What can happen to an account, a user or a role. The aggregate's id says which it is, and its name in lower case; the
 * events have the name as it was given. Never a secret access key, not even wrapped.
 */
export interface AccountCreated {
  type: 'AccountCreated';
  v: 1;
  accountId: string;
}

export interface UserCreated {
  type: 'UserCreated';
  v: 1;
  name: string;
  path: string;
  /** `AIDA...`, never used again. */
  uniqueId: string;
  tags: Tag[];
}

export interface UserDeleted {
  type: 'UserDeleted';
  v: 1;
}

export interface RoleCreated {
  type: 'RoleCreated';
  v: 1;
  name: string;
  path: string;
  /** `AROA...`, never used again. */
  uniqueId: string;
  description: string;
  /** Seconds. */
  maxSessionDuration: number;
  /** The text as it was given. */
  trustPolicy: string;
  /** Whom the trust policy meant; absent where it names nobody. */
  namedIds?: NamedIds;
  tags: Tag[];
}

export interface RoleDeleted {
  type: 'RoleDeleted';
  v: 1;
}

/** An inline policy was added, or its text replaced. */
export interface PolicyPut {
  type: 'PolicyPut';
  v: 1;
  policyName: string;
  policy: string;
}

export interface PolicyDeleted {
  type: 'PolicyDeleted';
  v: 1;
  policyName: string;
}

export interface TrustPolicyPut {
  type: 'TrustPolicyPut';
  v: 1;
  trustPolicy: string;
  namedIds?: NamedIds;
}

export interface PrincipalTagged {
  type: 'PrincipalTagged';
  v: 1;
  tags: Tag[];
}

export interface PrincipalUntagged {
  type: 'PrincipalUntagged';
  v: 1;
  tagKeys: string[];
}

export interface AccessKeyCreated {
  type: 'AccessKeyCreated';
  v: 1;
  accessKeyId: string;
  /** Where the wrapped secret is; stored before this event is appended. */
  materialId: string;
}

export interface AccessKeyStatusChanged {
  type: 'AccessKeyStatusChanged';
  v: 1;
  accessKeyId: string;
  status: AccessKeyStatus;
}

/** The access key opens nothing any more. Its secret is erased next. */
export interface AccessKeyDeleted {
  type: 'AccessKeyDeleted';
  v: 1;
  accessKeyId: string;
}

export type PrincipalEvent =
  | AccountCreated
  | UserCreated
  | UserDeleted
  | RoleCreated
  | RoleDeleted
  | PolicyPut
  | PolicyDeleted
  | TrustPolicyPut
  | PrincipalTagged
  | PrincipalUntagged
  | AccessKeyCreated
  | AccessKeyStatusChanged
  | AccessKeyDeleted;

export type AccessKeyStatus = 'Active' | 'Inactive';
