const LIMB_BITS = 22;
const RADIX = 2 ** LIMB_BITS;
const PER_RADIX = 2 ** -LIMB_BITS;

/** A number below the order: limbs of 22 bits, the lowest first. Whoever made one that is secret wipes it with `fill(0)`. */
export type Scalar = Float64Array;

/**
 * Arithmetic modulo the order of an elliptic curve, for scalars that are secret: Montgomery multiplication (Handbook of
 * Applied Cryptography, algorithm 14.36) in which neither branches nor addresses depend on the numbers, all of which stay
 * in arrays that can be wiped. A bigint offers neither.
 *
 * A column sums up two products of 44 bits for each limb: with the 24 limbs of P-521 it stays below 2^50, and exact.
 */
export class ScalarField {
  /** Of a number in bytes, big-endian. */
  readonly byteLength: number;
  /** All bits that a number of the order's length can have in its first byte. */
  readonly highestByte: number;
  private readonly size: number;
  private readonly modulus: Scalar;
  /** -modulus^-1 modulo the radix. */
  private readonly factor: number;
  /** R^2, where R is the radix to the power of `size`. */
  private readonly rSquared: Scalar;
  /** Columns of the multiplication that is under way; of one that is over only zeros. */
  private readonly columns: Float64Array;

  constructor(readonly order: bigint) {
    const bits = order.toString(2).length;
    this.byteLength = Math.ceil(bits / 8);
    this.highestByte = 0xff >> (8 * this.byteLength - bits);
    // Room for twice the order, which a sum or a product may be before it is reduced.
    this.size = Math.floor((bits + 1) / LIMB_BITS) + 1;
    this.modulus = this.fromPublic(order);
    this.factor = Number(inverseOf(-order & BigInt(RADIX - 1), BigInt(RADIX)));
    this.rSquared = this.fromPublic((1n << BigInt(2 * LIMB_BITS * this.size)) % order);
    this.columns = new Float64Array(this.size);
  }

  /** A number that nobody has to hide, below the order or reduced to it. */
  fromPublic(value: bigint): Scalar {
    const scalar = new Float64Array(this.size);
    let rest = value;
    for (let at = 0; at < this.size; at++, rest >>= BigInt(LIMB_BITS)) scalar[at] = Number(rest & BigInt(RADIX - 1));
    return scalar;
  }

  /** Big-endian, of as many bits as the order or fewer, reduced to below it. Throws RangeError for more. */
  fromBytes(bytes: Uint8Array): Scalar {
    if (bytes.length === this.byteLength && bytes[0]! > this.highestByte)
      throw new RangeError('more bits than the order');
    // No order is less than half of the numbers of its length.
    return this.normalised(this.unreduced(bytes));
  }

  /** Whether these bytes are a number from 1 to the order less 1. */
  holds(bytes: Uint8Array): boolean {
    const scalar = this.unreduced(bytes);
    let borrow = 0;
    let any = 0;
    for (let at = 0; at < this.size; at++) {
      any += scalar[at]!;
      borrow = -Math.floor((scalar[at]! - this.modulus[at]! - borrow) * PER_RADIX);
    }
    scalar.fill(0);
    return borrow === 1 && any !== 0;
  }

  /** `byteLength` bytes, big-endian. */
  toBytes(scalar: Scalar): Buffer {
    const bytes = Buffer.alloc(this.byteLength);
    let held = 0;
    let heldBits = 0;
    let limb = 0;
    for (let at = this.byteLength - 1; at >= 0; at--) {
      if (heldBits < 8 && limb < this.size) {
        held += scalar[limb++]! * 2 ** heldBits;
        heldBits += LIMB_BITS;
      }
      const rest = Math.floor(held / 256);
      bytes[at] = held - rest * 256;
      held = rest;
      heldBits -= 8;
    }
    return bytes;
  }

  add(a: Scalar, b: Scalar): Scalar {
    const sum = new Float64Array(this.size);
    for (let at = 0; at < this.size; at++) sum[at] = a[at]! + b[at]!;
    return this.normalised(sum);
  }

  subtract(a: Scalar, b: Scalar): Scalar {
    const difference = new Float64Array(this.size);
    // Of modulus + a - b every column may be negative, the number is not.
    for (let at = 0; at < this.size; at++) difference[at] = this.modulus[at]! + a[at]! - b[at]!;
    return this.normalised(difference);
  }

