import type { DecidePlace } from '../aggregate';
import { KmsError } from '../errors';
import type { Tag } from '../key/events';
import { recordedIds, sameIds } from '../named-ids';
import { accessKeyMaterialId } from './access-key-material-id';
import type { PrincipalCommand } from './commands';
import type { PrincipalEvent } from './events';
import { ACCOUNT_ID, parsePrincipalId, roleId, userId } from './principal-id';
import {
  alreadyExists,
  deleteConflict,
  noSuchAccessKey,
  noSuchPolicy,
  noSuchRole,
  noSuchUser,
  policiesTooLong,
  quotaExceeded,
  tooManyTags,
} from './refusals';
import {
  type AccessKey,
  hasAccessKeys,
  isNamed,
  type NamedPrincipal,
  type Principal,
  type PrincipalWithAccessKeys,
  type RolePrincipal,
  type UserPrincipal,
} from './state';
import { withTags } from './tags';

/** AWS's default quotas. */
export const IAM_LIMITS = {
  accessKeysPerUser: 2,
  tags: 50,
  /** All inline policies together, characters without white space. */
  policyCharacters: { User: 2048, Role: 10_240 },
  trustPolicyCharacters: 2048,
  /** Seconds. */
  sessionDuration: { min: 3600, max: 43_200 },
} as const;

type Decider<C> = (command: C, principal: Principal, place: DecidePlace) => PrincipalEvent[];
type Deciders = { [T in PrincipalCommand['type']]: Decider<Extract<PrincipalCommand, { type: T }>> };

/** THE table of principal commands. No events means that there is nothing to change, which is a success. */
const deciders: Deciders = {
  CreateAccount: (_command, principal, place) => {
    assertPlace(ACCOUNT_ID, place);
    const { account } = place;
    if (principal.kind !== 'None') {
      throw new KmsError('EntityAlreadyExists', `Account ${account} already exists.`);
    }
    return [{ type: 'AccountCreated', v: 1, accountId: account }];
  },

  CreateUser: (command, principal, place) => {
    assertPlace(userId(command.name), place);
    if (principal.kind === 'User') throw alreadyExists('User', command.name);
    assertNewUniqueId(command.uniqueId, principal);
    assertTagCount(command.tags);
    const { type: _type, ...facts } = command;
    return [{ type: 'UserCreated', v: 1, ...facts }];
  },

  DeleteUser: (_command, principal, place) => {
    const user = existingUser(principal, place);
    if (Object.keys(user.policies).length > 0) throw deleteConflict('policies');
    if (user.accessKeys.length > 0) throw deleteConflict('access keys');
    return [{ type: 'UserDeleted', v: 1 }];
  },

  CreateRole: (command, principal, place) => {
    assertPlace(roleId(command.name), place);
    if (principal.kind === 'Role') throw alreadyExists('Role', command.name);
    assertNewUniqueId(command.uniqueId, principal);
    assertTagCount(command.tags);
    assertTrustPolicyLength(command.trustPolicy);
    assertSessionDuration(command.maxSessionDuration);
    const { type: _type, namedIds, ...facts } = command;
    return [{ type: 'RoleCreated', v: 1, ...facts, ...recordedIds(namedIds) }];
  },

  DeleteRole: (_command, principal, place) => {
    const role = existingRole(principal, place);
    if (Object.keys(role.policies).length > 0) throw deleteConflict('policies');
    return [{ type: 'RoleDeleted', v: 1 }];
  },

  PutPolicy: ({ policyName, policy }, principal, place) => {
    const { kind, name, policies } = existing(principal, place);
    if (policyOf(policies, policyName) === policy) return [];
    const limit = IAM_LIMITS.policyCharacters[kind];
    const total = Object.values({ ...policies, [policyName]: policy }).reduce((sum, text) => sum + lengthOf(text), 0);
    if (total > limit) throw policiesTooLong(kind, name, limit);
    return [{ type: 'PolicyPut', v: 1, policyName, policy }];
  },

  DeletePolicy: ({ policyName }, principal, place) => {
    const { kind, policies } = existing(principal, place);
    if (policyOf(policies, policyName) === undefined) throw noSuchPolicy(kind, policyName);
    return [{ type: 'PolicyDeleted', v: 1, policyName }];
  },

  PutTrustPolicy: ({ trustPolicy, namedIds }, principal, place) => {
    const role = existingRole(principal, place);
    assertTrustPolicyLength(trustPolicy);
    // The same text means others once a principal that it names has been deleted and created anew.
    if (role.trustPolicy === trustPolicy && sameIds(role.namedIds, namedIds)) return [];
    return [{ type: 'TrustPolicyPut', v: 1, trustPolicy, ...recordedIds(namedIds) }];
  },

  TagPrincipal: ({ tags }, principal, place) => {
    const before = existing(principal, place).tags;
    const changed = tags.filter((tag) => !before.some((old) => old.key === tag.key && old.value === tag.value));
    assertTagCount(withTags(before, changed));
    return changed.length === 0 ? [] : [{ type: 'PrincipalTagged', v: 1, tags: changed }];
  },

  UntagPrincipal: ({ tagKeys }, principal, place) => {
    const before = existing(principal, place).tags;
    const asked = new Set(tagKeys.map((tagKey) => tagKey.toLowerCase()));
    const present = before.map((tag) => tag.key).filter((tagKey) => asked.has(tagKey.toLowerCase()));
    return present.length === 0 ? [] : [{ type: 'PrincipalUntagged', v: 1, tagKeys: present }];
  },

  CreateAccessKey: ({ accessKeyId }, principal, place) => {
    const { accessKeys } = existingWithKeys(principal, place);
    // The same command once more: its first append had succeeded.
    if (accessKeys.some((key) => key.accessKeyId === accessKeyId)) return [];
    if (accessKeys.length >= IAM_LIMITS.accessKeysPerUser) {
      throw quotaExceeded('AccessKeysPerUser', IAM_LIMITS.accessKeysPerUser);
    }
    return [{ type: 'AccessKeyCreated', v: 1, accessKeyId, materialId: accessKeyMaterialId(accessKeyId) }];
  },

  UpdateAccessKey: ({ accessKeyId, status }, principal, place) =>
    accessKeyOf(existingWithKeys(principal, place), accessKeyId).status === status
      ? []
      : [{ type: 'AccessKeyStatusChanged', v: 1, accessKeyId, status }],

  DeleteAccessKey: ({ accessKeyId }, principal, place) => {
    accessKeyOf(existingWithKeys(principal, place), accessKeyId);
    return [{ type: 'AccessKeyDeleted', v: 1, accessKeyId }];
  },
};

