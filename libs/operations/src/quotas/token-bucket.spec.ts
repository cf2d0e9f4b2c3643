import fc from 'fast-check';
import { fullBucket, type TokenBucket, take } from './token-bucket';

const rate = fc.double({ min: 0.05, max: 100_000, noNaN: true });
/** Times of requests, in ms, in order. */
const times = fc
  .array(fc.double({ min: 0, max: 5_000, noNaN: true }), { minLength: 1, maxLength: 200 })
  .map((times) => [...times].sort((a, b) => a - b));

function allowedAt(bucket: TokenBucket, times: readonly number[]): number[] {
  const allowed: number[] = [];
  let current = bucket;
  for (const time of times) {
    const taken = take(current, time);
    current = taken.bucket;
    if (taken.allowed) allowed.push(time);
  }
  return allowed;
}

describe('a token bucket', () => {
  it('allows one second of its rate at once, and then no more', () => {
    expect(allowedAt(fullBucket(5, 0), Array(20).fill(0))).toHaveLength(5);
  });

  it('fills again at its rate', () => {
    const empty: TokenBucket = { perSecond: 5, tokens: 0, at: 0 };
    expect(take(empty, 199).allowed).toBe(false);
    expect(take(empty, 200)).toEqual({ allowed: true, bucket: { perSecond: 5, tokens: 0, at: 200 } });
    expect(take(empty, 60_000).bucket.tokens).toBe(4);
  });

  it('of less than one a second allows one, and the next when it is due', () => {
    const { allowed, bucket } = take(fullBucket(0.25, 0), 0);
    expect(allowed).toBe(true);
    expect(take(bucket, 3_999).allowed).toBe(false);
    expect(take(bucket, 4_000).allowed).toBe(true);
  });

  it('is not filled by a clock that goes back', () => {
    const { bucket } = take({ perSecond: 1, tokens: 0, at: 1_000 }, 0);
    expect(bucket).toEqual({ perSecond: 1, tokens: 0, at: 1_000 });
  });

  it('never allows more in any span than the span and one second are worth', () => {
    fc.assert(
      fc.property(rate, times, (perSecond, times) => {
        const allowed = allowedAt(fullBucket(perSecond, 0), times);
        for (let i = 0; i < allowed.length; i++) {
          const spanSeconds = (allowed.at(-1)! - allowed[i]!) / 1000;
          // The last term is for rounding.
          expect(allowed.length - i).toBeLessThanOrEqual(spanSeconds * perSecond + Math.max(1, perSecond) + 1e-6);
        }
      }),
    );
  });

  it('allows everything that keeps to the rate', () => {
    fc.assert(
      fc.property(rate, fc.integer({ min: 1, max: 200 }), (perSecond, count) => {
        const times = Array.from({ length: count }, (_, i) => (i * 1000) / perSecond + 1e-3 * i);
        expect(allowedAt(fullBucket(perSecond, 0), times)).toHaveLength(count);
      }),
    );
  });

  it('is not emptied by refusals: repeating too early delays nothing', () => {
    fc.assert(
      fc.property(rate, times, (perSecond, times) => {
        let hammered: TokenBucket = { perSecond, tokens: 0, at: 0 };
        const due = 1000 / perSecond;
        for (const time of times) if (time < due * 0.999) hammered = take(hammered, time).bucket;
        expect(take(hammered, due * 1.001).allowed).toBe(true);
      }),
    );
  });
});
