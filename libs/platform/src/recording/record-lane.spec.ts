import { createSecretKey } from 'node:crypto';
import { RecordLane } from './record-lane';
import { SEALING_KEY_MS } from './sealing-keys';

const SCOPE = { account: '111122223333', month: '2026-11' };
const NAME = '111122223333 2026-11';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A lane whose keys take so long to come, one after the other; at once without. */
const lane = (takesMs: number[] = []): RecordLane =>
  new RecordLane({
    append: async () => 1,
    async sealingKey() {
      jest.advanceTimersByTime(takesMs.shift() ?? 0);
      return { generation: 1, key: createSecretKey(Buffer.alloc(32, 1)) };
    },
    closed: () => false,
    observe: () => {},
  });

describe('the key that a lane seals with', () => {
  test('is asked for again once it may have been shredded', async () => {
    const one = lane();
    expect(one.hasKey(NAME)).toBe(false);
    await one.learnKey(SCOPE);
    jest.advanceTimersByTime(SEALING_KEY_MS - 1);
    expect(one.hasKey(NAME)).toBe(true);
    jest.advanceTimersByTime(2);
    expect(one.hasKey(NAME)).toBe(false);
    await one.learnKey(SCOPE);
    expect(one.hasKey(NAME)).toBe(true);
  });

  test('may have been shredded while the machine slept', async () => {
    const one = lane();
    await one.learnKey(SCOPE);
    // By the wall clock alone.
    jest.setSystemTime(Date.now() + SEALING_KEY_MS + 1);
    expect(one.hasKey(NAME)).toBe(false);
  });

  test('counts from when it was asked for, not from the answer', async () => {
    const one = lane([SEALING_KEY_MS - 10]);
    await one.learnKey(SCOPE);
    expect(one.hasKey(NAME)).toBe(true);
    jest.advanceTimersByTime(11);
    expect(one.hasKey(NAME)).toBe(false);
  });

  test('is not taken from an answer that was under way for too long', async () => {
    const one = lane([SEALING_KEY_MS]);
    await one.learnKey(SCOPE);
    expect(one.hasKey(NAME)).toBe(false);
  });
});
