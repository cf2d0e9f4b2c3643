import type { KeyStateName } from '#domain/key/state-table';
import { MAKES_DATA_KEYS, USAGE_FOR } from '../published-key-kinds';
import { PUBLISHED_CELLS } from '../published-states';
import type { Kind } from './kinds';

/** What the policy of a service's key lets the account do with it. */
const ON_MANAGED_KEYS = /^(Encrypt|Decrypt|ReEncrypt|GenerateDataKey.*|Describe.*|Get.*|List.*)$/;
/** Whom the policy of the key is not asked about. */
const OF_GRANTS_AND_ALIASES = ['RetireGrant', 'DeleteAlias'];
const IMPORTS = ['GetParametersForImport', 'ImportKeyMaterial', 'DeleteImportedKeyMaterial'];
const SWITCH_ROTATION = ['EnableKeyRotation', 'DisableKeyRotation'];
const ROTATIONS = [...SWITCH_ROTATION, 'RotateKeyOnDemand'];
/** What a key that has no rotation is refused, once its state allows it; that it does not rotate it may be told. */
const BEGIN_ROTATION = ['EnableKeyRotation', 'RotateKeyOnDemand'];
const OF_PRIMARIES = ['ReplicateKey', 'UpdatePrimaryRegion'];

/** As a caller sees the key. */
export interface Seen {
  state: KeyStateName;
  role: 'PRIMARY' | 'REPLICA' | undefined;
}

/**
 * What an operation is refused with on a key of this kind, before its state is looked at. Of a key without a public half that
 * it is disabled counts for nothing.
 */
export function refusalByKind(operation: string, kind: Kind, { role, state }: Seen): string | undefined {
  if (kind.managed && !ON_MANAGED_KEYS.test(operation) && !OF_GRANTS_AND_ALIASES.includes(operation))
    return 'AccessDeniedException';
  const usage = USAGE_FOR[operation];
  if (usage !== undefined && usage !== kind.keyUsage) return 'InvalidKeyUsageException';
  const isSymmetric = kind.keySpec === 'SYMMETRIC_DEFAULT';
  const unsupported =
    (operation === 'GetPublicKey' && !kind.isAsymmetric && state === 'Disabled') ||
    (IMPORTS.includes(operation) && kind.origin !== 'EXTERNAL') ||
    (operation === 'ListKeyRotations' && !isSymmetric) ||
    (SWITCH_ROTATION.includes(operation) && kind.origin !== 'AWS_KMS') ||
    (ROTATIONS.includes(operation) && isSymmetric && role === 'REPLICA') ||
    (OF_PRIMARIES.includes(operation) && role !== 'PRIMARY');
  return unsupported ? 'UnsupportedOperationException' : undefined;
}

const CELLS = new Map(PUBLISHED_CELLS.map(([operation, state, code]) => [`${operation} ${state}`, code]));

/** What the published table of key states has; undefined where it lets the operation be done. */
export function refusalByState(operation: string, state: KeyStateName): string | undefined {
  const code = CELLS.get(`${operation} ${state}`) ?? 'ok';
  return code === 'ok' ? undefined : code;
}

/** What is wrong only with the key's spec is said last. */
export function refusalBySpec(operation: string, { keySpec, isAsymmetric }: Kind): string | undefined {
  if (operation === 'GetPublicKey' && !isAsymmetric) return 'UnsupportedOperationException';
  if (keySpec === 'SYMMETRIC_DEFAULT') return undefined;
  if (BEGIN_ROTATION.includes(operation)) return 'UnsupportedOperationException';
  return MAKES_DATA_KEYS.includes(operation) ? 'InvalidKeyUsageException' : undefined;
}
