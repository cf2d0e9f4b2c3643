import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { type Operation, quotaClassOf } from '../operation';
import { OPERATION_TABLE } from '../table';
import { awsRate, isQuotaClass } from './quota-classes';
import { Quotas } from './quotas';

const operation = (name: string): Operation => OPERATION_TABLE.get(name)!;
const ALICE = { account: '111122223333', region: 'eu-west-3' };

/** How many of `count` requests at once are allowed. */
function allowed(quotas: Quotas, name: string, caller = ALICE, count = 2_010, now = 0): number {
  const refusals: unknown[] = [];
  for (let i = 0; i < count; i++) {
    try {
      quotas.charge(operation(name), caller, now);
    } catch (error) {
      refusals.push(error);
    }
  }
  expect(refusals.every((error) => error instanceof KmsError && error.code === 'ThrottlingException')).toBe(true);
  return count - refusals.length;
}

describe('request quotas', () => {
  it.each([...OPERATION_TABLE.values()].filter(({ service }) => service === 'kms'))(
    'have a class for $name',
    (operation) => {
      expect(isQuotaClass(quotaClassOf(operation)!)).toBe(true);
    },
  );

  it("are AWS's by default: each management operation for itself", () => {
    const quotas = new Quotas();
    expect(allowed(quotas, 'CreateKey')).toBe(5);
    expect(allowed(quotas, 'CreateAlias')).toBe(5);
    expect(allowed(quotas, 'DescribeKey')).toBe(2_000);
  });

  it('are shared by the cryptographic operations', () => {
    const quotas = new Quotas({ symmetric: 10 });
    const passed = ['Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateRandom'].map((name) =>
      allowed(quotas, name, ALICE, 4),
    );
    expect(passed).toEqual([4, 4, 2, 0]);
    expect(allowed(quotas, 'CreateKey')).toBe(5);
  });

  it.each([
    ['us-east-1', 100_000],
    ['eu-central-1', 20_000],
    ['sa-east-1', 10_000],
    ['our-own-region-1', 10_000],
  ])('for symmetric keys depend on the region: %s', (region, rate) => {
    expect(awsRate('symmetric', region)).toBe(rate);
    expect(awsRate('CreateKey', region)).toBe(5);
  });

  it('are charged to the account of the caller, in the region of the request', () => {
    const quotas = new Quotas({ DescribeKey: 3 });
    expect(allowed(quotas, 'DescribeKey', ALICE)).toBe(3);
    expect(allowed(quotas, 'DescribeKey', { ...ALICE, account: '444455556666' })).toBe(3);
    expect(allowed(quotas, 'DescribeKey', { ...ALICE, region: 'eu-west-1' })).toBe(3);
    expect(allowed(quotas, 'DescribeKey', ALICE)).toBe(0);
  });

  it("are refused in AWS's words", () => {
    const quotas = new Quotas({ DescribeKey: 1 });
    quotas.charge(operation('DescribeKey'), ALICE, 0);
    expect(() => quotas.charge(operation('DescribeKey'), ALICE, 0)).toThrow(
      'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
    );
  });

  it('come back with time', () => {
    const quotas = new Quotas({ DescribeKey: 3 });
    expect(allowed(quotas, 'DescribeKey', ALICE, 10, 0)).toBe(3);
    expect(allowed(quotas, 'DescribeKey', ALICE, 10, 1_000)).toBe(3);
  });

  it('take bounded memory, however many regions callers name', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 300 }), (regions) => {
        const quotas = new Quotas({}, 50);
        for (const region of regions) quotas.charge(operation('Encrypt'), { ...ALICE, region }, 0);
        expect(quotas.size).toBeLessThanOrEqual(50);
      }),
    );
  });
});
