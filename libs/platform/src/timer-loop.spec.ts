import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import type { KeyCommand } from '#domain/key/commands';
import type { AggregateRef } from '#domain/subjects';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { Call } from '#operations/operation';
import type { Timer, TimerKind } from '#views/due-times';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { until } from '../../../test/support/nats-server';
import { NO_CLUSTERS } from '../../../test/support/no-key-stores';
import { rootCaller } from '../../../test/support/root-caller';
import { KeyManager } from './key-manager';
import { KeyTimers } from './key-timers';
import { UNTRACKED } from './last-uses';
import { TimerLoop } from './timer-loop';

const DAY_MS = 86_400_000;
const START = Date.parse('2026-11-24T12:00:00.000Z');
const ALL: TimerKind[] = ['Rotation', 'Deletion', 'Cleanup'];
const CREATE: KeyCommand = {
  type: 'CreateKey',
  description: '',
  keyUsage: 'ENCRYPT_DECRYPT',
  keySpec: 'SYMMETRIC_DEFAULT',
  multiRegion: false,
  policy: '{}',
  tags: [],
};

let clock: { ms: number; now(): number };
let view: LiveView;
let manager: KeyManager;
let timers: KeyTimers;
let loops: TimerLoop[];
/** Every attempt, as `<key> <day of the deadline>`, and those among them that changed something. */
let tried: string[];
let fired: string[];
let errors: unknown[];

const shown = ({ ref, deadline }: Timer): string => `${ref.id} ${(Date.parse(deadline) - START) / DAY_MS}`;
const refOf = (id: string): AggregateRef => ({ region: 'us-east-1', account: '000000000000', aggregate: 'key', id });
const call = (): Call => ({
  caller: rootCaller('us-east-1', '000000000000'),
  requestId: '8c0c3863-e6c5-4f5a-99f1-27e414aafb91',
  operation: 'Test',
  now: isoDate(clock.ms),
});

beforeEach(async () => {
  clock = { ms: START, now: () => clock.ms };
  const store = new MemoryEventStore();
  view = new LiveView();
  await view.start(store);
  const materials = { create: async () => undefined, destroy: async () => {} };
  manager = new KeyManager({
    store,
    view,
    serving: ALWAYS_SERVING,
    materials,
    appliedEverywhere: async () => {},
    failPoint: () => {},
    signGrantToken: async () => undefined,
    clusters: NO_CLUSTERS,
    lastUses: UNTRACKED,
  });
  timers = new KeyTimers({ manager, materials, clock });
  loops = [];
  tried = [];
  fired = [];
  errors = [];
});

afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()));
  await view.stop();
});

function newLoop(fire = (timer: Timer): Promise<boolean> => timers.fire(timer)): TimerLoop {
  const loop = new TimerLoop(
    {
      view,
      clock,
      fire: (timer) => {
        tried.push(shown(timer));
        return fire(timer);
      },
      onError: (error) => errors.push(error),
      onFired: (timer) => fired.push(shown(timer)),
    },
    ALL,
  );
  loops.push(loop);
  return loop;
}

async function rotatingKey(id: string, rotationPeriodInDays: number): Promise<void> {
  await manager.runCommand(refOf(id), CREATE, call());
  await manager.runCommand(refOf(id), { type: 'EnableKeyRotation', rotationPeriodInDays }, call());
}

const passDays = (days: number): void => {
  clock.ms += days * DAY_MS;
};

