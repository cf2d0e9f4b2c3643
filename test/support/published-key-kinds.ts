/**
 * What there is of keys, written down a second time from the published tables ("Key spec reference", "Importing key material",
 * "Reference: Key types" of the developer guide): key specs, usage, algorithms, whether such a key has a public half, and
 * whether its material can be imported.
 */
const PUBLISHED = `
SYMMETRIC_DEFAULT                               | ENCRYPT_DECRYPT         | SYMMETRIC_DEFAULT                      | secret | import
RSA_2048, RSA_3072, RSA_4096                    | ENCRYPT_DECRYPT         | RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256    | public | import
RSA_2048, RSA_3072, RSA_4096                    | SIGN_VERIFY             | RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512 RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 | public | import
ECC_NIST_P256, ECC_SECG_P256K1                  | SIGN_VERIFY             | ECDSA_SHA_256                          | public | import
ECC_NIST_P384                                   | SIGN_VERIFY             | ECDSA_SHA_384                          | public | import
ECC_NIST_P521                                   | SIGN_VERIFY             | ECDSA_SHA_512                          | public | import
ECC_NIST_EDWARDS25519                           | SIGN_VERIFY             | ED25519_SHA_512 ED25519_PH_SHA_512     | public | import
ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521     | KEY_AGREEMENT           | ECDH                                   | public | import
HMAC_224                                        | GENERATE_VERIFY_MAC     | HMAC_SHA_224                           | secret | import
HMAC_256                                        | GENERATE_VERIFY_MAC     | HMAC_SHA_256                           | secret | import
HMAC_384                                        | GENERATE_VERIFY_MAC     | HMAC_SHA_384                           | secret | import
HMAC_512                                        | GENERATE_VERIFY_MAC     | HMAC_SHA_512                           | secret | import
SM2                                             | ENCRYPT_DECRYPT         | SM2PKE                                 | public | no
SM2                                             | SIGN_VERIFY             | SM2DSA                                 | public | no
SM2                                             | KEY_AGREEMENT           | ECDH                                   | public | no
ML_DSA_44, ML_DSA_65, ML_DSA_87                 | SIGN_VERIFY             | ML_DSA_SHAKE_256                       | public | no
ML_KEM_512, ML_KEM_768, ML_KEM_1024             | ENCAPSULATE_DECAPSULATE | ML_KEM                                 | public | no
`;

export interface PublishedKind {
  keySpec: string;
  keyUsage: string;
  algorithms: string[];
  /** Whether it has a public half. */
  isAsymmetric: boolean;
  isImportable: boolean;
}

/** Each spec with each usage that it has. */
export const PUBLISHED_KINDS: readonly PublishedKind[] = PUBLISHED.trim()
  .split('\n')
  .flatMap((line) => {
    const [specs, keyUsage, algorithms, half, material] = line.split('|').map((cell) => cell.trim());
    return specs!.split(', ').map((keySpec) => ({
      keySpec,
      keyUsage: keyUsage!,
      algorithms: algorithms!.split(' '),
      isAsymmetric: half === 'public',
      isImportable: material === 'import',
    }));
  });

export const PUBLISHED_SPECS: readonly string[] = [...new Set(PUBLISHED_KINDS.map(({ keySpec }) => keySpec))];
export const PUBLISHED_USAGES: readonly string[] = [...new Set(PUBLISHED_KINDS.map(({ keyUsage }) => keyUsage))];

/** All algorithms of keys with this usage. */
export const algorithmsFor = (keyUsage: string): string[] => [
  ...new Set(PUBLISHED_KINDS.flatMap((kind) => (kind.keyUsage === keyUsage ? kind.algorithms : []))),
];

/** What a key must be for, as the API reference of each cryptographic operation says. */
export const USAGE_FOR: Readonly<Record<string, string>> = {
  Encrypt: 'ENCRYPT_DECRYPT',
  Decrypt: 'ENCRYPT_DECRYPT',
  ReEncrypt: 'ENCRYPT_DECRYPT',
  GenerateDataKey: 'ENCRYPT_DECRYPT',
  GenerateDataKeyWithoutPlaintext: 'ENCRYPT_DECRYPT',
  GenerateDataKeyPair: 'ENCRYPT_DECRYPT',
  GenerateDataKeyPairWithoutPlaintext: 'ENCRYPT_DECRYPT',
  Sign: 'SIGN_VERIFY',
  Verify: 'SIGN_VERIFY',
  GenerateMac: 'GENERATE_VERIFY_MAC',
  VerifyMac: 'GENERATE_VERIFY_MAC',
  DeriveSharedSecret: 'KEY_AGREEMENT',
  Encapsulate: 'ENCAPSULATE_DECAPSULATE',
  Decapsulate: 'ENCAPSULATE_DECAPSULATE',
};

/** Of those, the ones that are for symmetric encryption keys alone. */
export const MAKES_DATA_KEYS: readonly string[] = Object.keys(USAGE_FOR).filter((name) => /DataKey/.test(name));
