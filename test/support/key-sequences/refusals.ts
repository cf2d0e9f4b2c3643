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
const OF_PRIMARIES = ['ReplicateKey', 'UpdatePrimaryRegion'];

/** As a caller sees the key. */
export interface Seen {
  state: KeyStateName;
  role: 'PRIMARY' | 'REPLICA' | undefined;
}

/** What an operation is refused with on a key of this kind, whatever its state. */
export function refusalByKind(operation: string, kind: Kind, { role }: Pick<Seen, 'role'>): string | undefined {
  if (kind.managed && !ON_MANAGED_KEYS.test(operation) && !OF_GRANTS_AND_ALIASES.includes(operation))
    return 'AccessDeniedException';
  const usage = USAGE_FOR[operation];
  if (usage !== undefined && usage !== kind.keyUsage) return 'InvalidKeyUsageException';
  const unsupported =
    (operation === 'GetPublicKey' && !kind.isAsymmetric) ||
    (IMPORTS.includes(operation) && kind.origin !== 'EXTERNAL') ||
    ((ROTATIONS.includes(operation) || operation === 'ListKeyRotations') && kind.keySpec !== 'SYMMETRIC_DEFAULT') ||
    (SWITCH_ROTATION.includes(operation) && kind.origin !== 'AWS_KMS') ||
    (ROTATIONS.includes(operation) && role === 'REPLICA') ||
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
export const refusalBySpec = (operation: string, { keySpec }: Kind): string | undefined =>
  MAKES_DATA_KEYS.includes(operation) && keySpec !== 'SYMMETRIC_DEFAULT' ? 'InvalidKeyUsageException' : undefined;
