import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { IV_LENGTH, open, sealInto, TAG_LENGTH } from './aes-gcm';
import { counterKdf, fixedInput } from './counter-kdf';

/**
 * A statement that crypto-workers sign and any service can check: a session token, or a grant token. The claims are in
 * clear; what is sealed, only crypto-workers can open. Numbers are big endian, the whole is in base64.
 *
 *   1  magic 0x54       1  version 1     1  kind
 *   2  length of claims, then claims (JSON, UTF-8)
 *   2  length of the sealed part (0 for none), then IV || ciphertext || tag, with all before the length as AAD
 *  64  Ed25519 signature (RFC 8032) over everything before it
 */
const MAGIC = 0x54;
const VERSION = 1;
const KINDS = { session: 1, grant: 2 } as const;
const SIGNATURE_LENGTH = 64;
const HEADER_LENGTH = 3;
const MAX_PART = 0xffff;

export type TokenKind = keyof typeof KINDS;

/** RFC 8410's PKCS #8 form of an Ed25519 private key, without the 32 bytes that end it. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Bytes of the seed that all token keys derive from. */
export const TOKEN_SEED_LENGTH = 32;

/** Makes tokens and opens what is sealed in them. Lives only in crypto-workers. */
export class TokenIssuer {
  readonly publicKey: TokenPublicKey;
  private readonly signingKey: KeyObject;
  private readonly sealingKey: Buffer;

  /** `seed`: TOKEN_SEED_LENGTH random bytes, the same for all crypto-workers. The caller may zeroise it afterwards. */
  constructor(seed: Uint8Array) {
    if (seed.length !== TOKEN_SEED_LENGTH) throw new RangeError(`a token seed has ${TOKEN_SEED_LENGTH} bytes`);
    const signingSeed = derive(seed, 'keytrail token signing key v1');
    const pkcs8 = Buffer.concat([PKCS8_PREFIX, signingSeed]);
    this.signingKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    for (const secret of [signingSeed, pkcs8]) secret.fill(0);
    this.sealingKey = derive(seed, 'keytrail token sealing key v1');
    this.publicKey = new TokenPublicKey(createPublicKey(this.signingKey));
  }

  /** `sealed`: a secret, with an IV (12 bytes) never used before. */
  issue(kind: TokenKind, claims: object, sealed?: { secret: Uint8Array; iv: Uint8Array }): string {
    const body = Buffer.from(JSON.stringify(claims), 'utf8');
    if (body.length > MAX_PART) throw new RangeError(`claims have at most ${MAX_PART} bytes`);
    const head = Buffer.concat([Buffer.of(MAGIC, VERSION, KINDS[kind]), uint16(body.length), body]);
    const box = sealed ? this.seal(head, sealed.secret, sealed.iv) : Buffer.alloc(0);
    const signed = Buffer.concat([head, uint16(box.length), box]);
    return Buffer.concat([signed, sign(null, signed, this.signingKey)]).toString('base64');
  }

  /** The sealed secret of a token, which the caller zeroises; undefined unless this issuer made the whole token. */
  openSealed(kind: TokenKind, token: string): Buffer | undefined {
    const parts = this.publicKey.partsOf(kind, token);
    if (!parts || parts.box.length < IV_LENGTH + TAG_LENGTH) return undefined;
    const { head, box } = parts;
    const tagAt = box.length - TAG_LENGTH;
    return open(
      this.sealingKey,
      box.subarray(0, IV_LENGTH),
      [head],
      box.subarray(IV_LENGTH, tagAt),
      box.subarray(tagAt),
    );
  }

  private seal(head: Buffer, secret: Uint8Array, iv: Uint8Array): Buffer {
    if (iv.length !== IV_LENGTH) throw new RangeError(`an IV has ${IV_LENGTH} bytes`);
    const box = Buffer.alloc(IV_LENGTH + secret.length + TAG_LENGTH);
    box.set(iv);
    sealInto(box, IV_LENGTH, this.sealingKey, iv, [head], secret);
    return box;
  }
}

interface TokenParts {
  head: Buffer;
  claims: Buffer;
  box: Buffer;
}

/** Checks tokens. */
export class TokenPublicKey {
  constructor(private readonly key: KeyObject) {}

  /** From `export()`. Throws for anything else. */
  static of(exported: string): TokenPublicKey {
    const key = createPublicKey({ key: Buffer.from(exported, 'base64'), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ed25519') throw new RangeError('not an Ed25519 public key');
    return new TokenPublicKey(key);
  }

  /** SubjectPublicKeyInfo (RFC 8410) in base64. */
  export(): string {
    return this.key.export({ format: 'der', type: 'spki' }).toString('base64');
  }

  /** The claims, or undefined unless the token is of this kind and a crypto-worker signed exactly it. */
  claimsOf<T>(kind: TokenKind, token: string): T | undefined {
    const parts = this.partsOf(kind, token);
    return parts && (JSON.parse(parts.claims.toString('utf8')) as T);
  }

  /** For TokenIssuer: the parts of a token that checks out. */
  partsOf(kind: TokenKind, token: string): TokenParts | undefined {
    const bytes = Buffer.from(token, 'base64');
    // Node's decoder passes over what is not base64: only one spelling of a token counts.
    if (bytes.length < HEADER_LENGTH + 4 + SIGNATURE_LENGTH || bytes.toString('base64') !== token) return undefined;
    if (bytes[0] !== MAGIC || bytes[1] !== VERSION || bytes[2] !== KINDS[kind]) return undefined;
    const end = bytes.length - SIGNATURE_LENGTH;
    const claimsEnd = HEADER_LENGTH + 2 + bytes.readUInt16BE(HEADER_LENGTH);
    if (claimsEnd + 2 > end || claimsEnd + 2 + bytes.readUInt16BE(claimsEnd) !== end) return undefined;
    if (!verify(null, bytes.subarray(0, end), this.key, bytes.subarray(end))) return undefined;
    return {
      head: bytes.subarray(0, claimsEnd),
      claims: bytes.subarray(HEADER_LENGTH + 2, claimsEnd),
      box: bytes.subarray(claimsEnd + 2, end),
    };
  }
}

const derive = (seed: Uint8Array, label: string): Buffer => counterKdf(seed, fixedInput(label, Buffer.alloc(0)));

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
