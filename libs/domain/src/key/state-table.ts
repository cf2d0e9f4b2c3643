import { KmsError } from '../errors';

/** All states of the AWS KMS API. */
const KEY_STATES = [
  'Enabled',
  'Disabled',
  'PendingDeletion',
  'PendingReplicaDeletion',
  'PendingImport',
  'Unavailable',
  'Creating',
  'Updating',
] as const;
export type KeyStateName = (typeof KEY_STATES)[number];

type Outcome = 'ok' | 'disabled' | 'invalid' | 'unsupported';
type Row = Readonly<Record<KeyStateName, Outcome>>;

const row = (
  Enabled: Outcome,
  Disabled: Outcome,
  pendingDeletion: Outcome,
  PendingImport: Outcome,
  Unavailable: Outcome,
  Creating: Outcome,
  Updating: Outcome,
): Row => ({
  Enabled,
  Disabled,
  PendingDeletion: pendingDeletion,
  PendingReplicaDeletion: pendingDeletion,
  PendingImport,
  Unavailable,
  Creating,
  Updating,
});

//                          Enabled    Disabled    PD         PendingImport  Unavailable    Creating   Updating
const CRYPTO = row('ok', 'disabled', 'invalid', 'invalid', 'invalid', 'invalid', 'ok');
const CREATE_GRANT = row('ok', 'disabled', 'invalid', 'invalid', 'ok', 'invalid', 'ok');
const CANCEL = row('invalid', 'invalid', 'ok', 'invalid', 'invalid', 'invalid', 'invalid');
const SCHEDULE = row('ok', 'ok', 'invalid', 'ok', 'ok', 'ok', 'invalid');
const SWITCH = row('ok', 'ok', 'invalid', 'invalid', 'ok', 'invalid', 'invalid');
const ROTATE = row('ok', 'disabled', 'invalid', 'unsupported', 'unsupported', 'invalid', 'ok');
const ROTATE_NOW = row('ok', 'disabled', 'invalid', 'invalid', 'unsupported', 'invalid', 'ok');
const SHOW_ROTATION = row('ok', 'ok', 'ok', 'ok', 'unsupported', 'ok', 'ok');
const CHANGE = row('ok', 'ok', 'invalid', 'ok', 'ok', 'ok', 'ok');
const PREPARE_IMPORT = row('ok', 'ok', 'invalid', 'ok', 'unsupported', 'invalid', 'invalid');
const IMPORT = row('ok', 'ok', 'invalid', 'ok', 'unsupported', 'invalid', 'ok');
const DELETE_MATERIAL = row('ok', 'ok', 'ok', 'ok', 'unsupported', 'invalid', 'invalid');
const REPLICATE = row('ok', 'disabled', 'invalid', 'invalid', 'invalid', 'invalid', 'invalid');
const MOVE_PRIMARY = row('ok', 'disabled', 'invalid', 'invalid', 'invalid', 'invalid', 'ok');
const ANY = row('ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'ok');

/** Operation x key state, as the AWS KMS developer guide's "Key states of AWS KMS keys" has it. */
export const STATE_TABLE = {
  Encrypt: CRYPTO,
  Decrypt: CRYPTO,
  ReEncrypt: CRYPTO,
  GenerateDataKey: CRYPTO,
  GenerateDataKeyWithoutPlaintext: CRYPTO,
  GenerateDataKeyPair: CRYPTO,
  GenerateDataKeyPairWithoutPlaintext: CRYPTO,
  DeriveSharedSecret: CRYPTO,
  Encapsulate: CRYPTO,
  Decapsulate: CRYPTO,
  Sign: CRYPTO,
  Verify: CRYPTO,
  GenerateMac: CRYPTO,
  VerifyMac: CRYPTO,
  GetPublicKey: CRYPTO,
  GetParametersForImport: PREPARE_IMPORT,
  ImportKeyMaterial: IMPORT,
  DeleteImportedKeyMaterial: DELETE_MATERIAL,
  ReplicateKey: REPLICATE,
  UpdatePrimaryRegion: MOVE_PRIMARY,
  CreateGrant: CREATE_GRANT,
  CancelKeyDeletion: CANCEL,
  ScheduleKeyDeletion: SCHEDULE,
  EnableKey: SWITCH,
  DisableKey: SWITCH,
  EnableKeyRotation: ROTATE,
  DisableKeyRotation: ROTATE,
  RotateKeyOnDemand: ROTATE_NOW,
  GetKeyRotationStatus: SHOW_ROTATION,
  ListKeyRotations: SHOW_ROTATION,
  CreateAlias: CHANGE,
  /** For the target key; the alias's former key may be in any state. */
  UpdateAlias: CHANGE,
  TagResource: CHANGE,
  UntagResource: CHANGE,
  UpdateKeyDescription: CHANGE,
  DescribeKey: ANY,
  GetKeyPolicy: ANY,
  PutKeyPolicy: ANY,
  DeleteAlias: ANY,
  ListAliases: ANY,
  ListGrants: ANY,
  ListKeyPolicies: ANY,
  ListResourceTags: ANY,
  RetireGrant: ANY,
  RevokeGrant: ANY,
} as const satisfies Record<string, Row>;

export type KeyOperation = keyof typeof STATE_TABLE;

const STATE_PHRASE: Record<KeyStateName, string> = {
  Enabled: 'is enabled',
  Disabled: 'is disabled',
  PendingDeletion: 'is pending deletion',
  PendingReplicaDeletion: 'is pending replica deletion',
  PendingImport: 'is pending import',
  Unavailable: 'is unavailable',
  Creating: 'is creating',
  Updating: 'is updating',
};

/** Throws what AWS answers when `operation` meets a key in `keyState`; returns when the state allows it. */
export function assertStateAllows(operation: KeyOperation, keyState: KeyStateName, arn: string): void {
  const outcome = STATE_TABLE[operation][keyState];
  if (outcome === 'ok') return;
  if (outcome === 'disabled') throw new KmsError('DisabledException', `${arn} is disabled.`);
  if (outcome === 'unsupported') {
    throw new KmsError(
      'UnsupportedOperationException',
      `${operation} is not supported while ${arn} ${STATE_PHRASE[keyState]}.`,
    );
  }
  if (operation === 'CancelKeyDeletion') {
    throw new KmsError('KMSInvalidStateException', `${arn} is not pending deletion.`);
  }
  throw new KmsError('KMSInvalidStateException', `${arn} ${STATE_PHRASE[keyState]}.`);
}
