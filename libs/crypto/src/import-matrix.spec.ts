import { generateKeyPairSync } from 'node:crypto';
import { newMaterial, wrap } from '../../../test/support/wrapping';
import { unwrapMaterial, WRAPPING_KEYS, type WrappingAlgorithm, type WrappingKeySpec } from './import-wrapping';
import { checkedMaterial, type ImportableSpec, mayWrap } from './imported-material';

const SPECS: ImportableSpec[] = [
  ...(['SYMMETRIC_DEFAULT', 'HMAC_224', 'HMAC_256', 'HMAC_384', 'HMAC_512'] as const),
  ...(['RSA_2048', 'RSA_3072', 'RSA_4096'] as const),
  ...(['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'ECC_SECG_P256K1', 'ECC_NIST_EDWARDS25519'] as const),
];
const ALGORITHMS: WrappingAlgorithm[] = [
  ...(['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const),
  ...(['RSA_AES_KEY_WRAP_SHA_1', 'RSA_AES_KEY_WRAP_SHA_256'] as const),
];

const MATERIALS = new Map(SPECS.map((keySpec) => [keySpec, newMaterial(keySpec)]));

describe.each(Object.entries(WRAPPING_KEYS) as [WrappingKeySpec, number][])('wrapped for %s', (wrappingKey, bits) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: bits,
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    publicKeyEncoding: { format: 'der', type: 'spki' },
  });
  const allowed = ALGORITHMS.flatMap((algorithm) =>
    SPECS.filter((keySpec) => mayWrap(algorithm, wrappingKey, keySpec)).map((keySpec) => [algorithm, keySpec] as const),
  );

  test.each(allowed)('with %s, material of %s arrives', async (algorithm, keySpec) => {
    const { material, publicKey: own } = MATERIALS.get(keySpec)!;
    const opened = await unwrapMaterial(algorithm, wrappingKey, privateKey, wrap(algorithm, publicKey, material));
    expect(opened).toEqual(material);
    expect(await checkedMaterial(keySpec, opened!)).toEqual({ material, publicKey: own });
  });
});
