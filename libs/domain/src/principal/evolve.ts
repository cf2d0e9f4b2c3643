import { EvolveError, type Evolvers, evolveBy, isEventOf } from '../aggregate';
import { recordedIds } from '../named-ids';
import type { PrincipalEvent } from './events';
import {
  type AccessKey,
  hasAccessKeys,
  isNamed,
  type NamedPrincipal,
  type Principal,
  type PrincipalWithAccessKeys,
} from './state';
import { withoutTags, withTags } from './tags';

/** THE table of principal events. */
const evolvers: Evolvers<Principal, PrincipalEvent> = {
  AccountCreated: (principal, event, time) => {
    absent(principal, event);
    return { kind: 'Account', accountId: event.accountId, createdAt: time, accessKeys: [] };
  },
  UserCreated: (principal, event, time) => {
    absent(principal, event);
    const { name, path, uniqueId, tags } = event;
    return { kind: 'User', name, path, uniqueId, createdAt: time, tags, policies: {}, accessKeys: [] };
  },
  UserDeleted: (principal, event, time) => deleted(principal, 'User', event, time),
  RoleCreated: (principal, event, time) => {
    absent(principal, event);
    const { name, path, uniqueId, description, maxSessionDuration, trustPolicy, tags } = event;
    return {
      kind: 'Role',
      name,
      path,
      uniqueId,
      createdAt: time,
      description,
      maxSessionDuration,
      trustPolicy,
      ...recordedIds(event.namedIds),
      tags,
      policies: {},
    };
  },
  RoleDeleted: (principal, event, time) => deleted(principal, 'Role', event, time),
  PolicyPut: (principal, event) => {
    const current = named(principal, event);
    return { ...current, policies: byName({ ...current.policies, [event.policyName]: event.policy }) };
  },
  PolicyDeleted: (principal, event) => {
    const current = named(principal, event);
    // Names such as `constructor` are policy names too.
    if (!Object.hasOwn(current.policies, event.policyName)) throw cannotFollow(principal, event);
    const { [event.policyName]: _gone, ...policies } = current.policies;
    return { ...current, policies };
  },
  TrustPolicyPut: (principal, event) => {
    if (principal.kind !== 'Role') throw cannotFollow(principal, event);
    const { namedIds: _namedIds, ...rest } = principal;
    return { ...rest, trustPolicy: event.trustPolicy, ...recordedIds(event.namedIds) };
  },
  PrincipalTagged: (principal, event) => {
    const current = named(principal, event);
    return { ...current, tags: withTags(current.tags, event.tags) };
  },
  PrincipalUntagged: (principal, event) => {
    const current = named(principal, event);
    return { ...current, tags: withoutTags(current.tags, event.tagKeys) };
  },
  AccessKeyCreated: (principal, event, time) => {
    const current = keyed(principal, event);
    const { accessKeyId, materialId } = event;
    if (current.accessKeys.some((key) => key.accessKeyId === accessKeyId)) throw cannotFollow(principal, event);
    const accessKey: AccessKey = { accessKeyId, status: 'Active', createdAt: time, materialId };
    return { ...current, accessKeys: [...current.accessKeys, accessKey] };
  },
  AccessKeyStatusChanged: (principal, event) => {
    const current = withAccessKey(principal, event);
    const changed = (key: AccessKey): AccessKey =>
      key.accessKeyId === event.accessKeyId ? { ...key, status: event.status } : key;
    return { ...current, accessKeys: current.accessKeys.map(changed) };
  },
  AccessKeyDeleted: (principal, event) => {
    const current = withAccessKey(principal, event);
    return { ...current, accessKeys: current.accessKeys.filter((key) => key.accessKeyId !== event.accessKeyId) };
  },
};

const cannotFollow = (principal: Principal, event: PrincipalEvent): EvolveError =>
  new EvolveError(`${event.type} cannot follow on a principal that is ${principal.kind}`);

function absent(principal: Principal, event: PrincipalEvent): void {
  if (principal.kind !== 'None' && principal.kind !== 'Deleted') throw cannotFollow(principal, event);
}

function named(principal: Principal, event: PrincipalEvent): NamedPrincipal {
  if (!isNamed(principal)) throw cannotFollow(principal, event);
  return principal;
}

function keyed(principal: Principal, event: PrincipalEvent): PrincipalWithAccessKeys {
  if (!hasAccessKeys(principal)) throw cannotFollow(principal, event);
  return principal;
}

function withAccessKey(
  principal: Principal,
  event: Extract<PrincipalEvent, { accessKeyId: string }>,
): PrincipalWithAccessKeys {
  const current = keyed(principal, event);
  if (!current.accessKeys.some((key) => key.accessKeyId === event.accessKeyId)) throw cannotFollow(principal, event);
  return current;
}

function deleted(principal: Principal, kind: 'User' | 'Role', event: PrincipalEvent, time: string): Principal {
  if (principal.kind !== kind) throw cannotFollow(principal, event);
  return { kind: 'Deleted', was: kind, name: principal.name, uniqueId: principal.uniqueId, deletedAt: time };
}

/** Ordered, so that the same policies make the same state in whatever order they came. */
const byName = (policies: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(policies).sort(([a], [b]) => (a < b ? -1 : 1)));

export const isPrincipalEvent = (type: string): type is PrincipalEvent['type'] => isEventOf(evolvers, type);

/** `time` is that of the commit the event is in. */
export const evolvePrincipal = (principal: Principal, event: PrincipalEvent, time: string): Principal =>
  evolveBy('principal', evolvers, principal, event, time);
