import fc from 'fast-check';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { endOffLoop } from '#hsm/off-loop';
import { EVERY_KIND, type Kind, nameOf } from '../../../test/support/key-sequences/kinds';
import { DAY_MS } from '../../../test/support/key-sequences/model-key';
import { pooledPair } from '../../../test/support/key-sequences/pooled-pairs';
import { expectReplayed, expectShown } from '../../../test/support/key-sequences/shown';
import { ASKS, look, type Met, make, stepsFor } from '../../../test/support/key-sequences/step';
import { World } from '../../../test/support/key-sequences/world';
import { PUBLISHED_CELLS } from '../../../test/support/published-states';

/** Key pairs come from a pool: one RSA key of 4,096 bits takes longer than all that is asked of it here. */
jest.mock('#hsm/key-generation', () => {
  const own = jest.requireActual<typeof import('#hsm/key-generation')>('#hsm/key-generation');
  const { pooledPair: pooled } = jest.requireActual<typeof import('../../../test/support/key-sequences/pooled-pairs')>(
    '../../../test/support/key-sequences/pooled-pairs',
  );
  return { ...own, generatePair: (keySpec: string) => pooled(keySpec) };
});

/** Of the first kind; each has its own. A failure says it, and the path to the shortest sequence: `{ seed, path }`. */
const SEED = 20_261_201;
/** Symmetric encryption keys can be asked for most, and are quick. */
const sequencesOf = ({ keySpec }: Kind): number => (keySpec === 'SYMMETRIC_DEFAULT' ? 50 : 4);

/** Longer than the shortest rotation, and than any waiting period. */
const A_LONG_TIME_MS = 100 * DAY_MS;

const met: Met = new Map();

beforeAll(async () => {
  await Promise.all(['RSA_4096', 'RSA_3072', 'RSA_2048'].map((spec) => pooledPair(spec)));
});
afterAll(endOffLoop);

describe('whatever is asked of a key, in whatever order, and however late its timers fire', () => {
  test.each(EVERY_KIND.map((kind, at) => [nameOf(kind), kind, SEED + at] as const))(
    '%s does what its kind and state allow, and replays to what it is',
    async (_name, kind, seed) => {
      await fc.assert(
        fc.asyncProperty(stepsFor(kind), async (steps) => {
          const store = new MemoryEventStore();
          // An internal error is thrown by the observer of the call.
          const world = new World(kind, store);
          await world.create();
          for (const step of steps) await make(step, world, met);
          // Seen before anything has fired, and after.
          world.pass(A_LONG_TIME_MS);
          for (const at of world.keys.keys()) await look(world, at);
          await world.fire();
          for (const at of world.keys.keys()) await look(world, at);
          await expectShown(world);
          await expectReplayed(world, store);
        }),
        { seed, numRuns: sequencesOf(kind) },
      );
    },
  );

  test('every operation has met a key in every state that keys are in for long', () => {
    const operations = [...new Set(PUBLISHED_CELLS.map(([operation]) => operation as string)), 'GetKeyLastUsage'];
    expect(Object.keys(ASKS).sort()).toEqual(operations.sort());
    const states = ['Enabled', 'Disabled', 'PendingDeletion', 'PendingImport', 'Deleted'];
    const missed = operations.flatMap((operation) =>
      states.filter((state) => !met.has(`${operation} ${state}`)).map((state) => `${operation} ${state}`),
    );
    expect(missed).toEqual([]);
    for (const state of ['PendingReplicaDeletion', 'Creating', 'Updating']) {
      const few = operations.filter((operation) => met.has(`${operation} ${state}`));
      expect(few.length).toBeGreaterThan(operations.length / 3);
    }
  });
});
