import fc from 'fast-check';
import { CURVES } from './curves';

const FIELDS = Object.entries(CURVES).map(([name, { field }]) => ({ name, field }));

describe.each(FIELDS)('scalars modulo the order of $name', ({ field }) => {
  const { order, byteLength } = field;
  /** Anywhere below the order, and close to its ends, where a carry or a borrow goes all the way. */
  const scalar = fc.oneof(
    fc.bigInt(0n, order - 1n),
    fc.bigInt(0n, 4n),
    fc.bigInt(0n, 4n).map((n) => order - 1n - n),
    fc.integer({ min: 1, max: order.toString(2).length - 1 }).map((bit) => (1n << BigInt(bit)) - 1n),
  );
  const bytesOf = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(2 * byteLength, '0'), 'hex');
  const numberOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const of = (value: bigint) => field.fromBytes(bytesOf(value));

  it('add, subtract and multiply as numbers do', () => {
    fc.assert(
      fc.property(scalar, scalar, (a, b) => {
        expect(numberOf(field.toBytes(field.add(of(a), of(b))))).toBe((a + b) % order);
        expect(numberOf(field.toBytes(field.subtract(of(a), of(b))))).toBe((((a - b) % order) + order) % order);
        expect(numberOf(field.toBytes(field.multiply(of(a), of(b))))).toBe((a * b) % order);
      }),
    );
  });

  it('have an inverse, whatever it was blinded with', () => {
    const nonZero = scalar.filter((value) => value % order !== 0n);
    fc.assert(
      fc.property(nonZero, nonZero, (a, blind) => {
        const inverse = numberOf(field.toBytes(field.invert(of(a), of(blind))));
        expect((inverse * a) % order).toBe(1n);
      }),
    );
  });

  it('are reduced where the bytes are a number past the order', () => {
    for (const past of [order, order + 1n, (1n << BigInt(order.toString(2).length)) - 1n]) {
      expect(numberOf(field.toBytes(field.fromBytes(bytesOf(past))))).toBe(past % order);
    }
  });

  it('can be private keys from 1 to the order less 1', () => {
    for (const value of [1n, 2n, order - 1n]) expect(field.holds(bytesOf(value))).toBe(true);
    for (const value of [0n, order, order + 1n, (1n << BigInt(8 * byteLength)) - 1n]) {
      expect(field.holds(bytesOf(value))).toBe(false);
    }
  });

  it('have no more bits than the order', () => {
    expect(() => field.fromBytes(new Uint8Array(byteLength + 1))).toThrow(RangeError);
    const tooMany = 1n << BigInt(order.toString(2).length);
    if (tooMany < 1n << BigInt(8 * byteLength)) expect(() => of(tooMany)).toThrow(RangeError);
  });
});