describe('a timer loop', () => {
  test('fires what was missed at its start, every one, in the order of the deadlines', async () => {
    await rotatingKey('yearly', 365);
    await rotatingKey('slow', 200);
    await rotatingKey('quick', 100);
    passDays(400);
    await newLoop().start();
    expect(fired).toEqual([
      'quick 100',
      ...['quick 200', 'slow 200'],
      'quick 300',
      'yearly 365',
      ...['quick 400', 'slow 400'],
    ]);
  });

  test('fires nothing before its deadline', async () => {
    await rotatingKey('a', 100);
    passDays(99);
    const loop = newLoop();
    await loop.start();
    await loop.settle();
    expect(tried).toEqual([]);
    expect(ALL.map((kind) => [loop.waiting(kind), loop.overdue(kind)])).toEqual([
      [1, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test('wakes for a move of the clock', async () => {
    await rotatingKey('a', 100);
    const loop = newLoop();
    await loop.start();
    passDays(100);
    loop.wake();
    await until(() => fired.includes('a 100'), 'the timer did not fire');
  });

  test('wakes for a commit whose deadline has passed', async () => {
    await newLoop().start();
    const past = { ...call(), now: isoDate(START) };
    await manager.runCommand(refOf('a'), CREATE, past);
    passDays(100);
    await manager.runCommand(refOf('a'), { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 }, past);
    await until(() => fired.includes('a 7'), 'the timer did not fire');
  });

  test('starts although a timer fails, fires all others, shows the failure, and tries it again', async () => {
    await rotatingKey('bad', 90);
    await rotatingKey('good', 100);
    passDays(300);
    let broken = true;
    const loop = newLoop((timer) => {
      if (broken && timer.ref.id === 'bad') throw new Error('broken');
      return timers.fire(timer);
    });
    await loop.start();
    expect(tried).toEqual(['bad 90', 'good 100', 'good 200', 'good 300']);
    expect(errors).toHaveLength(1);
    expect(loop.problem).toBe('1 timer could not be fired');
    expect(loop.overdue('Rotation')).toBe(1);
    broken = false;
    await loop.settle();
    expect(fired.slice(3)).toEqual(['bad 90', 'bad 180', 'bad 270']);
    expect(loop.problem).toBeUndefined();
  });

  test('leaves the rest of a round out while what it needs is out of reach, and begins the next with another', async () => {
    await rotatingKey('a', 90);
    await rotatingKey('b', 95);
    passDays(100);
    let reachable = false;
    const loop = newLoop((timer) => {
      if (!reachable) throw new KmsError('DependencyTimeoutException', 'out of reach');
      return timers.fire(timer);
    });
    await loop.start();
    expect(tried).toEqual(['a 90']);
    expect(loop.problem).toBe('what timers need is out of reach');
    loop.wake();
    await until(() => tried.length > 1, 'no second round came');
    expect(tried).toEqual(['a 90', 'b 95']);
    reachable = true;
    await loop.settle();
    expect(fired.sort()).toEqual(['a 90', 'b 95']);
    expect(loop.problem).toBeUndefined();
  });

  test('asks again when whoever decides does not know yet that a timer is due', async () => {
    await rotatingKey('a', 100);
    passDays(100);
    let behind = true;
    const loop = newLoop(async (timer) => {
      if (!behind) return timers.fire(timer);
      behind = false;
      return false;
    });
    await loop.start();
    expect([tried, fired]).toEqual([['a 100'], []]);
    expect(loop.problem).toBeUndefined();
    await loop.settle();
    expect(fired).toEqual(['a 100']);
  });

  test('does no harm beside another one: each deadline changes the key once', async () => {
    for (const id of ['a', 'b', 'c']) await rotatingKey(id, 100);
    passDays(250);
    await Promise.all([newLoop().start(), newLoop().start()]);
    await Promise.all(loops.map((loop) => loop.settle()));
    expect(fired.sort()).toEqual(['a', 'b', 'c'].flatMap((id) => [`${id} 100`, `${id} 200`]));
    for (const id of ['a', 'b', 'c']) {
      expect(view.projection.key('us-east-1', '000000000000', id)).toMatchObject({ version: 4 });
    }
  });

  test('forgets the clean-up of a deleted key when its last alias is moved away', async () => {
    const alias = { ...refOf('name'), aggregate: 'alias' as const };
    for (const id of ['doomed', 'other']) await manager.runCommand(refOf(id), CREATE, call());
    await manager.runCommand(alias, { type: 'CreateAlias', targetKeyId: 'doomed' }, call());
    await manager.runCommand(refOf('doomed'), { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 }, call());
    const loop = newLoop(async () => false);
    await loop.start();
    passDays(8);
    await manager.runCommand(refOf('doomed'), { type: 'FireDeletion', deadline: isoDate(START + 7 * DAY_MS) }, call());
    await manager.runCommand(refOf('doomed'), { type: 'RecordMaterialDestroyed' }, call());
    expect(loop.overdue('Cleanup')).toBe(1);
    await manager.runCommand(alias, { type: 'DeleteAlias' }, call());
    expect(loop.overdue('Cleanup')).toBe(0);
  });
});
