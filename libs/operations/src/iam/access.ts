import { roleArn, userArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { Tag } from '#domain/key/events';
import { roleRef, userRef } from '#domain/principal/principal-id';
import { noSuchRole, noSuchUser } from '#domain/principal/refusals';
import type { RolePrincipal, UserPrincipal } from '#domain/principal/state';
import type { AggregateRef } from '#domain/subjects';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import { authorizeOwn } from '../authorization';
import { checked } from '../checks';
import { tagContext } from '../condition-context';
import type { Call } from '../operation';

export interface FoundPrincipal<P> {
  ref: AggregateRef<'principal'>;
  arn: string;
  state: P;
}

/** What a call is about, besides its principal. */
export interface About {
  /** Those of the request, or only their keys. */
  tags?: readonly Tag[];
  tagKeys?: readonly string[];
}

/**
 * The user that the call is about. Throws AccessDeniedException unless the caller's own policies allow it, which comes
 * first: who may not does not learn whom there is. Then NoSuchEntity.
 */
export const userFor = (
  name: string,
  call: Call,
  projection: Projection,
  about: About = {},
): FoundPrincipal<UserPrincipal> => checked(call, (now) => allowedUser(name, now, projection, about));

function allowedUser(name: string, call: Call, projection: Projection, about: About): FoundPrincipal<UserPrincipal> {
  const { account } = call.caller;
  const state = projection.user(account, name)?.state;
  const user = state?.kind === 'User' ? state : undefined;
  const arn = userArn(account, user?.path ?? '/', user?.name ?? name);
  mayActOn(arn, call, { ...about, of: user?.tags });
  if (!user) throw noSuchUser(name);
  return { ref: userRef(account, name), arn, state: user };
}

/** The same of a role. */
export const roleFor = (
  name: string,
  call: Call,
  projection: Projection,
  about: About = {},
): FoundPrincipal<RolePrincipal> => checked(call, (now) => allowedRole(name, now, projection, about));

function allowedRole(name: string, call: Call, projection: Projection, about: About): FoundPrincipal<RolePrincipal> {
  const { account } = call.caller;
  const state = projection.role(account, name)?.state;
  const role = state?.kind === 'Role' ? state : undefined;
  const arn = roleArn(account, role?.path ?? '/', role?.name ?? name);
  mayActOn(arn, call, { ...about, of: role?.tags });
  if (!role) throw noSuchRole(name);
  return { ref: roleRef(account, name), arn, state: role };
}

/** Throws AccessDeniedException unless the caller's own policies allow the operation on the ARN. `of`: the tags it has. */
export function mayActOn(
  arn: string,
  call: Call,
  { tags = [], tagKeys = [], of = [] }: About & { of?: readonly Tag[] | undefined } = {},
): void {
  const requested = tagContext(tags);
  const context: ContextLookup = (key) => {
    if (key === 'aws:tagkeys' && tagKeys.length > 0) return tagKeys;
    return requested(key) ?? resourceTag(of, key);
  };
  authorizeOwn(call, `iam:${call.operation}`, arn, { context });
}

/** Of a user or role: `aws:ResourceTag/x`, which IAM also calls `iam:ResourceTag/x`. */
export function resourceTag(tags: readonly Tag[], key: string): string | undefined {
  const [, name] = /^(?:aws|iam):resourcetag\/(.+)$/.exec(key) ?? [];
  return name === undefined ? undefined : tags.find((tag) => tag.key.toLowerCase() === name)?.value;
}

/** The user that a request without UserName means: whoever signed it. Undefined for root. */
export function ownUserName({ caller }: Call): string | undefined {
  if (caller.principal.kind === 'root') return undefined;
  if (caller.userName !== undefined) return caller.userName;
  throw new KmsError('ValidationError', 'Must specify userName when calling with non-User credentials');
}
