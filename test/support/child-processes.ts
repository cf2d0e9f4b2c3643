import { readdirSync, readFileSync } from 'node:fs';

/** Of the processes that drive HSMs for another one: what each was started with is in their environment. */
export function tokenProcessesOf(pid: number): { pid: number; environment: string }[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.flatMap((id) => {
    try {
      const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${id}/stat`, 'latin1'))![1]);
      const isOne = parent === pid && readFileSync(`/proc/${id}/cmdline`, 'latin1').includes('token-process');
      return isOne ? [{ pid: Number(id), environment: readFileSync(`/proc/${id}/environ`, 'latin1') }] : [];
    } catch {
      return [];
    }
  });
}
