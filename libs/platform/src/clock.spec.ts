import { connect, type NatsConnection } from 'nats';
import { CLOCK_SUBJECT } from '#domain/subjects';
import { ensureClockStream } from '#event-store/streams';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { VirtualClock } from './clock';

const DAY_MS = 86_400_000;

let server: TestNats;
let nats: NatsConnection;
let clocks: VirtualClock[] = [];

beforeEach(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  await ensureClockStream(nats, { replicas: 1 });
});

afterEach(async () => {
  for (const clock of clocks) clock.stop();
  clocks = [];
  await nats?.close();
  await server?.stop();
});

async function started(): Promise<VirtualClock> {
  const clock = new VirtualClock(nats);
  clocks.push(clock);
  await clock.start();
  return clock;
}

describe('the virtual clock', () => {
  test('moved by several at once makes every move, here and after a restart', async () => {
    const movers = await Promise.all([1, 2, 3, 4, 5].map(started));
    await Promise.all(movers.map((clock, index) => clock.advance((index + 1) * DAY_MS)));
    expect((await started()).offsetMs).toBe(15 * DAY_MS);
    await Promise.all(movers.map((clock) => clock.reached(15 * DAY_MS)));
    for (const clock of movers) expect(clock.offsetMs).toBe(15 * DAY_MS);
  });

  test('does not make a move that it hears of but that the stream does not hold', async () => {
    const follower = await started();
    await (await started()).advance(DAY_MS);
    await follower.reached(DAY_MS);
    await expect(
      nats
        .jetstream()
        .publish(CLOCK_SUBJECT, JSON.stringify({ offsetMs: 9 * DAY_MS }), { expect: { lastSequence: 0 } }),
    ).rejects.toMatchObject({ code: '400' });
    // The follower has been told of both when it hears of this one.
    await (await started()).advance(DAY_MS);
    await follower.reached(2 * DAY_MS);
    expect(follower.offsetMs).toBe(2 * DAY_MS);
  });

  test('tells who waits for a move once it has made it', async () => {
    const [mover, follower] = [await started(), await started()];
    let arrived = false;
    const reached = follower.reached(3 * DAY_MS).then(() => {
      arrived = true;
    });
    await mover.advance(2 * DAY_MS);
    await follower.reached(2 * DAY_MS);
    expect(arrived).toBe(false);
    await mover.advance(DAY_MS);
    await reached;
    expect(follower.offsetMs).toBe(3 * DAY_MS);
  });

  test('lets go of who waits when it is stopped', async () => {
    const clock = await started();
    const reached = clock.reached(DAY_MS);
    clock.stop();
    await expect(reached).rejects.toMatchObject({ code: 'DependencyTimeoutException' });
  });

  test.each([-1, 0.5, Number.NaN, Number.MAX_SAFE_INTEGER + 1])('refuses a move of %d ms', async (ms) => {
    await expect((await started()).advance(ms)).rejects.toMatchObject({ name: 'ClockMoveError' });
  });

  test('refuses a move to where dates would no longer compare as text', async () => {
    const clock = await started();
    const years = (count: number): number => count * 365 * DAY_MS;
    await expect(clock.advance(years(8_000))).rejects.toThrow('past 9990-01-01');
    await clock.advance(years(7_900));
    await expect(clock.advance(years(100))).rejects.toThrow('past 9990-01-01');
    expect(new Date(clock.now()).getUTCFullYear()).toBeLessThan(9990);
  });

  test.each(['no JSON', '{}', '{"offsetMs":"1"}', `{"offsetMs":${Number.MAX_SAFE_INTEGER}}`, 'null'])(
    'passes over what is no move: %s',
    async (text) => {
      const clock = await started();
      await nats.jetstream().publish(CLOCK_SUBJECT, text);
      await clock.advance(DAY_MS);
      expect(clock.offsetMs).toBe(DAY_MS);
      expect((await started()).offsetMs).toBe(DAY_MS);
    },
  );
});