/** What AWS answers for a principal that is not there; the name is in lower case, as the aggregate's id has it. */
function notFound({ account, id }: DecidePlace): KmsError {
  const parsed = parsePrincipalId(id);
  if (parsed.kind === 'Account') return new KmsError('NoSuchEntity', `The account ${account} cannot be found.`);
  return parsed.kind === 'User' ? noSuchUser(parsed.name) : noSuchRole(parsed.name);
}

function existing(principal: Principal, place: DecidePlace): NamedPrincipal {
  if (!isNamed(principal)) throw notFound(place);
  return principal;
}

function existingUser(principal: Principal, place: DecidePlace): UserPrincipal {
  if (principal.kind !== 'User') throw notFound(place);
  return principal;
}

function existingRole(principal: Principal, place: DecidePlace): RolePrincipal {
  if (principal.kind !== 'Role') throw notFound(place);
  return principal;
}

function existingWithKeys(principal: Principal, place: DecidePlace): PrincipalWithAccessKeys {
  if (!hasAccessKeys(principal)) throw notFound(place);
  return principal;
}

function accessKeyOf({ accessKeys }: PrincipalWithAccessKeys, accessKeyId: string): AccessKey {
  const found = accessKeys.find((key) => key.accessKeyId === accessKeyId);
  if (!found) throw noSuchAccessKey(accessKeyId);
  return found;
}

const policyOf = (policies: Readonly<Record<string, string>>, policyName: string): string | undefined =>
  Object.hasOwn(policies, policyName) ? policies[policyName] : undefined;

/** AWS does not count white space. */
const lengthOf = (policy: string): number => policy.replace(/\s/g, '').length;

/** A principal under another's id could never be found, and what follows could not be folded. */
function assertPlace(id: string, place: DecidePlace): void {
  if (id !== place.id) throw new KmsError('ServiceFailure', `${id} cannot be created as ${place.id}.`);
}

/** Policies and sessions that meant a deleted principal must not fit a new one of that name. */
function assertNewUniqueId(uniqueId: string, principal: Principal): void {
  if (principal.kind === 'Deleted' && principal.uniqueId === uniqueId) {
    throw new KmsError('ServiceFailure', `The unique id ${uniqueId} was used before.`);
  }
}

function assertTagCount(tags: readonly Tag[]): void {
  if (tags.length > IAM_LIMITS.tags) throw tooManyTags();
}

function assertTrustPolicyLength(trustPolicy: string): void {
  const limit = IAM_LIMITS.trustPolicyCharacters;
  if (lengthOf(trustPolicy) > limit) throw quotaExceeded('ACLSizePerRole', limit);
}

function assertSessionDuration(seconds: number): void {
  const { min, max } = IAM_LIMITS.sessionDuration;
  const bound = seconds < min ? `greater than or equal to ${min}` : seconds > max ? `less than or equal to ${max}` : '';
  if (bound === '') return;
  throw new KmsError(
    'ValidationError',
    `1 validation error detected: Value '${seconds}' at 'maxSessionDuration' failed to satisfy constraint: Member must have value ${bound}`,
  );
}

/** The events that `command` causes on `principal`; throws KmsError where AWS IAM would refuse. Pure. */
export function decidePrincipal(command: PrincipalCommand, principal: Principal, place: DecidePlace): PrincipalEvent[] {
  return (deciders[command.type] as Decider<PrincipalCommand>)(command, principal, place);
}
