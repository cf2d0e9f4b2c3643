import { connect, type NatsConnection } from 'nats';
import { INTERNAL } from '#domain/subjects';
import { startNats, type TestNats, until } from '../../../test/support/nats-server';
import { elapsedTime } from './elapsed-time';
import { beat, RevocationBarrier } from './revocation-barrier';

/** Longer than any test: what returns has not waited it out. */
const LONG = 600_000;
const SHORT = 400;

let server: TestNats;
let manager: NatsConnection;
let worker: NatsConnection;
const barriers: RevocationBarrier[] = [];

beforeAll(async () => {
  server = await startNats();
  const options = { servers: server.url, reconnectTimeWait: 20, maxReconnectAttempts: -1 };
  [manager, worker] = await Promise.all([connect(options), connect(options)]);
});

afterEach(() => {
  for (const barrier of barriers.splice(0)) barrier.stop();
});

afterAll(async () => {
  await Promise.all([manager.close(), worker.close()]);
  await server.stop();
});

async function barrierOf(leaseMs: number, elapsed?: () => number): Promise<RevocationBarrier> {
  const barrier = new RevocationBarrier(leaseMs, manager, elapsed);
  barriers.push(barrier);
  await manager.flush();
  return barrier;
}

/** Whether it has resolved, without waiting for it. */
function outcomeOf(promise: Promise<void>): { done: boolean } {
  const outcome = { done: false };
  void promise.then(
    () => {
      outcome.done = true;
    },
    () => {},
  );
  return outcome;
}

const say = async (processId: string, position: number, leaseMs: number): Promise<void> => {
  beat(worker, { processId, position, leaseMs });
  await worker.flush();
  await manager.flush();
};

/** Beats go on: a barrier that was itself held up meanwhile has to hear of everybody again. */
const opens = (outcome: { done: boolean }, beats: () => Promise<void>): Promise<void> =>
  until(async () => {
    await beats();
    return outcome.done;
  }, 'the barrier did not open');

describe('the barrier of a revoking write', () => {
  it('waits, once it has known the workers for a lease, for each of them and no longer', async () => {
    const barrier = await barrierOf(SHORT);
    await barrier.applied(1);
    await say('w1', 6, LONG);
    await say('w2', 7, LONG);
    const outcome = outcomeOf(barrier.applied(7));
    await say('w2', 8, LONG);
    expect(outcome.done).toBe(false);
    await opens(outcome, () => say('w1', 7, LONG));
  });

  it.each([
    'no JSON',
    'null',
    '7',
    '{}',
    '{"processId":"w1","position":"9","leaseMs":1}',
    '{"processId":"w1","position":9}',
  ])('hears the other beats after one that is none: %s', async (text) => {
    const barrier = await barrierOf(SHORT);
    await barrier.applied(1);
    await say('w1', 6, LONG);
    worker.publish(INTERNAL.servingBeat, text);
    await worker.flush();
    const outcome = outcomeOf(barrier.applied(7));
    await say('w1', 6, LONG);
    expect(outcome.done).toBe(false);
    await opens(outcome, () => say('w1', 7, LONG));
  });

  it('waits a lease out right after its start, since there may be workers it has not heard of', async () => {
    const barrier = await barrierOf(LONG);
    await say('w1', 100, SHORT);
    const outcome = outcomeOf(barrier.applied(7));
    await say('w1', 101, SHORT);
    expect(outcome.done).toBe(false);
  });

  it('waits for the longest lease that a worker has named, not for its own', async () => {
    const barrier = await barrierOf(SHORT);
    await barrier.applied(1);
    await say('w1', 6, LONG);
    const outcome = outcomeOf(barrier.applied(7));
    await barrier.applied(5);
    expect(outcome.done).toBe(false);
  });

  it('waits a lease out again after its connection was lost: beats may have been missed', async () => {
    const barrier = await barrierOf(SHORT);
    await barrier.applied(1);
    const reconnected = (async () => {
      for await (const { type } of manager.status()) if (type === 'reconnect') return;
    })();
    await server.kill9();
    await server.restart();
    await reconnected;
    const started = performance.now();
    await barrier.applied(7);
    // A bound from below: it must not have returned at once.
    expect(performance.now() - started).toBeGreaterThan(SHORT / 2);
  });

  it('waits a lease out again after its machine slept: beats may have been missed', async () => {
    const clocks = { monotonic: 0, wall: Date.UTC(2026, 0) };
    const elapsed = elapsedTime(
      () => clocks.monotonic,
      () => clocks.wall,
    );
    const barrier = await barrierOf(SHORT, elapsed);
    await barrier.applied(1);
    await say('w1', 10, LONG);
    clocks.wall += SHORT + 1;
    const outcome = outcomeOf(barrier.applied(7));
    await say('w1', 11, LONG);
    expect(outcome.done).toBe(false);
    await opens(outcome, () => say('w1', 12, LONG));
  });

  it('does not take the leases of others for over because the wall clock was set forward', async () => {
    const clocks = { monotonic: 0, wall: Date.UTC(2026, 0) };
    const elapsed = elapsedTime(
      () => clocks.monotonic,
      () => clocks.wall,
    );
    const barrier = await barrierOf(SHORT, elapsed);
    await barrier.applied(1);
    await say('w1', 6, LONG);
    const outcome = outcomeOf(barrier.applied(7));
    clocks.wall += 3 * LONG;
    await opens(outcomeOf(barrier.applied(5)), () => say('w1', 6, LONG));
    expect(outcome.done).toBe(false);
    await opens(outcome, () => say('w1', 7, LONG));
  });
});
