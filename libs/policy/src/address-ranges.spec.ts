import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { compileAddressRanges } from './address-ranges';

/** Few numbers, so that addresses and ranges meet. */
const ipv4 = fc
  .tuple(...Array(4).fill(fc.constantFrom(0, 1, 9, 10, 99, 127, 128, 255)))
  .map((parts) => parts.join('.'));
const ipv6 = fc.oneof(
  ipv4.map((address) => `::ffff:${address}`),
  fc.constantFrom('::', '::1', '2001:db8::1', '2001:db8:1::', 'fe80::1'),
);
const range = fc.oneof(
  fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })),
  fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })),
);

test('says of every address what the list of node says', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), fc.oneof(ipv4, ipv6), (ranges, address) => {
      const expected = new BlockList();
      for (const [base, prefix] of ranges) expected.addSubnet(base, prefix, isIP(base) === 6 ? 'ipv6' : 'ipv4');
      const isIn = compileAddressRanges(ranges.map(([base, prefix]) => `${base}/${prefix}`));
      expect(isIn(address)).toBe(expected.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'));
    }),
    { numRuns: 2_000 },
  );
});

test('takes for addresses what node takes for them', () => {
  const isIn = compileAddressRanges(['0.0.0.0/0', '::/0']);
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom('0', '1', '25', '.', '.', ':', '%', ' '), maxLength: 16 }),
    fc
      .array(fc.constantFrom('0', '00', '01', '7', '255', '256', '1000', '', '-1', '+1'), { maxLength: 5 })
      .map((parts) => parts.join('.')),
    fc.constantFrom('fe80::1%eth0', '1.2.3.4%eth0', '1.2.3.4/8', '', '١.1.1.1'),
  );
  fc.assert(
    fc.property(text, (address) => {
      expect(isIn(address)).toBe(isIP(address) !== 0 && !address.includes('%'));
    }),
    { numRuns: 5_000 },
  );
});
