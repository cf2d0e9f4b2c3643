import { createHash, timingSafeEqual } from 'node:crypto';
import { der, derUnsigned, INTEGER, OCTET_STRING, readDer, SEQUENCE } from './der';
import { Sm2Point } from './sm2-curve';

/** SM2PKE: GB/T 32918.4-2016, section 6; ciphertexts are in DER, as GM/T 0009 and OpenSSL have them. */
const COORDINATE = 32;
const POINT = 1 + 2 * COORDINATE;
const HASH = 32;
/** Enough that the scalar made of them is as good as uniform: FIPS 186-5, appendix A.3.1. */
export const SM2_RANDOM_LENGTH = 40;
/** AWS's bound, of the Encrypt reference. */
export const MAX_SM2_PLAINTEXT = 1024;

type Point = InstanceType<typeof Sm2Point>;

/**
 * A ciphertext, or undefined where `random`, SM2_RANDOM_LENGTH fresh bytes, happens to give a mask of zeros: then with
 * others. `publicKey`: the uncompressed point, or a SubjectPublicKeyInfo, which ends with it. Throws where it is none on the curve.
 */
export function encryptSm2(publicKey: Uint8Array, plaintext: Uint8Array, random: Uint8Array): Buffer | undefined {
  const scalar = scalarOf(random);
  const shared = Sm2Point.fromBytes(publicKey.subarray(-POINT)).multiply(scalar);
  const masked = mask(shared, plaintext);
  if (!masked) return undefined;
  const own = affine(Sm2Point.BASE.multiply(scalar));
  return encode(own.subarray(0, COORDINATE), own.subarray(COORDINATE), check(shared, plaintext), masked);
}

/** The plaintext, which the caller zeroises; undefined for whatever is no ciphertext under the key. */
export function decryptSm2(privateScalar: Uint8Array, ciphertext: Uint8Array): Buffer | undefined {
  const parts = decode(ciphertext);
  if (!parts) return undefined;
  const shared = parts.point.multiply(numberOf(privateScalar));
  const plaintext = mask(shared, parts.masked);
  if (!plaintext) return undefined;
  if (timingSafeEqual(check(shared, plaintext), parts.check)) return plaintext;
  plaintext.fill(0);
  return undefined;
}

/** `bytes` XOR the key stream of the shared point; undefined where that is all zeros. */
function mask(shared: Point, bytes: Uint8Array): Buffer | undefined {
  const secret = affine(shared);
  const stream = keyStream(secret, bytes.length);
  secret.fill(0);
  if (bytes.length > 0 && stream.every((byte) => byte === 0)) return undefined;
  for (let at = 0; at < stream.length; at++) stream[at]! ^= bytes[at]!;
  return stream;
}

/** The KDF of section 5.4.3: SM3 of the secret and a counter from 1. */
function keyStream(secret: Uint8Array, length: number): Buffer {
  const stream = Buffer.alloc(Math.ceil(length / HASH) * HASH);
  const counter = Buffer.alloc(4);
  for (let block = 0; block * HASH < length; block++) {
    counter.writeUInt32BE(block + 1);
    const part = createHash('sm3').update(secret).update(counter).digest();
    part.copy(stream, block * HASH);
    part.fill(0);
  }
  return stream.subarray(0, length);
}

function check(shared: Point, plaintext: Uint8Array): Buffer {
  const secret = affine(shared);
  try {
    return createHash('sm3')
      .update(secret.subarray(0, COORDINATE))
      .update(plaintext)
      .update(secret.subarray(COORDINATE))
      .digest();
  } finally {
    secret.fill(0);
  }
}

const encode = (x: Uint8Array, y: Uint8Array, hash: Uint8Array, masked: Uint8Array): Buffer =>
  der(SEQUENCE, derUnsigned(x), derUnsigned(y), der(OCTET_STRING, hash), der(OCTET_STRING, masked));

function decode(ciphertext: Uint8Array): { point: Point; check: Buffer; masked: Buffer } | undefined {
  const [body] = readDer(ciphertext, SEQUENCE) ?? [];
  const [x, y, hash, masked] = (body && readDer(body, INTEGER, INTEGER, OCTET_STRING, OCTET_STRING)) ?? [];
  if (!x || !y || !hash || !masked || hash.length !== HASH || masked.length === 0) return undefined;
  if (!encode(x, y, hash, masked).equals(ciphertext)) return undefined;
  try {
    const point = Sm2Point.fromAffine({ x: numberOf(x), y: numberOf(y) });
    point.assertValidity();
    return { point, check: hash, masked };
  } catch {
    return undefined;
  }
}

/** x and y, which whoever asks for them of a shared point zeroises. */
const affine = (point: Point): Uint8Array => point.toBytes(false).subarray(1);

/** 1 to n - 1. */
function scalarOf(random: Uint8Array): bigint {
  if (random.length !== SM2_RANDOM_LENGTH) throw new RangeError(`${SM2_RANDOM_LENGTH} random bytes are needed`);
  return (numberOf(random) % (Sm2Point.CURVE().n - 1n)) + 1n;
}

const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
