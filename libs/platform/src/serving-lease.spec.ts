import { encodeCommit, NO_HASH } from '#domain/commit';
import { eventSubject } from '#domain/subjects';
import type { LogEnd } from '#event-store/event-store';
import { LiveView } from '#views/live-view';
import { until } from '../../../test/support/nats-server';
import { elapsedTime } from './elapsed-time';
import { ServingLease } from './serving-lease';

/** Longer than any test. */
const LONG = 600_000;
const MINUTE = 60_000;

/** A log whose leader answers what the test says, and a lease on it. */
function leaseOn(leaseMs: number, ...answers: Partial<LogEnd>[]) {
  const view = new LiveView();
  const asked: number[] = [];
  const announced: number[] = [];
  const end = async (): Promise<LogEnd> => {
    asked.push(performance.now());
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return { position: 0, majorityAgeMs: 0, ...answer };
  };
  const lease = new ServingLease({ end }, view, leaseMs, (settled) => announced.push(settled));
  leases.push(lease);
  return { lease, view, asked, announced, commit: () => appendTo(view) };
}

/** A lease of a minute that is not renewed, something begun under it, and the clocks of its machine. */
async function leaseByClocks() {
  const clocks = { monotonic: 0, wall: Date.UTC(2026, 0) };
  const now = elapsedTime(
    () => clocks.monotonic,
    () => clocks.wall,
  );
  const lease = new ServingLease(
    { end: async () => ({ position: 0, majorityAgeMs: 0 }) },
    new LiveView(),
    MINUTE,
    () => {},
    now,
  );
  await lease.start();
  lease.stop();
  const { assertNotOver } = lease.begin();
  const expectOver = (): void => {
    expect(lease.held).toBe(false);
    expect(() => lease.assertHeld()).toThrow('lost touch');
    expect(assertNotOver).toThrow('could not be made in time');
  };
  const expectHeld = (): void => {
    lease.assertHeld();
    assertNotOver();
  };
  return { clocks, expectOver, expectHeld };
}

const leases: ServingLease[] = [];
afterEach(() => {
  for (const lease of leases.splice(0)) lease.stop();
});

/** Folds one more commit in: an alias of its own. */
function appendTo(view: LiveView): void {
  const seq = view.position + 1;
  const ref = { region: 'us-east-1', account: '000000000000', aggregate: 'alias', id: `a${seq}` } as const;
  const bytes = encodeCommit({
    schema: 1,
    ...ref,
    version: 1,
    prevHash: NO_HASH,
    time: '2026-01-01T00:00:00.000Z',
    principal: 'arn:aws:iam::000000000000:root',
    requestId: 'request',
    operation: 'CreateAlias',
    events: [{ type: 'AliasCreated', v: 1, targetKeyId: 'key-1' }],
  });
  view.offer({ seq, subject: eventSubject(ref), bytes });
}

describe('the lease of a process', () => {
  test('is not held before the leader of the log was heard', () => {
    const { lease } = leaseOn(LONG);
    expect(() => lease.assertHeld()).toThrow('lost touch');
    expect(() => lease.begin()).toThrow('lost touch');
  });

  test('ends with a view that can no longer be trusted', async () => {
    const { lease, view } = leaseOn(LONG);
    await lease.start();
    expect(lease.held).toBe(true);
    expect(() => view.offer({ seq: 1, subject: 'kms.evt.damaged', bytes: Buffer.from('no commit') })).toThrow();
    expect(lease.held).toBe(false);
  });

  test('is held once everything that the leader holds is applied', async () => {
    const { lease, commit } = leaseOn(LONG, { position: 2 });
    const started = lease.start();
    commit();
    expect(lease.held).toBe(false);
    commit();
    await started;
    lease.assertHeld();
  });

  test('runs out when the leader is not heard any more', async () => {
    const { lease, asked } = leaseOn(500);
    await lease.start();
    lease.stop();
    await until(() => !lease.held, 'the lease did not run out');
    expect(performance.now() - asked[0]!).toBeGreaterThan(500);
  });

  test('is not taken from a leader that has not heard from a majority for as long', async () => {
    const { lease, asked } = leaseOn(400, { majorityAgeMs: 401 });
    const started = lease.start();
    await until(() => asked.length > 2, 'the leader was not asked again');
    expect(lease.held).toBe(false);
    lease.stop();
    await started;
  });

  test('is taken again only from a leader that has heard from a majority since its first answer', async () => {
    const { lease, asked } = leaseOn(2_000, { majorityAgeMs: 1 }, { majorityAgeMs: 1_900 }, { majorityAgeMs: 1 });
    await lease.start();
    // The first answer may be that of a leader that does not know yet that it was replaced, and so may the second.
    expect(asked).toHaveLength(3);
    lease.assertHeld();
  });
});

describe('a process says', () => {
  test('with each commit that it has applied it', async () => {
    const { lease, commit, announced } = leaseOn(LONG);
    await lease.start();
    const before = announced.length;
    commit();
    commit();
    expect(announced.slice(before)).toEqual([1, 2]);
  });

  test('nothing while it serves nothing', () => {
    const { commit, announced } = leaseOn(LONG);
    commit();
    expect(announced).toEqual([]);
  });

  test('that it has applied a commit only when all that it began before is over', async () => {
    const { lease, commit, announced } = leaseOn(LONG);
    await lease.start();
    const before = announced.length;
    const said = () => announced.slice(before);
    const first = lease.begin();
    commit();
    const second = lease.begin();
    commit();
    expect(said()).toEqual([]);
    second.end();
    expect(said()).toEqual([]);
    first.end();
    expect(said()).toEqual([2]);
    lease.begin();
    commit();
    expect(said()).toEqual([2]);
  });
});

test('what was begun under a lease must end with it, though the lease is renewed', async () => {
  const { lease, asked } = leaseOn(500);
  await lease.start();
  const tenure = lease.begin();
  tenure.assertNotOver();
  const over = (): boolean => {
    try {
      tenure.assertNotOver();
      return false;
    } catch {
      return true;
    }
  };
  await until(over, 'the tenure did not end');
  expect(asked.length).toBeGreaterThan(1);
  lease.assertHeld();
});

describe('a lease of a minute, and what was begun under it,', () => {
  test('is over after a minute of which the machine slept, though the monotonic clock stood still meanwhile', async () => {
    const { clocks, expectHeld, expectOver } = await leaseByClocks();
    clocks.wall += MINUTE;
    expectHeld();
    clocks.wall += 1;
    expectOver();
  });

  test('is no longer when the wall clock is set back, not even by the sleep after that', async () => {
    const { clocks, expectHeld, expectOver } = await leaseByClocks();
    clocks.wall -= 60 * MINUTE;
    clocks.monotonic += MINUTE / 2;
    clocks.wall += MINUTE / 2;
    expectHeld();
    clocks.wall += MINUTE / 2 + 1;
    expectOver();
  });

  test('is over by the monotonic clock, whatever the wall clock says', async () => {
    const { clocks, expectHeld, expectOver } = await leaseByClocks();
    clocks.monotonic += MINUTE;
    clocks.wall -= MINUTE;
    expectHeld();
    clocks.monotonic += 1;
    expectOver();
  });
});
