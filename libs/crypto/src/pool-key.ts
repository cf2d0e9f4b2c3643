import { type KeyObject, webcrypto } from 'node:crypto';

type PoolKey = webcrypto.CryptoKey;
type Algorithm = webcrypto.RsaHashedImportParams | webcrypto.EcKeyImportParams;

/** By key object, then by what it is for: as long as the key object lives. */
const keys = new WeakMap<KeyObject, Map<string, Promise<PoolKey>>>();

/**
 * A private key as WebCrypto has it, whose operations run in libuv's pool: node:crypto has no form of privateDecrypt and
 * diffieHellman that leaves the event loop free (Node 20). It cannot be exported; what it was read from is zeroised.
 */
export function poolKeyOf(
  keyObject: KeyObject,
  algorithm: Algorithm & { name: string; hash?: string },
  usage: 'decrypt' | 'deriveBits',
): Promise<PoolKey> {
  const purpose = `${algorithm.name} ${algorithm.hash ?? ''}`;
  const ofKey = keys.get(keyObject) ?? new Map<string, Promise<PoolKey>>();
  keys.set(keyObject, ofKey);
  const known = ofKey.get(purpose);
  if (known) return known;
  const pkcs8 = keyObject.export({ type: 'pkcs8', format: 'der' });
  const imported = webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, [usage]).finally(() => pkcs8.fill(0));
  ofKey.set(purpose, imported);
  return imported;
}
