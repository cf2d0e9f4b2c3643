import type { AggregateRef } from '../subjects';

/**
 * Aggregate ids of principals: `account`, `user:<name>` and `role:<name>`. IAM's names are unique without case, so they
 * are in lower case here; what cannot stand in a subject token (of the characters that IAM allows, only `.`) is `%XX`.
 */
export const ACCOUNT_ID = 'account';

export type PrincipalId = { kind: 'Account' } | { kind: 'User' | 'Role' /** In lower case. */; name: string };

const PREFIXES = { User: 'user:', Role: 'role:' } as const;
const SAFE = /[a-z0-9_+=,@-]/;

export const userId = (name: string): string => PREFIXES.User + encodeName(name);
export const roleId = (name: string): string => PREFIXES.Role + encodeName(name);

/** Throws where the text is no id of a principal. */
export function parsePrincipalId(id: string): PrincipalId {
  if (id === ACCOUNT_ID) return { kind: 'Account' };
  for (const kind of ['User', 'Role'] as const) {
    if (id.startsWith(PREFIXES[kind])) return { kind, name: decodeURIComponent(id.slice(PREFIXES[kind].length)) };
  }
  throw new Error(`not the id of a principal: ${id}`);
}

const encodeName = (name: string): string =>
  Array.from(Buffer.from(name.toLowerCase(), 'utf8'), (byte) => {
    const character = String.fromCharCode(byte);
    return SAFE.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');

/** Identities belong to no region. */
const principalRef = (account: string, id: string): AggregateRef<'principal'> => ({
  region: 'global',
  account,
  aggregate: 'principal',
  id,
});

export const accountRef = (account: string): AggregateRef<'principal'> => principalRef(account, ACCOUNT_ID);
export const userRef = (account: string, name: string): AggregateRef<'principal'> =>
  principalRef(account, userId(name));
export const roleRef = (account: string, name: string): AggregateRef<'principal'> =>
  principalRef(account, roleId(name));
