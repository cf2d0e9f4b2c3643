import { SLOW_TASKS } from '#crypto/slow-tasks';

/** What a worker thread is given, as piscina has it. */
export default ({ task, args }: { task: keyof typeof SLOW_TASKS; args: unknown[] }): unknown =>
  (SLOW_TASKS[task] as (...args: unknown[]) => unknown)(...args);
