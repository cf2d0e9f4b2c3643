import { renameSync, writeFileSync } from 'node:fs';

/** Writes a file for its owner's eyes only (0600). A crash leaves either the former file or the new one, whole. */
export function writePrivately(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}
