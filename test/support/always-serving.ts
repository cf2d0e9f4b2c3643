import type { Serving } from '#operations/operation';

/** The right to serve of a process that nobody waits for. */
export const ALWAYS_SERVING: Serving = {
  assertHeld: () => {},
  begin: () => ({ assertNotOver: () => {}, end: () => {} }),
};
