import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import type { KeyPair as Signer } from 'nats-jwt';
import { createAccount, createCurve, fromCurveSeed, fromSeed, type KeyPair } from 'nkeys.js';

/** NATS nkey seeds of auth callout. Who holds the first can make a NATS user with any permissions. */
export interface CalloutSeeds {
  /** `SA...`: signs who may do what. */
  issuer: string;
  /** `SX...`: opens what nats-server asks, so that secrets do not cross NATS in clear. */
  xkey: string;
}

/** What nats-server's configuration names: the public keys of both. */
export type CalloutPublicKeys = CalloutSeeds;

export interface CalloutKeys {
  issuer: Signer;
  xkey: KeyPair;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('ascii');

export const newCalloutSeeds = (): CalloutSeeds => ({
  issuer: text(createAccount().getSeed()),
  xkey: text(createCurve().getSeed()),
});

/** Throws unless both are whole seeds of their kind. */
export function calloutKeys({ issuer, xkey }: CalloutSeeds): CalloutKeys {
  if (!isIssuerSeed(issuer) || !isXkeySeed(xkey)) throw new Error('auth callout: expected seeds SA... and SX...');
  return { issuer: new NativeSigner(fromSeed(Buffer.from(issuer))), xkey: fromCurveSeed(Buffer.from(xkey)) };
}

/** Whether it is a whole seed, checksum and all. */
export const isIssuerSeed = (text: string): boolean => isSeed(text, 'SA', fromSeed);
export const isXkeySeed = (text: string): boolean => isSeed(text, 'SX', fromCurveSeed);

function isSeed(text: string, prefix: string, parse: (seed: Uint8Array) => KeyPair): boolean {
  try {
    parse(Buffer.from(text)).getPublicKey();
    return text.startsWith(prefix);
  } catch {
    return false;
  }
}

export function calloutPublicKeys(seeds: CalloutSeeds): CalloutPublicKeys {
  const { issuer, xkey } = calloutKeys(seeds);
  return { issuer: issuer.getPublicKey(), xkey: xkey.getPublicKey() };
}

/** RFC 8410's PKCS #8 form of an Ed25519 private key, without the 32 bytes that end it. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Signs with Node's Ed25519: that of nkeys.js is JavaScript, and takes milliseconds of the event loop for each signature. */
class NativeSigner implements Signer {
  private readonly key: KeyObject;
  private readonly publicKey: string;

  constructor(private readonly pair: KeyPair) {
    this.publicKey = pair.getPublicKey();
    const seed = rawSeed(text(pair.getSeed()));
    this.key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
    seed.fill(0);
  }

  getPublicKey(): string {
    return this.publicKey;
  }

  sign(input: Uint8Array): Uint8Array {
    return sign(null, input, this.key);
  }

  getPrivateKey = (): Uint8Array => this.pair.getPrivateKey();
  getSeed = (): Uint8Array => this.pair.getSeed();
  verify = (input: Uint8Array, signature: Uint8Array): boolean => this.pair.verify(input, signature);
  clear = (): void => this.pair.clear();
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** A seed that nkeys.js has taken is base32 of 2 bytes of kind, 32 of seed and 2 of checksum. */
function rawSeed(seed: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const character of seed) {
    held = ((held << 5) | BASE32.indexOf(character)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 0xff);
    }
  }
  return Buffer.from(bytes.slice(2, 34));
}
