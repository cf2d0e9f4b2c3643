import type { Tag } from '../key/events';
import type { NamedIds } from '../named-ids';
import type { AccessKeyStatus } from './events';

/** An access key without its secret. */
export interface AccessKey {
  accessKeyId: string;
  status: AccessKeyStatus;
  createdAt: string;
  materialId: string;
}

interface Named {
  /** As it was given; unique in its account without case. */
  name: string;
  /** Begins and ends with `/`. */
  path: string;
  uniqueId: string;
  createdAt: string;
  tags: readonly Tag[];
  /** Inline policies, name -> text, in the order of their names. */
  policies: Readonly<Record<string, string>>;
}

export interface NoPrincipal {
  kind: 'None';
}
/** The account itself; its access keys are those of the root user. */
export interface AccountPrincipal {
  kind: 'Account';
  accountId: string;
  createdAt: string;
  /** Root access keys. */
  accessKeys: readonly AccessKey[];
}
export interface UserPrincipal extends Named {
  kind: 'User';
  accessKeys: readonly AccessKey[];
}
export interface RolePrincipal extends Named {
  kind: 'Role';
  description: string;
  /** Seconds, 3600..43200. */
  maxSessionDuration: number;
  trustPolicy: string;
  /** Of the trust policy as it is. */
  namedIds?: NamedIds;
}
/** A user or role of this name is gone. A new one may come, with a unique id of its own. */
export interface DeletedPrincipal {
  kind: 'Deleted';
  was: 'User' | 'Role';
  name: string;
  uniqueId: string;
  deletedAt: string;
}

export type NamedPrincipal = UserPrincipal | RolePrincipal;
export type PrincipalWithAccessKeys = AccountPrincipal | UserPrincipal;
export type Principal = NoPrincipal | AccountPrincipal | UserPrincipal | RolePrincipal | DeletedPrincipal;

export const initialPrincipal: Principal = { kind: 'None' };

export const isNamed = (principal: Principal): principal is NamedPrincipal =>
  principal.kind === 'User' || principal.kind === 'Role';

export const hasAccessKeys = (principal: Principal): principal is PrincipalWithAccessKeys =>
  principal.kind === 'Account' || principal.kind === 'User';
