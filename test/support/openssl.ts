import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs `openssl` over files that are made for it: those of `input`, by name. Returns what is in its file `out` afterwards. */
export function opensslWith(input: Readonly<Record<string, Uint8Array>>, out: string, ...args: string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-openssl-'));
  try {
    for (const [name, bytes] of Object.entries(input)) writeFileSync(join(folder, name), bytes);
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    return readFileSync(join(folder, out));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
