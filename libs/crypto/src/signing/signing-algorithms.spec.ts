import {
  assertLengthFits,
  assertTakes,
  MESSAGE_TYPES,
  type MessageType,
  type SigningAlgorithm,
} from './signing-algorithms';

const refusal = (algorithm: SigningAlgorithm, keySpec: string, messageType: MessageType, length: number): string => {
  try {
    assertTakes(algorithm, keySpec, messageType);
    assertLengthFits(algorithm, messageType, Buffer.alloc(length));
    return 'taken';
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
};

describe('the message of a signature', () => {
  it.each([
    ['RSASSA_PSS_SHA_256', 'RSA_2048', 32],
    ['RSASSA_PKCS1_V1_5_SHA_384', 'RSA_3072', 48],
    ['ECDSA_SHA_512', 'ECC_NIST_P521', 64],
    ['SM2DSA', 'SM2', 32],
  ] as const)('of %s can be anything, or a digest of the right length', (algorithm, keySpec, length) => {
    for (const raw of [1, length - 1, length, 4096]) expect(refusal(algorithm, keySpec, 'RAW', raw)).toBe('taken');
    expect(refusal(algorithm, keySpec, 'DIGEST', length)).toBe('taken');
    for (const other of [1, 20, length - 1, length + 1, 4096]) {
      expect(refusal(algorithm, keySpec, 'DIGEST', other)).toBe(
        `ValidationException: Digest is invalid length for algorithm ${algorithm}.`,
      );
    }
    expect(refusal(algorithm, keySpec, 'EXTERNAL_MU', 64)).toBe(
      `ValidationException: Message type EXTERNAL_MU is incompatible with key spec ${keySpec}.`,
    );
  });

  it('of ED25519_SHA_512 is the message, of ED25519_PH_SHA_512 its digest', () => {
    const of = (algorithm: SigningAlgorithm) =>
      MESSAGE_TYPES.map((type) => refusal(algorithm, 'ECC_NIST_EDWARDS25519', type, 64));
    expect(of('ED25519_SHA_512')).toEqual([
      'taken',
      'ValidationException: Message type DIGEST is incompatible with algorithm ED25519_SHA_512.',
      'ValidationException: Message type EXTERNAL_MU is incompatible with algorithm ED25519_SHA_512.',
    ]);
    expect(of('ED25519_PH_SHA_512')).toEqual([
      'ValidationException: Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.',
      'taken',
      'ValidationException: Message type EXTERNAL_MU is incompatible with algorithm ED25519_PH_SHA_512.',
    ]);
    expect(refusal('ED25519_PH_SHA_512', 'ECC_NIST_EDWARDS25519', 'DIGEST', 32)).toBe(
      'ValidationException: Digest is invalid length for algorithm ED25519_PH_SHA_512.',
    );
  });

  it('of ML-DSA is the message, or 64 bytes of mu', () => {
    const of = (type: MessageType, length: number) => refusal('ML_DSA_SHAKE_256', 'ML_DSA_44', type, length);
    expect(of('RAW', 4096)).toBe('taken');
    expect(of('EXTERNAL_MU', 64)).toBe('taken');
    expect(of('DIGEST', 64)).toBe('ValidationException: Message type DIGEST is incompatible with key spec ML_DSA_44.');
    for (const length of [32, 63, 65]) {
      expect(of('EXTERNAL_MU', length)).toBe(
        'ValidationException: External Mu is invalid length for algorithm ML_DSA_SHAKE_256.',
      );
    }
  });
});
