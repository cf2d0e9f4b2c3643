import { awsRate, quotaClassOfPair } from './quota-classes';

test('data key pairs have a quota by what they are of', () => {
  const rates = (['RSA_2048', 'RSA_3072', 'RSA_4096', 'ECC_NIST_P521', 'ECC_NIST_EDWARDS25519', 'SM2'] as const).map(
    (spec) => [spec, awsRate(quotaClassOfPair(spec), 'us-east-1')],
  );
  expect(Object.fromEntries(rates)).toEqual({
    ...{ RSA_2048: 20, RSA_3072: 4, RSA_4096: 1 },
    ...{ ECC_NIST_P521: 100, ECC_NIST_EDWARDS25519: 100, SM2: 25 },
  });
});
