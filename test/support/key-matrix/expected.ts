import type { KeyStateName } from '#domain/key/state-table';
import type { Kind } from '../key-sequences/kinds';
import { refusalByKind, refusalBySpec, refusalByState } from '../key-sequences/refusals';
import { MAKES_DATA_KEYS, type PublishedKind, USAGE_FOR } from '../published-key-kinds';
import { OK, type Outcome } from './client';

const unfit = (message: string): Outcome => ({ code: 'InvalidKeyUsageException', message });

/** What ReEncrypt is called of either key. */
export type Side = 'ReEncryptFrom' | 'ReEncryptTo';

/** Of an operation that needs a usage, or undefined where the key is for it. */
export const wrongUsage = (
  operation: string,
  { keyUsage }: PublishedKind,
  arn: string,
  side?: Side,
): Outcome | undefined =>
  USAGE_FOR[operation] === keyUsage
    ? undefined
    : unfit(`${arn} key usage is ${keyUsage} which is not valid for ${side ?? operation}.`);

/** Of a cryptographic operation with one of the API's algorithms, on an enabled key. */
export function withAlgorithm(
  operation: string,
  algorithm: string,
  kind: PublishedKind,
  arn: string,
  side?: Side,
): Outcome {
  const wrong = wrongUsage(operation, kind, arn, side);
  if (wrong) return wrong;
  if (kind.algorithms.includes(algorithm)) return OK;
  return unfit(`Algorithm ${algorithm} is incompatible with key spec ${kind.keySpec}.`);
}

const NO_DATA_KEYS = unfit('You cannot generate a data key with an asymmetric CMK');

/** Of an operation that makes data keys, on an enabled key. */
export const ofDataKeys = (operation: string, kind: PublishedKind, arn: string): Outcome =>
  wrongUsage(operation, kind, arn) ?? (kind.keySpec === 'SYMMETRIC_DEFAULT' ? OK : NO_DATA_KEYS);

const TAKES: [RegExp, string[]][] = [
  [/^(RSASSA|ECDSA|SM2)/, ['RAW', 'DIGEST']],
  [/^ML_DSA/, ['RAW', 'EXTERNAL_MU']],
  [/^ED25519_SHA/, ['RAW']],
  [/^ED25519_PH/, ['DIGEST']],
];

/** Which types of message an algorithm signs (API reference, Sign). */
export const messageTypesOf = (algorithm: string): string[] => TAKES.find(([name]) => name.test(algorithm))![1];

/** Of a signature over a message of some type, on an enabled key. */
export function withMessage(
  operation: string,
  algorithm: string,
  type: string,
  kind: PublishedKind,
  arn: string,
): Outcome {
  const outcome = withAlgorithm(operation, algorithm, kind, arn);
  if (outcome !== OK || messageTypesOf(algorithm).includes(type)) return outcome;
  const what = algorithm.startsWith('ED25519') ? `algorithm ${algorithm}` : `key spec ${kind.keySpec}`;
  return { code: 'ValidationException', message: `Message type ${type} is incompatible with ${what}.` };
}

const ON_ANY_KEY = ['CreateGrant', 'RetireGrant', 'DescribeKey'];
const BY_USAGE: Record<string, string[]> = {
  ENCRYPT_DECRYPT: ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo'],
  SIGN_VERIFY: ['Sign', 'Verify'],
  GENERATE_VERIFY_MAC: ['GenerateMac', 'VerifyMac'],
  KEY_AGREEMENT: ['DeriveSharedSecret'],
  ENCAPSULATE_DECAPSULATE: ['Encapsulate', 'Decapsulate'],
};

/** What a grant on a key can be of ("Grant operations" of the developer guide). */
export const grantable = (kind: PublishedKind): string[] => [
  ...ON_ANY_KEY,
  ...BY_USAGE[kind.keyUsage]!,
  ...(kind.isAsymmetric ? ['GetPublicKey'] : []),
  ...(kind.keySpec === 'SYMMETRIC_DEFAULT' ? MAKES_DATA_KEYS : []),
];
export const GRANT_OPERATIONS: string[] = [
  ...new Set([...ON_ANY_KEY, ...Object.values(BY_USAGE).flat(), 'GetPublicKey', ...MAKES_DATA_KEYS]),
];

const PHRASES: Partial<Record<KeyStateName, string>> = {
  Disabled: 'is disabled.',
  PendingDeletion: 'is pending deletion.',
  PendingReplicaDeletion: 'is pending replica deletion.',
  PendingImport: 'is pending import.',
};
const ORIGIN_MATTERS = /^(GetParametersForImport|ImportKeyMaterial|DeleteImportedKeyMaterial)$/;

/** Of any operation on a key of a kind, in a state. */
export function inState(
  operation: string,
  kind: Kind,
  role: 'PRIMARY' | 'REPLICA' | undefined,
  state: KeyStateName,
  arn: string,
): Outcome {
  const byKind = refusalByKind(operation, kind, { role, state });
  const side = operation === 'ReEncrypt' ? 'ReEncryptFrom' : undefined;
  if (byKind === 'InvalidKeyUsageException') return wrongUsage(operation, kind, arn, side)!;
  if (byKind !== undefined) {
    const byOrigin = ORIGIN_MATTERS.test(operation);
    return {
      code: byKind,
      ...(byOrigin && { message: `${arn} origin is ${kind.origin} which is not valid for this operation.` }),
    };
  }
  const byState = refusalByState(operation, state);
  if (byState === undefined) {
    const bySpec = refusalBySpec(operation, kind);
    if (bySpec === 'InvalidKeyUsageException') return NO_DATA_KEYS;
    return bySpec === undefined ? OK : { code: bySpec };
  }
  // What the state is, except that it is not the one which can be cancelled.
  const phrase = operation === 'CancelKeyDeletion' ? 'is not pending deletion.' : PHRASES[state]!;
  return { code: byState, ...(byState !== 'UnsupportedOperationException' && { message: `${arn} ${phrase}` }) };
}
