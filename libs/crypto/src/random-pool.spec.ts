import { RandomPool } from './random-pool';

/** Fills with 1, 2, 3, ... going on from one refill to the next, and keeps hold of the pool. */
function counting() {
  const state: { fills: number; next: number; pool: Buffer } = { fills: 0, next: 1, pool: Buffer.alloc(0) };
  const fill = (buffer: Buffer): void => {
    state.fills += 1;
    state.pool = buffer;
    for (let i = 0; i < buffer.length; i += 1) buffer[i] = state.next++ % 256;
  };
  return { state, fill };
}

describe('the random pool', () => {
  it('gives out each byte once, across refills', () => {
    const { state, fill } = counting();
    const pool = new RandomPool(fill, 100);
    const taken = Array.from({ length: 6 }, () => [...pool.take(28)]).flat();
    expect(state.fills).toBe(2);
    expect(new Set(taken).size).toBe(6 * 28);
  });

  it('wipes what it gave out and leaves the taker his own copy', () => {
    const { state, fill } = counting();
    const taken = new RandomPool(fill, 8).take(5);
    expect([...state.pool]).toEqual([0, 0, 0, 0, 0, 6, 7, 8]);
    expect([...taken]).toEqual([1, 2, 3, 4, 5]);
  });

  it('serves more than the pool holds straight from the source', () => {
    const { state, fill } = counting();
    expect(new RandomPool(fill, 8).take(20)).toHaveLength(20);
    expect(state.pool).toHaveLength(20);
  });

  it('uses the system generator unless told otherwise', () => {
    const pool = new RandomPool();
    const taken = Array.from({ length: 1000 }, () => pool.take(16).toString('hex'));
    expect(new Set(taken).size).toBe(1000);
  });
});
