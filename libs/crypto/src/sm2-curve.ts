import type { KeyObject } from 'node:crypto';
import { weierstrass } from '@noble/curves/abstract/weierstrass.js';

/** The curve of GB/T 32918.5-2017, sm2p256v1. */
export const Sm2Point = weierstrass({
  p: 0xfffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffffn,
  n: 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n,
  h: 1n,
  a: 0xfffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffcn,
  b: 0x28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93n,
  Gx: 0x32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7n,
  Gy: 0xbc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0n,
});

const SCALAR_LENGTH = 32;
/** `version 1, privateKey OCTET STRING of 32 bytes` of an ECPrivateKey (RFC 5915), which begin it. */
const BEFORE_SCALAR = Buffer.from('0201010420', 'hex');

/** The private scalar of a key on the curve: 32 bytes, which the caller zeroises. */
export function privateScalar(key: KeyObject): Buffer {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  try {
    const at = pkcs8.indexOf(BEFORE_SCALAR);
    if (at < 0) throw new RangeError('not a PKCS#8 key on a curve of 256 bits');
    const start = at + BEFORE_SCALAR.length;
    return Buffer.from(pkcs8.subarray(start, start + SCALAR_LENGTH));
  } finally {
    pkcs8.fill(0);
  }
}
