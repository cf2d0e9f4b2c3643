import type { NamedPrincipal } from '#domain/principal/state';
import type { Projection } from '#views/projection';
import type { Call } from '../operation';
import type { Constraint } from '../wire/constraints';
import type { RequestClass } from '../wire/decode';
import { Required } from '../wire/fields';
import { type About, type FoundPrincipal, roleFor, userFor } from './access';
import { ROLE_NAME, USER_NAME } from './fields';

/** Operations of users and of roles differ in the member that names the principal, and in whom it names. */
export interface PrincipalKind {
  kind: NamedPrincipal['kind'];
  nameMember: 'UserName' | 'RoleName';
  nameConstraint: Constraint;
  find(name: string, call: Call, projection: Projection, about?: About): FoundPrincipal<NamedPrincipal>;
}

export const USER: PrincipalKind = { kind: 'User', nameMember: 'UserName', nameConstraint: USER_NAME, find: userFor };
export const ROLE: PrincipalKind = { kind: 'Role', nameMember: 'RoleName', nameConstraint: ROLE_NAME, find: roleFor };

/** Has the name that its kind of principal asks for. */
export type Naming<Members> = Members & { [name in PrincipalKind['nameMember']]?: string };

/** A class for each kind of principal: the member that names it, then the others. */
export function requestClass<Members extends object>(
  { nameMember, nameConstraint }: PrincipalKind,
  members: Record<keyof Members & string, PropertyDecorator>,
): RequestClass<Naming<Members>> {
  class Request {}
  Required(nameConstraint)(Request.prototype, nameMember);
  for (const [name, member] of Object.entries<PropertyDecorator>(members)) member(Request.prototype, name);
  return Request as RequestClass<Naming<Members>>;
}

/** The principal that the request names: the decoder has required the name. Throws as `find` does. */
export const found = (
  { find, nameMember }: PrincipalKind,
  request: Naming<object>,
  call: Call,
  projection: Projection,
  about?: About,
): FoundPrincipal<NamedPrincipal> => find(request[nameMember]!, call, projection, about);
