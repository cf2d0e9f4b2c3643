import { IV_LENGTH, open, sealInto, TAG_LENGTH } from './aes-gcm';
import { counterKdf, fixedInput } from './counter-kdf';
import {
  isWrappingAlgorithm,
  isWrappingKeySpec,
  type WrappingAlgorithm,
  type WrappingKeySpec,
} from './import-wrapping';

/**
 * An ImportToken: the private half of a wrapping key and what it is for, sealed, so that nobody has to keep it. Only crypto-workers
 * can make one and open it. Numbers are big endian.
 *
 *   1  magic 0x49     1  version 1     12  IV
 *   AES-256-GCM, with the first two bytes as AAD: 2  length of claims, claims (JSON, UTF-8), private key (PKCS #8); 16  tag
 *
 * With RSA_4096 it has some 2,600 bytes; the API lets it have 6,144.
 */
const MAGIC = 0x49;
const VERSION = 1;
const HEADER = Buffer.of(MAGIC, VERSION);
const SEALED_AT = HEADER.length + IV_LENGTH;

/** Whom it is for: material of this key, wrapped so, up to then. */
export interface ImportClaims {
  keyArn: string;
  wrappingAlgorithm: WrappingAlgorithm;
  wrappingKeySpec: WrappingKeySpec;
  /** ISO 8601. */
  validTo: string;
}

export interface OpenedImportToken extends ImportClaims {
  /** PKCS #8 in DER, which the caller zeroises. */
  privateKey: Buffer;
}

/** Makes and opens import tokens. Lives only in crypto-workers. */
export class ImportTokens {
  private readonly sealingKey: Buffer;

  /** `seed`: that of the TokenIssuer. The caller may zeroise it afterwards. */
  constructor(seed: Uint8Array) {
    this.sealingKey = counterKdf(seed, fixedInput('keytrail import token sealing key v1', Buffer.alloc(0)));
  }

  /** `iv`: IV_LENGTH bytes never used before. */
  seal(claims: ImportClaims, privateKey: Uint8Array, iv: Uint8Array): Buffer {
    if (iv.length !== IV_LENGTH) throw new RangeError(`an IV has ${IV_LENGTH} bytes`);
    const body = Buffer.from(JSON.stringify(claims), 'utf8');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(body.length);
    const inside = Buffer.concat([length, body, privateKey]);
    try {
      const token = Buffer.alloc(SEALED_AT + inside.length + TAG_LENGTH);
      token.set(HEADER);
      token.set(iv, HEADER.length);
      sealInto(token, SEALED_AT, this.sealingKey, iv, [HEADER], inside);
      return token;
    } finally {
      inside.fill(0);
    }
  }

  /** Undefined unless a crypto-worker of the same seed made exactly this token. */
  open(token: Uint8Array): OpenedImportToken | undefined {
    const tagAt = token.length - TAG_LENGTH;
    if (tagAt <= SEALED_AT || token[0] !== MAGIC || token[1] !== VERSION) return undefined;
    const iv = token.subarray(HEADER.length, SEALED_AT);
    const inside = open(this.sealingKey, iv, [HEADER], token.subarray(SEALED_AT, tagAt), token.subarray(tagAt));
    if (!inside) return undefined;
    try {
      const claimsEnd = 2 + inside.readUInt16BE(0);
      const claims = JSON.parse(inside.toString('utf8', 2, claimsEnd)) as ImportClaims;
      // A later version of Keytrail may have sealed what this one does not know.
      if (!isWrappingAlgorithm(claims.wrappingAlgorithm) || !isWrappingKeySpec(claims.wrappingKeySpec))
        return undefined;
      return { ...claims, privateKey: Buffer.from(inside.subarray(claimsEnd)) };
    } finally {
      inside.fill(0);
    }
  }
}
