import { invalidCiphertext } from '#crypto/ciphertext-blob';
import { assertOaepFits, decryptOaep, encryptOaep, isOaep } from '#crypto/rsa-oaep';
import { MAX_SM2_PLAINTEXT } from '#crypto/sm2-encryption';
import { KmsError } from '#domain/errors';
import { offLoop } from '#hsm/off-loop';
import { type Asked, authorizeKey } from './authorization';
import { type FoundKey, findKey } from './key-lookup';
import { workedOut } from './off-loop';
import type { Call, DataPorts } from './operation';
import { currentBackingKey } from './symmetric-crypto';

/** Nothing in an asymmetric ciphertext could be bound to a context. Throws ValidationException for one with pairs. */
export function assertNoContext(context: Readonly<Record<string, string>> | undefined): void {
  if (!context || Object.keys(context).length === 0) return;
  throw new KmsError(
    'ValidationException',
    'EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.',
  );
}

/** The key of a ciphertext that cannot name it: the request has to. Throws ValidationException where it does not. */
export function namedSource(
  keyId: string | undefined,
  member: 'KeyId' | 'SourceKeyId',
  action: string,
  askedOf: (found: FoundKey) => Asked,
  call: Call,
  ports: DataPorts,
): FoundKey {
  if (keyId === undefined) throw new KmsError('ValidationException', `${member} must not be null`);
  const found = findKey(keyId, 'any', call, ports.projection, action);
  authorizeKey(call, ports.projection, found, askedOf(found));
  return found;
}

/** Encrypts with the public key; `algorithm` is one of the key's. Throws ValidationException for too long a plaintext. */
export function encryptAsymmetric(
  found: FoundKey,
  algorithm: string,
  plaintext: Uint8Array,
  call: Call,
  ports: DataPorts,
): Uint8Array {
  const { keyObject, materialId } = currentBackingKey(found, ports);
  const { keySpec, publicKey } = found.key;
  if (isOaep(algorithm)) {
    assertOaepFits(keyObject, keySpec, algorithm, plaintext);
    return encryptOaep(keyObject, algorithm, plaintext);
  }
  if (plaintext.length > MAX_SM2_PLAINTEXT) {
    throw new KmsError(
      'ValidationException',
      `Algorithm ${algorithm} and key spec ${keySpec} cannot encrypt data larger than ${MAX_SM2_PLAINTEXT} bytes.`,
    );
  }
  return workedOut(call, `encryption with ${algorithm} under ${materialId}`, () =>
    offLoop('encryptSm2', Buffer.from(publicKey!, 'base64'), plaintext),
  );
}

/** Decrypts with the private key. Throws InvalidCiphertextException, whatever is wrong. */
export function decryptAsymmetric(
  found: FoundKey,
  algorithm: string,
  ciphertext: Uint8Array,
  call: Call,
  ports: DataPorts,
): Uint8Array {
  const { keyObject, materialId } = currentBackingKey(found, ports);
  const what = `decryption with ${algorithm} under ${materialId}`;
  if (isOaep(algorithm)) return workedOut(call, what, () => decryptOaep(keyObject, algorithm, ciphertext));
  const plaintext = workedOut(call, what, () => offLoop('decryptSm2', keyObject, ciphertext));
  if (!plaintext) throw invalidCiphertext();
  return plaintext;
}
