import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { KEY_SPECS, type KeySpec } from '#domain/key/key-kinds';
import { OF_THE_KEY, type Operation, quotaClassOf } from '../operation';
import { OPERATION_TABLE } from '../table';
import { awsRate, isQuotaClass, quotaClassOfKey, quotaClassOfPair } from './quota-classes';
import { Quotas } from './quotas';

const operation = (name: string): Operation => OPERATION_TABLE.get(name)!;
const ALICE = { account: '111122223333', region: 'eu-west-3' };

/** Counts a call, on a key of this spec where it is a cryptographic one. */
function call(quotas: Quotas, name: string, caller = ALICE, now = 0, keySpec: KeySpec = 'SYMMETRIC_DEFAULT'): void {
  const counted = quotas.begin(operation(name), caller, now);
  counted?.as(quotaClassOfKey(keySpec));
  counted?.end();
}

/** How many of `count` requests at once are allowed. */
function allowed(quotas: Quotas, name: string, caller = ALICE, count = 2_010, now = 0, keySpec?: KeySpec): number {
  const refusals: unknown[] = [];
  for (let i = 0; i < count; i++) {
    try {
      call(quotas, name, caller, now, keySpec);
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
      const quotaClass = quotaClassOf(operation)!;
      expect(quotaClass === OF_THE_KEY || isQuotaClass(quotaClass)).toBe(true);
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

  it('are shared by what is done with keys of one kind, and by nothing else', () => {
    const quotas = new Quotas({ symmetric: 2, rsa: 3, ecc: 4, 'ml-dsa': 5 });
    const passed = (name: string, keySpec: KeySpec) => allowed(quotas, name, ALICE, 2, 0, keySpec);
    expect([passed('Sign', 'RSA_2048'), passed('Decrypt', 'RSA_4096')]).toEqual([2, 1]);
    expect([passed('Sign', 'ECC_NIST_P256'), passed('Verify', 'SM2')]).toEqual([2, 2]);
    expect(passed('Verify', 'ECC_NIST_EDWARDS25519')).toBe(0);
    expect(passed('Sign', 'ML_DSA_44')).toBe(2);
    expect([passed('GenerateMac', 'HMAC_256'), passed('Encrypt', 'SYMMETRIC_DEFAULT')]).toEqual([2, 0]);
  });

  it('are of each custom key store for itself', () => {
    const quotas = new Quotas({ 'custom-key-store': 2 });
    const ask = (storeId: string) => {
      const counted = quotas.begin(operation('Encrypt'), ALICE, 0)!;
      counted.as('custom-key-store', storeId);
      counted.end();
    };
    for (const storeId of ['cks-1', 'cks-2']) {
      ask(storeId);
      ask(storeId);
      expect(() => ask(storeId)).toThrow('You have exceeded the rate');
    }
    expect(allowed(quotas, 'Encrypt', ALICE, 4)).toBe(4);
    expect(awsRate('custom-key-store', 'us-east-1')).toBe(1_800);
  });

  it('count a call once, however often it is begun anew and whatever keys it is about', () => {
    const quotas = new Quotas({ rsa: 2, symmetric: 2 });
    const counted = quotas.begin(operation('ReEncrypt'), ALICE, 0)!;
    for (const quotaClass of ['rsa', 'symmetric', 'rsa'] as const) counted.as(quotaClass);
    counted.end();
    expect(allowed(quotas, 'Sign', ALICE, 5, 0, 'RSA_2048')).toBe(1);
    expect(allowed(quotas, 'Encrypt', ALICE, 5)).toBe(2);
  });

  it('count a call that found no key as one on a symmetric key', () => {
    const quotas = new Quotas({ symmetric: 1 });
    quotas.begin(operation('Sign'), ALICE, 0)!.end();
    expect(() => quotas.begin(operation('Sign'), ALICE, 0)!.end()).toThrow('You have exceeded the rate');
  });

  it('have a class for each kind of key, and of data key pairs by what they cost', () => {
    expect(Object.fromEntries(KEY_SPECS.map((spec) => [spec, quotaClassOfKey(spec)]))).toMatchObject({
      ...{ SYMMETRIC_DEFAULT: 'symmetric', HMAC_512: 'symmetric', RSA_3072: 'rsa', ECC_SECG_P256K1: 'ecc' },
      ...{ ECC_NIST_EDWARDS25519: 'ecc', SM2: 'ecc', ML_DSA_87: 'ml-dsa', ML_KEM_768: 'ml-kem' },
    });
    expect((['RSA_4096', 'ECC_NIST_P256'] as const).map(quotaClassOfPair)).toEqual([
      'GenerateDataKeyPair-rsa-4096',
      'GenerateDataKeyPair-ecc',
    ]);
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
    call(quotas, 'DescribeKey');
    expect(() => call(quotas, 'DescribeKey')).toThrow(
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
        for (const region of regions) call(quotas, 'Encrypt', { ...ALICE, region });
        expect(quotas.size).toBeLessThanOrEqual(50);
      }),
    );
  });
});
