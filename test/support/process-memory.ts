import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { Secret } from './secret-forms';

const CHUNK = 8 << 20;
const ZEROS = Buffer.alloc(4096);

interface Mapping {
  from: number;
  to: number;
}

/** What a core dump would hold: every mapping that is readable and its own, of a process that whoever asks has started. */
function mappingsOf(pid: number): Mapping[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1')
    .split('\n')
    .flatMap((line) => {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) r..p/.exec(line) ?? [];
      if (from === undefined || to === undefined || /\[v(var|dso|syscall|var_vclock)\]$/.test(line)) return [];
      return [{ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16) }];
    });
}

/** Names of those secrets that are anywhere in its memory, in any form. It stands still meanwhile. */
export function secretsInMemory(pid: number, secrets: readonly Secret[]): string[] {
  const longest = Math.max(...secrets.flatMap(({ forms }) => forms.map(({ bytes }) => bytes.length)));
  const found = new Set<string>();
  process.kill(pid, 'SIGSTOP');
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const { from, to } of mappingsOf(pid)) {
      // What lies across two chunks is in the second one.
      for (let at = from; at < to; at += CHUNK - longest) {
        const chunk = read(memory, at, Math.min(CHUNK, to - at));
        for (const { name, forms } of chunk ? secrets : []) {
          for (const form of forms) if (chunk!.includes(form.bytes)) found.add(`${name} (${form.what})`);
        }
      }
    }
  } finally {
    closeSync(memory);
    process.kill(pid, 'SIGCONT');
  }
  return [...found].sort();
}

const buffer = Buffer.alloc(CHUNK);

/** Undefined for what holds nothing: never touched, or unmapped by now. */
function read(memory: number, at: number, length: number): Buffer | undefined {
  try {
    const chunk = buffer.subarray(0, readSync(memory, buffer, 0, length, at));
    return isZero(chunk) ? undefined : chunk;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}

function isZero(chunk: Buffer): boolean {
  for (let at = 0; at < chunk.length; at += ZEROS.length) {
    const page = chunk.subarray(at, at + ZEROS.length);
    if (!page.equals(ZEROS.subarray(0, page.length))) return false;
  }
  return true;
}
