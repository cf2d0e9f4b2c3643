import type { Used, UsedKind } from '#audit-log/uses';
import type { AggregateType } from '#domain/aggregates';
import { KmsError } from '#domain/errors';
import { isKeySpec, KEY_SPECS, type KeySpec } from '#domain/key/key-kinds';
import type { AggregateRef } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import type { GrantTokenClaims } from '#operations/grants/grant-tokens';
import { TIMER_KINDS, type Timer, type TimerKind } from '#views/due-times';
import type { PlaceInStore } from './key-stores/keys-in-stores';

// What Keytrail's services ask each other, read from JSON. Everything here throws ValidationException naming the member that
// is not as it must be: what is asked becomes subjects, and events that stay for ever.

type Members = Record<string, unknown>;

const expected = (name: string, what: string): KmsError =>
  new KmsError('ValidationException', `${name}: expected ${what}`);

export function membersOf(value: unknown, name = 'question'): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw expected(name, 'an object');
  return value as Members;
}

export function textOf(members: Members, name: string): string {
  const value = members[name];
  if (typeof value !== 'string' || value === '') throw expected(name, 'a text');
  return value;
}

/** What can stand in a subject between two dots. */
const SUBJECT_TOKEN = /^[^\s.*>]+$/;

export function tokenOf(members: Members, name: string): string {
  const value = textOf(members, name);
  if (!SUBJECT_TOKEN.test(value)) throw expected(name, 'no dot, star, angle bracket or white space');
  return value;
}

export function timeOf(members: Members, name: string): string {
  const value = textOf(members, name);
  const ms = Date.parse(value);
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== value)
    throw expected(name, 'a time such as 2026-01-01T00:00:00.000Z');
  return value;
}

export function positionOf(members: Members, name: string): number {
  const value = members[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw expected(name, 'a whole number from 0');
  return value;
}

/** Of the root key: from 1. */
export function epochOf(members: Members, name: string): number {
  const value = members[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1)
    throw expected(name, 'a whole number from 1');
  return value;
}

export function refOf<T extends AggregateType>(value: unknown, aggregate: T): AggregateRef<T> {
  const ref = membersOf(value, 'ref');
  if (ref['aggregate'] !== aggregate) throw expected('aggregate', aggregate);
  return { region: tokenOf(ref, 'region'), account: tokenOf(ref, 'account'), aggregate, id: tokenOf(ref, 'id') };
}

export function timerOf(question: unknown): Timer {
  const members = membersOf(question);
  const kind = textOf(members, 'kind');
  if (!(TIMER_KINDS as readonly string[]).includes(kind)) throw expected('kind', TIMER_KINDS.join(', '));
  return { kind: kind as TimerKind, ref: refOf(members['ref'], 'key'), deadline: timeOf(members, 'deadline') };
}

/** Material to be made: of which key, under which id, for which spec, and where. */
export function newMaterialOf(question: unknown): {
  keyArn: string;
  materialId: string;
  keySpec: KeySpec;
  place?: PlaceInStore;
} {
  const members = membersOf(question);
  const material = { keyArn: textOf(members, 'keyArn'), materialId: tokenOf(members, 'materialId') };
  const { keySpec } = members;
  if (!isKeySpec(keySpec)) throw expected('keySpec', KEY_SPECS.join(', '));
  if (members['place'] === undefined) return { ...material, keySpec };
  const given = membersOf(members['place'], 'place');
  const customKeyStoreId = tokenOf(given, 'customKeyStoreId');
  const xksKeyId = given['xksKeyId'] === undefined ? {} : { xksKeyId: textOf(given, 'xksKeyId') };
  return { ...material, keySpec, place: { customKeyStoreId, ...xksKeyId } };
}

/** Material to be erased. */
export function doomedMaterialOf(question: unknown): { ref: AggregateRef<'key'>; materialId: string } {
  const members = membersOf(question);
  return { ref: refOf(members['ref'], 'key'), materialId: tokenOf(members, 'materialId') };
}

const USED_KINDS: readonly string[] = ['key', 'access-key'] satisfies UsedKind[];

/** What it is asked of when it was last used. */
export function usedOf(question: unknown): Used {
  const members = membersOf(question);
  const kind = textOf(members, 'kind');
  if (!USED_KINDS.includes(kind)) throw expected('kind', USED_KINDS.join(', '));
  return { kind: kind as UsedKind, id: textOf(members, 'id') };
}

export function commandOriginOf(value: unknown): CommandOrigin {
  const origin = membersOf(value, 'origin');
  return {
    principal: textOf(origin, 'principal'),
    requestId: textOf(origin, 'requestId'),
    operation: textOf(origin, 'operation'),
    now: timeOf(origin, 'now'),
  };
}

export function grantTokenClaimsOf(question: unknown): GrantTokenClaims {
  const members = membersOf(question);
  return {
    grantId: textOf(members, 'grantId'),
    keyArn: textOf(members, 'keyArn'),
    position: positionOf(members, 'position'),
    requestId: textOf(members, 'requestId'),
  };
}
