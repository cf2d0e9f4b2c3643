import { KmsError } from '#domain/errors';

/** What the bytes to be signed are: a message, its digest, or the representative mu of ML-DSA (FIPS 204 section 6.2). */
export const MESSAGE_TYPES = ['RAW', 'DIGEST', 'EXTERNAL_MU'] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

interface Rules {
  takes: readonly MessageType[];
  /** Bytes of a digest or mu. */
  length: number;
  /** Whether it is the algorithm, of several that the key has, that does not take a message type. */
  oneOfSeveral?: true;
}

const hashing = (length: number): Rules => ({ takes: ['RAW', 'DIGEST'], length });

/** Signing algorithms in the order in which AWS lists them, and which messages each takes (API reference of Sign, MessageType). */
const RULES = {
  RSASSA_PSS_SHA_256: hashing(32),
  RSASSA_PSS_SHA_384: hashing(48),
  RSASSA_PSS_SHA_512: hashing(64),
  RSASSA_PKCS1_V1_5_SHA_256: hashing(32),
  RSASSA_PKCS1_V1_5_SHA_384: hashing(48),
  RSASSA_PKCS1_V1_5_SHA_512: hashing(64),
  ECDSA_SHA_256: hashing(32),
  ECDSA_SHA_384: hashing(48),
  ECDSA_SHA_512: hashing(64),
  ED25519_SHA_512: { takes: ['RAW'], length: 64, oneOfSeveral: true },
  ED25519_PH_SHA_512: { takes: ['DIGEST'], length: 64, oneOfSeveral: true },
  SM2DSA: hashing(32),
  ML_DSA_SHAKE_256: { takes: ['RAW', 'EXTERNAL_MU'], length: 64 },
} as const satisfies Record<string, Rules>;

export type SigningAlgorithm = keyof typeof RULES;
export const SIGNING_ALGORITHMS = Object.keys(RULES) as SigningAlgorithm[];

/** Throws ValidationException where the algorithm does not take this type of message. */
export function assertTakes(algorithm: SigningAlgorithm, keySpec: string, messageType: MessageType): void {
  const { takes, oneOfSeveral }: Rules = RULES[algorithm];
  if (takes.includes(messageType)) return;
  const what = oneOfSeveral ? `algorithm ${algorithm}` : `key spec ${keySpec}`;
  throw new KmsError('ValidationException', `Message type ${messageType} is incompatible with ${what}.`);
}

/** Throws ValidationException where what stands for a message is not of the length that the algorithm has it in. */
export function assertLengthFits(algorithm: SigningAlgorithm, messageType: MessageType, message: Uint8Array): void {
  if (messageType === 'RAW' || message.length === RULES[algorithm].length) return;
  const what = messageType === 'DIGEST' ? 'Digest' : 'External Mu';
  throw new KmsError('ValidationException', `${what} is invalid length for algorithm ${algorithm}.`);
}
