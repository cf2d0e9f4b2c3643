import fc from 'fast-check';
import { elapsedTime } from './elapsed-time';

/** Both clocks of a machine, and how far a reading is from the one before. */
function machine() {
  const clocks = { monotonic: 5_000, wall: 1_000_000 };
  const now = elapsedTime(
    () => clocks.monotonic,
    () => clocks.wall,
  );
  let before = now();
  const run = (monotonic: number, wall = monotonic): number => {
    clocks.monotonic += monotonic;
    clocks.wall += wall;
    const elapsed = now() - before;
    before += elapsed;
    return elapsed;
  };
  return { run };
}

describe('the time that has gone by', () => {
  test('is what both clocks say', () => {
    const { run } = machine();
    expect([run(7), run(1_000), run(0)]).toEqual([7, 1_000, 0]);
  });

  test('has in it what the machine slept, which only the wall clock saw', () => {
    const { run } = machine();
    expect([run(10, 3_600_000), run(10)]).toEqual([3_600_000, 10]);
  });

  test('loses nothing when the wall clock is set back, nor does a sleep after that', () => {
    const { run } = machine();
    expect([run(10, -3_600_000), run(10), run(0, 5_000)]).toEqual([10, 10, 5_000]);
  });

  test('is never less than by either clock, and never goes back, however the wall clock is set', () => {
    const steps = fc.array(fc.tuple(fc.nat(10_000), fc.integer({ min: -100_000, max: 100_000 })), { minLength: 1 });
    fc.assert(
      fc.property(steps, (moves) => {
        const { run } = machine();
        for (const [monotonic, asked] of moves) {
          const step = Math.abs(asked) > 50 ? asked : 0;
          expect(run(monotonic, monotonic + step)).toBeGreaterThanOrEqual(Math.max(monotonic, monotonic + step));
        }
      }),
    );
  });

  test('does not run ahead of a wall clock that tells whole milliseconds, however often it is asked', () => {
    const start = Date.UTC(2026, 0);
    let us = 0;
    const now = elapsedTime(
      () => us / 1_000,
      () => start + Math.floor(us / 1_000),
    );
    const first = now();
    for (; us < 1_000_000; us += 50) now();
    expect(now() - first).toBeLessThan(1_001);
  });
});
