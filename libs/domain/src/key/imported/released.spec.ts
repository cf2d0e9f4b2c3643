import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeCommit } from '../../commit-codec';
import type { KeyCommand } from '../commands';
import { decideKey } from '../decide';
import type { KeyEvent } from '../events';
import { evolveKey } from '../evolve';
import { initialKey, isLiving, type Key, type LivingKey } from '../state';
import { releasedPlaces } from './copies';
import { ERASED_REMEMBERED } from './decide';

const CONTEXT = {
  keyArn: 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000',
  now: '2026-01-01T00:00:00.000Z',
};
const ID = { a: 'a'.repeat(64), b: 'b'.repeat(64) };
type Name = keyof typeof ID;

const created: KeyEvent = {
  ...{ type: 'KeyCreated', v: 1, description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
  ...{ origin: 'EXTERNAL', multiRegion: false, policy: '{}', tags: [] },
} as KeyEvent;
const place = (name: Name, copy: number): string => `${ID[name]}-${copy}`;
const imported = (name: Name, copy = 1): KeyEvent => ({
  type: 'KeyMaterialImported',
  v: 1,
  importType: copy === 1 ? 'NEW_KEY_MATERIAL' : 'EXISTING_KEY_MATERIAL',
  materialId: ID[name],
  storedAs: place(name, copy),
});
const erased = (...storedAs: string[]): KeyEvent => ({ type: 'ReleasedMaterialErased', v: 1, storedAs });
const record = (...storedAs: string[]): KeyCommand => ({ type: 'RecordReleasedErased', storedAs });

const living = (key: Key): LivingKey => {
  if (!isLiving(key)) throw new Error('not living');
  return key;
};
const evolved = (key: Key, ...events: KeyEvent[]): LivingKey =>
  living(events.reduce((state, event) => evolveKey(state, event, CONTEXT.now), key));
const fold = (...events: KeyEvent[]): LivingKey => evolved(initialKey, ...events);

test('released copies are recorded once they are erased, and remembered', () => {
  const key = fold(created, imported('a'), imported('a', 2));
  expect(decideKey(record(place('a', 1), 'no copy'), key, CONTEXT)).toEqual([erased(place('a', 1))]);
  expect(decideKey(record(place('a', 2)), key, CONTEXT)).toEqual([]);
  const after = evolved(key, erased(place('a', 1)));
  expect(after.released).toBeUndefined();
  expect(releasedPlaces(after)).toEqual([place('a', 1)]);
});

test('they go with the key, and so does what is not there any more, should a backup bring it back', () => {
  const key = fold(created, imported('a'), imported('a', 2), imported('b'));
  expect(evolveKey(key, { type: 'KeyDeleted', v: 1 }, CONTEXT.now)).toMatchObject({
    materialIds: [place('a', 2), place('b', 1), place('a', 1)],
    allMaterialIds: [place('a', 2), place('b', 1), place('a', 1)],
  });
});

test('of ever so many imports only the newest erased copies are remembered', () => {
  const imports = ERASED_REMEMBERED + 20;
  let key = fold(created, imported('a'));
  for (let copy = 2; copy <= imports; copy++) {
    const released = evolved(key, imported('a', copy));
    key = evolved(released, ...decideKey(record(place('a', copy - 1)), released, CONTEXT));
  }
  const newest = Array.from({ length: ERASED_REMEMBERED }, (_, at) => place('a', imports - ERASED_REMEMBERED + at));
  expect(releasedPlaces(key)).toEqual(newest);
  expect(key.released).toBeUndefined();
});

test('none of those that are erased at once is forgotten with it', () => {
  const copies = Array.from({ length: ERASED_REMEMBERED + 5 }, (_, at) => at + 1);
  const key = fold(created, ...copies.map((copy) => imported('a', copy)), imported('a', copies.length + 1));
  const places = copies.map((copy) => place('a', copy));
  expect(releasedPlaces(evolved(key, ...decideKey(record(...places), key, CONTEXT)))).toEqual(places);
});

test('a log of before replays to all of them, however many', () => {
  const places = Array.from({ length: 3 * ERASED_REMEMBERED }, (_, at) => place('a', at + 1));
  const events = places.flatMap((was, at) => [imported('a', at + 2), erased(was)]);
  expect(releasedPlaces(fold(created, imported('a'), ...events))).toEqual(places);
});

test('the golden log with a bound replays to what it did', () => {
  const { commits, folded } = JSON.parse(
    readFileSync(join(__dirname, '../../golden/released-copies-v1.json'), 'utf8'),
  ) as { commits: { subject: string; commit: string }[]; folded: Record<string, { state: unknown }> };
  const events = commits.flatMap(({ subject, commit }) => {
    const { time, events: decoded } = decodeCommit(subject, Buffer.from(commit, 'utf8'));
    return decoded.map((event) => ({ time, event: event as KeyEvent }));
  });
  const key = events.reduce<Key>((state, { time, event }) => evolveKey(state, event, time), initialKey);
  expect(key).toEqual(Object.values(folded)[0]!.state);
});
