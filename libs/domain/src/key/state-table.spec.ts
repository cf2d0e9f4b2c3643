import { KmsError } from '../errors';
import { assertStateAllows, type KeyOperation, type KeyStateName, STATE_TABLE } from './state-table';

/**
 * Operation x key state, written down a second time from the published table ("Key states of AWS KMS keys"):
 * D = DisabledException, P = KMSInvalidStateException "is pending deletion", IS = KMSInvalidStateException,
 * UO = UnsupportedOperationException. PD stands for PendingDeletion and PendingReplicaDeletion.
 */
const PUBLISHED = `
Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext | ok | D  | P  | IS | IS | IS | ok
CancelKeyDeletion                                                             | IS | IS | ok | IS | IS | IS | IS
ScheduleKeyDeletion                                                           | ok | ok | IS | ok | ok | ok | IS
EnableKey, DisableKey                                                         | ok | ok | IS | IS | ok | IS | IS
EnableKeyRotation, DisableKeyRotation, RotateKeyOnDemand                      | ok | D  | IS | UO | UO | IS | ok
GetKeyRotationStatus, ListKeyRotations                                        | ok | ok | ok | ok | UO | ok | ok
CreateAlias, UpdateAlias, TagResource, UntagResource, UpdateKeyDescription    | ok | ok | IS | ok | ok | ok | ok
DescribeKey, GetKeyPolicy, PutKeyPolicy, DeleteAlias                          | ok | ok | ok | ok | ok | ok | ok
ListAliases, ListKeyPolicies, ListResourceTags                                | ok | ok | ok | ok | ok | ok | ok
`;
const COLUMNS: KeyStateName[][] = [
  ['Enabled'],
  ['Disabled'],
  ['PendingDeletion', 'PendingReplicaDeletion'],
  ['PendingImport'],
  ['Unavailable'],
  ['Creating'],
  ['Updating'],
];
const CODES: Record<string, string> = {
  D: 'DisabledException',
  P: 'KMSInvalidStateException',
  IS: 'KMSInvalidStateException',
  UO: 'UnsupportedOperationException',
};

const cells = PUBLISHED.trim()
  .split('\n')
  .flatMap((line) => {
    const [operations, ...outcomes] = line.split('|').map((cell) => cell.trim());
    return operations!
      .split(', ')
      .flatMap((operation) =>
        outcomes.flatMap((outcome, at) =>
          COLUMNS[at]!.map((state) => [operation as KeyOperation, state, CODES[outcome] ?? 'ok', outcome] as const),
        ),
      );
  });

const ARN = 'arn:aws:kms:us-east-1:000000000000:key/00000000-0000-4000-8000-000000000000';

const outcomeOf = (operation: KeyOperation, state: KeyStateName): { code: string; message: string } => {
  try {
    assertStateAllows(operation, state, ARN);
    return { code: 'ok', message: '' };
  } catch (error) {
    if (error instanceof KmsError) return { code: error.code, message: error.message };
    throw error;
  }
};

describe('the state table', () => {
  test.each(cells)('%s on a key that is %s: %s', (operation, state, code, outcome) => {
    const found = outcomeOf(operation, state);
    expect(found.code).toBe(code);
    if (outcome === 'D') expect(found.message).toBe(`${ARN} is disabled.`);
    if (outcome === 'P' && state === 'PendingDeletion') expect(found.message).toBe(`${ARN} is pending deletion.`);
    if (operation === 'CancelKeyDeletion' && code !== 'ok')
      expect(found.message).toBe(`${ARN} is not pending deletion.`);
  });

  test('holds each operation once, and every operation of the table', () => {
    expect(new Set(cells.map(([operation]) => operation))).toEqual(new Set(Object.keys(STATE_TABLE)));
  });
});