  multiply(a: Scalar, b: Scalar): Scalar {
    const byR = this.montgomery(a, b);
    const product = this.montgomery(byR, this.rSquared);
    byR.fill(0);
    return product;
  }

  /**
   * The inverse of a secret number other than 0. `blind` is random, secret, used once, and not 0: only the product of both,
   * which says nothing of either, is inverted with bigints.
   */
  invert(secret: Scalar, blind: Scalar): Scalar {
    const blinded = this.multiply(secret, blind);
    const inverse = this.fromPublic(inverseOf(this.toPublic(blinded), this.order));
    const unblinded = this.multiply(inverse, blind);
    blinded.fill(0);
    inverse.fill(0);
    return unblinded;
  }

  isZero(scalar: Scalar): boolean {
    let any = 0;
    for (let at = 0; at < this.size; at++) any += scalar[at]!;
    return any === 0;
  }

  private toPublic(scalar: Scalar): bigint {
    let value = 0n;
    for (let at = this.size - 1; at >= 0; at--) value = (value << BigInt(LIMB_BITS)) | BigInt(scalar[at]!);
    return value;
  }

  private unreduced(bytes: Uint8Array): Scalar {
    if (bytes.length > this.byteLength) throw new RangeError(`${bytes.length} bytes are more than ${this.byteLength}`);
    const scalar = new Float64Array(this.size);
    let held = 0;
    let heldBits = 0;
    let limb = 0;
    for (let at = bytes.length - 1; at >= 0; at--) {
      held += bytes[at]! * 2 ** heldBits;
      heldBits += 8;
      if (heldBits >= LIMB_BITS) {
        const rest = Math.floor(held * PER_RADIX);
        scalar[limb++] = held - rest * RADIX;
        held = rest;
        heldBits -= LIMB_BITS;
      }
    }
    if (limb < this.size) scalar[limb] = held;
    return scalar;
  }

  /** a * b / R. */
  private montgomery(a: Scalar, b: Scalar): Scalar {
    const { size, modulus, factor, columns } = this;
    for (let i = 0; i < size; i++) {
      const digit = a[i]!;
      const lowest = columns[0]! + digit * b[0]!;
      const low = lowest - Math.floor(lowest * PER_RADIX) * RADIX;
      const scaled = low * factor;
      const quotient = scaled - Math.floor(scaled * PER_RADIX) * RADIX;
      const carry = (lowest + quotient * modulus[0]!) * PER_RADIX;
      for (let j = 1; j < size; j++) columns[j - 1] = columns[j]! + digit * b[j]! + quotient * modulus[j]!;
      columns[size - 1] = 0;
      columns[0] = columns[0]! + carry;
    }
    const product = Float64Array.from(columns);
    columns.fill(0);
    return this.normalised(product);
  }

  /** In place: carries what columns hold too much or too little of, and takes the order off a number of less than twice it. */
  private normalised(columns: Float64Array): Scalar {
    const { size, modulus } = this;
    const less = new Float64Array(size);
    let carry = 0;
    let borrow = 0;
    for (let at = 0; at < size; at++) {
      const column = columns[at]! + carry;
      carry = Math.floor(column * PER_RADIX);
      const limb = column - carry * RADIX;
      columns[at] = limb;
      const left = limb - modulus[at]! - borrow;
      borrow = -Math.floor(left * PER_RADIX);
      less[at] = left + borrow * RADIX;
    }
    for (let at = 0; at < size; at++) columns[at] = borrow * columns[at]! + (1 - borrow) * less[at]!;
    less.fill(0);
    return columns;
  }
}

/** Extended Euclid; `value` has an inverse, and is nothing that anybody has to hide. */
function inverseOf(value: bigint, modulus: bigint): bigint {
  let [rest, next] = [modulus, value % modulus];
  let [factor, nextFactor] = [0n, 1n];
  while (next !== 0n) {
    const quotient = rest / next;
    [rest, next] = [next, rest - quotient * next];
    [factor, nextFactor] = [nextFactor, factor - quotient * nextFactor];
  }
  return ((factor % modulus) + modulus) % modulus;
}
