import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import type { SlowTasks } from '#crypto/slow-tasks';

/** More than one each, on however few cores: a slow task must not hold up all others. */
const THREADS = 2;
const IDLE_MS = 60_000;

/** An RSA key takes seconds, a signature milliseconds: they do not wait for each other. */
type PoolName = 'generation' | 'use';
const pools = new Map<PoolName, Piscina>();

function poolFor(task: keyof SlowTasks): Piscina {
  const name: PoolName = task === 'generateRsa' ? 'generation' : 'use';
  let pool = pools.get(name);
  if (!pool) {
    pool = new Piscina({ filename: workerFile(), minThreads: 0, maxThreads: THREADS, idleTimeout: IDLE_MS });
    pools.set(name, pool);
  }
  return pool;
}

/** Beside this file where it is built; in tests, which run the sources, where the build has put it. */
function workerFile(): string {
  const built = join(__dirname, 'off-loop-worker.js');
  return existsSync(built) ? built : join(__dirname, '../../../dist/libs/hsm/src/off-loop-worker.js');
}

/**
 * Runs a task of SLOW_TASKS in a worker thread; threads start with the first task, and end when there is none for long. Bytes
 * among the arguments are copied first: to clone a slice is to clone the whole buffer that it is a part of, and what else
 * lies there. Bytes of the result are the caller's alone, to be zeroised.
 */
export async function offLoop<T extends keyof SlowTasks>(
  task: T,
  ...args: Parameters<SlowTasks[T]>
): Promise<ReturnType<SlowTasks[T]>> {
  const own = args.map((arg: unknown) => (arg instanceof Uint8Array ? Uint8Array.from(arg) : arg));
  const transferList = own.flatMap((arg) => (arg instanceof Uint8Array ? [arg.buffer as ArrayBuffer] : []));
  return poolFor(task).run({ task, args: own }, { transferList });
}

/** Ends the threads; what they had begun is cut off. Harmless to repeat, and the next task starts them anew. */
export async function endOffLoop(): Promise<void> {
  const ending = [...pools.values()];
  pools.clear();
  await Promise.all(ending.map((pool) => pool.destroy()));
}
