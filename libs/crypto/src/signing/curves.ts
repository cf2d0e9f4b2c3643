import { createECDH, randomBytes } from 'node:crypto';
import { type Scalar, ScalarField } from './scalar-field';

/** A curve on which keys sign. Sources: SEC 2 version 2.0, sections 2.4 to 2.6; GB/T 32918.5 for SM2. */
export interface Curve {
  /** OpenSSL's name of it. */
  name: string;
  field: ScalarField;
}

const curve = (name: string, order: string): Curve => ({ name, field: new ScalarField(BigInt(`0x${order}`)) });

export const CURVES = {
  ECC_NIST_P256: curve('prime256v1', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  ECC_NIST_P384: curve(
    'secp384r1',
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  ),
  ECC_NIST_P521: curve(
    'secp521r1',
    '1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  ),
  ECC_SECG_P256K1: curve('secp256k1', 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'),
  SM2: curve('SM2', 'fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123'),
} as const satisfies Record<string, Curve>;

/** A number for one signature, and the x-coordinate of that many times the base point. */
export interface Nonce {
  k: Scalar;
  x: Buffer;
}

/** Secret and random, from 1 to the order less 1: FIPS 186-5 appendix A.3.2, "rejection sampling". */
export function randomScalarBytes({ field }: Curve, random: (length: number) => Buffer = randomBytes): Buffer {
  for (;;) {
    const bytes = random(field.byteLength);
    bytes[0]! &= field.highestByte;
    if (field.holds(bytes)) return bytes;
    bytes.fill(0);
  }
}

/** OpenSSL multiplies the base point, in constant time. `bytes` are wiped here, the caller wipes `k`. */
export function nonceOf({ name, field }: Curve, bytes: Buffer): Nonce {
  try {
    const ecdh = createECDH(name);
    ecdh.setPrivateKey(bytes);
    // 0x04, x, y. On each of these curves a coordinate is as long as the order.
    return { k: field.fromBytes(bytes), x: ecdh.getPublicKey().subarray(1, 1 + field.byteLength) };
  } finally {
    bytes.fill(0);
  }
}
