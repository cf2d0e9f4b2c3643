import { readOwnFile } from '#hsm/own-file';
import { RootKeyError } from '#hsm/root-key-error';

/** The PIN of a token's user, from a file that none but its owner may read. Throws RootKeyError. */
export function readPin(pinFile: string): string {
  const bytes = readOwnFile(pinFile, 'the PIN');
  if (!bytes) throw new RootKeyError(`${pinFile}: missing; write the PIN of the token's user there, mode 0600`);
  const pin = bytes.toString('utf8').replace(/\r?\n$/, '');
  bytes.fill(0);
  return pin;
}
