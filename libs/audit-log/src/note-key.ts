import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { decodeBase64 } from './base64';
import { MalformedError } from './proof-errors';

/**
 * What a key signs, and the byte that says so (C2SP signed-note, "Signature types"): the text of a note, or, as a witness,
 * a text at a time (C2SP tlog-cosignature). Both are Ed25519. Of the others none is read here.
 */
export const SIGNATURE_TYPES = { note: 0x01, cosignature: 0x04 } as const;

export type SignatureType = keyof typeof SIGNATURE_TYPES;

/** A public key, and the name under which it signs. */
export interface VerifierKey {
  /** Not empty; without white space and plus. */
  name: string;
  /** Tells apart what several keys of a name have signed; no proof of anything. */
  id: number;
  type: SignatureType;
  /** 32 bytes (RFC 8032). */
  publicKey: Buffer;
}

/** A private key as it is written down: for tools and tests. Keytrail's own stays in crypto-workers. */
export interface SignerKey extends VerifierKey {
  /** 32 bytes (RFC 8032). */
  seed: Buffer;
}

/** Bytes of an Ed25519 public key, and of a seed. */
const KEY_LENGTH = 32;
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_LENGTH = 64;
const PRIVATE = 'PRIVATE+KEY+';

/** RFC 8410's forms of an Ed25519 key, without the 32 bytes that end them. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

const BAD_NAME = /[\p{White_Space}\p{Cc}\p{Surrogate}+]/u;

export const isKeyName = (name: string): boolean => name !== '' && !BAD_NAME.test(name);

/** The key of a name. Throws RangeError for a name or public key that no key can have. */
export function verifierKey(name: string, publicKey: Uint8Array, type: SignatureType = 'note'): VerifierKey {
  if (!isKeyName(name)) throw new RangeError('the name of a key is not empty, and has no white space and no plus');
  if (publicKey.length !== KEY_LENGTH) throw new RangeError(`an Ed25519 public key has ${KEY_LENGTH} bytes`);
  return { name, id: keyId(name, type, publicKey), type, publicKey: Buffer.from(publicKey) };
}

/** `<name>+<key id in hex>+<base64 of type and key>`: the form in which public keys are handed out. */
export const encodeVerifierKey = ({ name, id, type, publicKey }: VerifierKey): string =>
  `${name}+${hexId(id)}+${encodeMaterial(type, publicKey)}`;

/** Reads `encodeVerifierKey`'s form. Throws MalformedError for anything else, and for a key of another type. */
export function parseVerifierKey(text: string, type: SignatureType = 'note'): VerifierKey {
  const { name, id, material } = parseKeyText('verifier key', text, type);
  const key = verifierKey(name, material, type);
  if (key.id !== id) throw new MalformedError('the verifier key has an id that is not that of its name and key');
  return key;
}

/** `PRIVATE+KEY+<name>+<key id in hex>+<base64 of type and seed>`, as golang.org/x/mod/sumdb/note writes it. */
export const encodeSignerKey = ({ name, id, type, seed }: SignerKey): string =>
  `${PRIVATE}${name}+${hexId(id)}+${encodeMaterial(type, seed)}`;

/** Reads `encodeSignerKey`'s form. Throws MalformedError, which does not repeat what was read. */
export function parseSignerKey(text: string, type: SignatureType = 'note'): SignerKey {
  if (!text.startsWith(PRIVATE)) throw new MalformedError(`a signer key starts with ${PRIVATE}`);
  const { name, id, material } = parseKeyText('signer key', text.slice(PRIVATE.length), type);
  const key = signerKey(name, material, type);
  if (key.id !== id) throw new MalformedError('the signer key has an id that is not that of its name and key');
  return key;
}

/** The key of a name and a seed of 32 bytes. Throws RangeError as `verifierKey` does. */
export function signerKey(name: string, seed: Uint8Array, type: SignatureType = 'note'): SignerKey {
  if (seed.length !== KEY_LENGTH) throw new RangeError(`an Ed25519 seed has ${KEY_LENGTH} bytes`);
  const publicKey = createPublicKey(privateKeyOf(seed)).export({ format: 'der', type: 'spki' });
  return { ...verifierKey(name, publicKey.subarray(SPKI_PREFIX.length), type), seed: Buffer.from(seed) };
}

/** The Ed25519 signature (RFC 8032) of a written-down key. */
export const signWith = ({ seed }: SignerKey, message: Uint8Array): Buffer => sign(null, message, privateKeyOf(seed));

/** Whether this key made this Ed25519 signature over exactly this message. */
export function isSignedBy({ publicKey }: VerifierKey, message: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}

/** `<name>+<key id>`: how messages name a key. */
export const keyLabel = ({ name, id }: { name: string; id: number }): string => `${name}+${hexId(id)}`;

/** The first four bytes of SHA-256(name || 0x0A || type || public key), big endian. */
function keyId(name: string, type: SignatureType, publicKey: Uint8Array): number {
  const hash = createHash('sha256').update(`${name}\n`, 'utf8').update(Buffer.of(SIGNATURE_TYPES[type]));
  return hash.update(publicKey).digest().readUInt32BE();
}

function parseKeyText(what: string, text: string, type: SignatureType): { name: string; id: number; material: Buffer } {
  const parts = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text);
  if (!parts) throw new MalformedError(`a ${what} is <name>+<key id, 8 hexadecimal digits>+<base64>`);
  const [, name, id, encoded] = parts as unknown as [string, string, string, string];
  if (!isKeyName(name)) throw new MalformedError(`the name in the ${what} is empty or has white space in it`);
  const material = decodeBase64(encoded);
  if (!material || material.length === 0) throw new MalformedError(`the ${what} does not end in base64`);
  if (material[0] !== SIGNATURE_TYPES[type]) {
    throw new MalformedError(
      `the ${what} is of signature type ${hexByte(material[0]!)}, not ${hexByte(SIGNATURE_TYPES[type])}`,
    );
  }
  if (material.length !== 1 + KEY_LENGTH) {
    throw new MalformedError(`the ${what} has a key of ${material.length - 1} bytes, not ${KEY_LENGTH}`);
  }
  return { name, id: Number.parseInt(id, 16), material: material.subarray(1) };
}

const privateKeyOf = (seed: Uint8Array) =>
  createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });

const encodeMaterial = (type: SignatureType, key: Uint8Array): string =>
  Buffer.concat([Buffer.of(SIGNATURE_TYPES[type]), key]).toString('base64');

const hexId = (id: number): string => id.toString(16).padStart(8, '0');
const hexByte = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`;
