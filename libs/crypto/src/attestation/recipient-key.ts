import { createPublicKey, type KeyObject } from 'node:crypto';
import { isOneDerSequence } from './der';
import { invalidDocument } from './invalid-document';

const MIN_BITS = 2048;
const MAX_BITS = 4096;
/** FIPS 186-5, section 5.1, has it above 2^16; with a longer one than this, encryption is slow. */
const MAX_EXPONENT = 2n ** 64n;

/** The RSA key that a document names, DER SubjectPublicKeyInfo. Throws ValidationException, also where it names none. */
export function recipientKey(publicKey: Uint8Array | undefined): KeyObject {
  if (!publicKey) throw invalidDocument('it has no public_key to encrypt the response to');
  const key = isOneDerSequence(publicKey) ? parsed(publicKey) : undefined;
  const { modulusLength = 0, publicExponent = 0n } = key?.asymmetricKeyDetails ?? {};
  if (
    key?.asymmetricKeyType !== 'rsa' ||
    modulusLength < MIN_BITS ||
    modulusLength > MAX_BITS ||
    publicExponent < 3n ||
    publicExponent >= MAX_EXPONENT
  ) {
    throw invalidDocument(`its public_key is not an RSA public key of ${MIN_BITS} to ${MAX_BITS} bits in DER`);
  }
  return key;
}

function parsed(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
