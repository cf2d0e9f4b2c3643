import type { KeyOperation, KeyStateName } from '#domain/key/state-table';

/**
 * Operation x key state, written down a second time from the published table ("Key states of AWS KMS keys"):
 * D = DisabledException, P = KMSInvalidStateException "is pending deletion", IS = KMSInvalidStateException,
 * UO = UnsupportedOperationException. PD stands for PendingDeletion and PendingReplicaDeletion. Where the table has no cell
 * since keys of the kind cannot be in the state (n/a), what refuses is put down.
 */
const PUBLISHED = `
Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext | ok | D  | P  | IS | IS | IS | ok
GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext                      | ok | D  | P  | IS | IS | IS | ok
DeriveSharedSecret, Encapsulate, Decapsulate                                  | ok | D  | P  | IS | IS | IS | ok
Sign, Verify, GenerateMac, VerifyMac, GetPublicKey                            | ok | D  | P  | IS | IS | IS | ok
GetParametersForImport                                                        | ok | ok | IS | ok | UO | IS | IS
ImportKeyMaterial                                                             | ok | ok | IS | ok | UO | IS | ok
DeleteImportedKeyMaterial                                                     | ok | ok | ok | ok | UO | IS | IS
ReplicateKey                                                                  | ok | D  | P  | IS | IS | IS | IS
UpdatePrimaryRegion                                                           | ok | D  | P  | IS | IS | IS | ok
CreateGrant                                                                   | ok | D  | P  | IS | ok | IS | ok
CancelKeyDeletion                                                             | IS | IS | ok | IS | IS | IS | IS
ScheduleKeyDeletion                                                           | ok | ok | IS | ok | ok | ok | IS
EnableKey, DisableKey                                                         | ok | ok | IS | IS | ok | IS | IS
EnableKeyRotation, DisableKeyRotation                                         | ok | D  | IS | UO | UO | IS | ok
RotateKeyOnDemand                                                             | ok | D  | IS | IS | UO | IS | ok
GetKeyRotationStatus, ListKeyRotations                                        | ok | ok | ok | ok | UO | ok | ok
CreateAlias, UpdateAlias, TagResource, UntagResource, UpdateKeyDescription    | ok | ok | IS | ok | ok | ok | ok
DescribeKey, GetKeyPolicy, PutKeyPolicy, DeleteAlias                          | ok | ok | ok | ok | ok | ok | ok
ListAliases, ListGrants, ListKeyPolicies, ListResourceTags                    | ok | ok | ok | ok | ok | ok | ok
RetireGrant, RevokeGrant                                                      | ok | ok | ok | ok | ok | ok | ok
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

export type Cell = readonly [operation: KeyOperation, state: KeyStateName, code: string, outcome: string];

/** One cell of the table for each operation and state; `code` is `ok` or the error's. */
export const PUBLISHED_CELLS: readonly Cell[] = PUBLISHED.trim()
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
