import { cpus } from 'node:os';

/** What the machine's cores have done since its start, in ms. */
export interface CoreTimes {
  cores: number;
  /** Of all cores together. */
  busyMs: number;
}

/** For how long a figure is good. */
const GOOD_FOR_MS = 1_000;

/** How many cores of the machine nobody has used lately, such as 0.4. Before it can tell, as many as there are. */
export function idleCores(now = () => performance.now(), read: () => CoreTimes = coreTimes): () => number {
  let askedAt = now();
  let before = read();
  let idle = before.cores;
  return () => {
    const passedMs = now() - askedAt;
    // To read them takes a while where there are many.
    if (passedMs < GOOD_FOR_MS) return idle;
    const times = read();
    idle = times.cores - (times.busyMs - before.busyMs) / passedMs;
    askedAt += passedMs;
    before = times;
    return idle;
  };
}

function coreTimes(): CoreTimes {
  const all = cpus();
  let busyMs = 0;
  // A core that waits for a disk is neither busy nor, to Node, idle.
  for (const { times } of all) busyMs += times.user + times.nice + times.sys + times.irq;
  return { cores: all.length, busyMs };
}
