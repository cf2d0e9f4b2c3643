/** Less is the two clocks' own: the wall clock tells whole ms, and a process may be held up between the two readings. */
const STEP_MS = 50;

/**
 * A clock in ms for what must be over in time: between two readings as much goes by as by the monotonic clock or by the wall
 * clock, whichever went further. The monotonic one stands still while the machine sleeps or is paused. The wall clock may be
 * set: forward, and time is taken to have gone by; back, and nothing is taken away from what the monotonic clock has.
 */
export function elapsedTime(
  monotonic: () => number = () => performance.now(),
  wall: () => number = () => Date.now(),
): () => number {
  let asleep = 0;
  let ahead = wall() - monotonic();
  return () => {
    const now = monotonic();
    const nowAhead = wall() - now;
    if (nowAhead > ahead) asleep += nowAhead - ahead;
    if (nowAhead > ahead || nowAhead < ahead - STEP_MS) ahead = nowAhead;
    return now + asleep;
  };
}
