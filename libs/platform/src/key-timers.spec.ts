import { isoDate } from '#domain/dates';
import type { KeyCommand } from '#domain/key/commands';
import type { AggregateRef } from '#domain/subjects';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { Call } from '#operations/operation';
import type { Timer } from '#views/due-times';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { until } from '../../../test/support/nats-server';
import { NO_CLUSTERS } from '../../../test/support/no-key-stores';
import { rootCaller } from '../../../test/support/root-caller';
import { KeyManager } from './key-manager';
import { KeyTimers } from './key-timers';
import { UNTRACKED } from './last-uses';

const DAY_MS = 86_400_000;
const START = Date.parse('2026-01-01T00:00:00.000Z');
const KEY = { region: 'us-east-1', account: '000000000000', aggregate: 'key', id: 'key-1' } as const;
const ALIAS = { ...KEY, aggregate: 'alias', id: 'orders' } as const;

/** A key of two versions with an alias, whose waiting period of seven days has begun; and its timers, on a log in memory. */
async function doomedKey() {
  const clock = { ms: START, now: () => clock.ms };
  const store = new MemoryEventStore();
  const view = new LiveView();
  await view.start(store);
  const erased: string[] = [];
  const gate: { opened?: Promise<void> } = {};
  const materials = {
    create: async () => undefined,
    destroy: async (_ref: AggregateRef, materialId: string) => {
      erased.push(materialId);
      await gate.opened;
    },
  };
  const manager = new KeyManager({
    ...{ store, view, materials },
    serving: ALWAYS_SERVING,
    appliedEverywhere: async () => {},
    failPoint: () => {},
    signGrantToken: async () => undefined,
    clusters: NO_CLUSTERS,
    lastUses: UNTRACKED,
  });
  const timers = new KeyTimers({ manager, materials, clock });
  const call = (): Call => ({
    caller: rootCaller(KEY.region, KEY.account),
    requestId: '8c0c3863-e6c5-4f5a-99f1-27e414aafb91',
    operation: 'Test',
    now: isoDate(clock.ms),
  });
  const run = (command: KeyCommand) => manager.runCommand(KEY, command, call());
  await run({
    type: 'CreateKey',
    description: '',
    keyUsage: 'ENCRYPT_DECRYPT',
    keySpec: 'SYMMETRIC_DEFAULT',
    multiRegion: false,
    policy: '{}',
    tags: [],
  });
  await run({ type: 'RotateKeyOnDemand' });
  await manager.runCommand(ALIAS, { type: 'CreateAlias', targetKeyId: KEY.id }, call());
  await run({ type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
  const deadline = isoDate(START + 7 * DAY_MS);
  const timer = (kind: Timer['kind']): Timer => ({ kind, ref: KEY, deadline });
  return { clock, view, timers, timer, run, erased, gate, deadline };
}

describe('firing says whether anything changed', () => {
  test('of a deletion: the first time it did', async () => {
    const { clock, view, timers, timer, erased } = await doomedKey();
    expect(await timers.fire(timer('Deletion'))).toBe(false);
    clock.ms += 7 * DAY_MS;
    expect(await timers.fire(timer('Deletion'))).toBe(true);
    expect(await timers.fire(timer('Cleanup'))).toBe(false);
    expect(await timers.fire(timer('Deletion'))).toBe(false);
    expect(erased).toHaveLength(2);
    expect([...view.projection.aliasNamesOf(KEY)]).toEqual([]);
  });

  test('of a clean-up that only an alias was left for', async () => {
    const { clock, view, timers, timer, run, deadline } = await doomedKey();
    clock.ms += 7 * DAY_MS;
    await run({ type: 'FireDeletion', deadline });
    await run({ type: 'RecordMaterialDestroyed' });
    expect(await timers.fire(timer('Cleanup'))).toBe(true);
    expect([...view.projection.aliasNamesOf(KEY)]).toEqual([]);
    expect(await timers.fire(timer('Cleanup'))).toBe(false);
  });
});

test('a deletion that is fired again while it is under way is not done twice, and erases all versions at once', async () => {
  const { clock, timers, timer, erased, gate } = await doomedKey();
  clock.ms += 7 * DAY_MS;
  let letGo = () => {};
  gate.opened = new Promise((resolve) => {
    letGo = resolve;
  });
  const first = timers.fire(timer('Deletion'));
  await until(() => erased.length === 2, 'the versions were not erased at once');
  const again = timers.fire(timer('Deletion'));
  // As far as it gets meanwhile.
  await new Promise(setImmediate);
  letGo();
  expect(await Promise.all([first, again])).toEqual([true, false]);
  expect(erased).toHaveLength(2);
});
