import { type KeyObject, webcrypto } from 'node:crypto';

type PoolKey = webcrypto.CryptoKey;

/** By key object, then by hash: as long as the key object lives. */
const keys = new WeakMap<KeyObject, Map<string, Promise<PoolKey>>>();

/**
 * A private RSA key as WebCrypto has it, which decrypts in libuv's pool: node:crypto has no form of privateDecrypt that leaves
 * the event loop free (Node 20). It cannot be exported; what it was read from is zeroised. `hash`: SHA-1 or SHA-256.
 */
export function poolKeyOf(keyObject: KeyObject, hash: string): Promise<PoolKey> {
  const ofKey = keys.get(keyObject) ?? new Map<string, Promise<PoolKey>>();
  keys.set(keyObject, ofKey);
  const known = ofKey.get(hash);
  if (known) return known;
  const pkcs8 = keyObject.export({ type: 'pkcs8', format: 'der' });
  const imported = webcrypto.subtle
    .importKey('pkcs8', pkcs8, { name: 'RSA-OAEP', hash }, false, ['decrypt'])
    .finally(() => pkcs8.fill(0));
  ofKey.set(hash, imported);
  return imported;
}
