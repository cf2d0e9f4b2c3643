import { GOLDEN_COMMITS } from '../../../test/support/golden-commits';
import { type Commit, CommitFormatError, type DomainEvent, encodeCommit, NO_HASH } from './commit';
import { decodeCommit } from './commit-codec';
import { eventSubject } from './subjects';

/** Every event there is: the compiler asks for what is missing here, and the test below for its golden commit. */
const EVENT_TYPES: Record<DomainEvent['type'], true> = {
  KeyCreated: true,
  KeyEnabled: true,
  KeyDisabled: true,
  KeyDescriptionUpdated: true,
  KeyTagged: true,
  KeyUntagged: true,
  KeyPolicyPut: true,
  KeyRotationEnabled: true,
  KeyRotationDisabled: true,
  KeyRotated: true,
  KeyDeletionScheduled: true,
  KeyDeletionCancelled: true,
  KeyDeleted: true,
  KeyMaterialDestroyed: true,
  KeyMaterialImported: true,
  KeyMaterialExpired: true,
  ImportedKeyMaterialDeleted: true,
  ReleasedMaterialErased: true,
  KeyReplicationBegun: true,
  KeyReplicated: true,
  KeyReplicationCompleted: true,
  KeyReplicaReady: true,
  KeyPrimaryHandedOver: true,
  KeyMadePrimary: true,
  KeyPrimaryUpdated: true,
  KeySynchronized: true,
  KeyReplicaMaterialImported: true,
  KeyReplicaRemoved: true,
  KeyDeletionDeferred: true,
  AliasCreated: true,
  AliasUpdated: true,
  AliasDeleted: true,
  AccountCreated: true,
  UserCreated: true,
  UserDeleted: true,
  RoleCreated: true,
  RoleDeleted: true,
  PolicyPut: true,
  PolicyDeleted: true,
  TrustPolicyPut: true,
  PrincipalTagged: true,
  PrincipalUntagged: true,
  AccessKeyCreated: true,
  AccessKeyStatusChanged: true,
  AccessKeyDeleted: true,
  GrantCreated: true,
  GrantRevoked: true,
  GrantRetired: true,
  RecordsShredded: true,
  CustomKeyStoreCreated: true,
  CustomKeyStoreUpdated: true,
  CustomKeyStoreConnectionBegun: true,
  CustomKeyStoreConnected: true,
  CustomKeyStoreConnectionFailed: true,
  CustomKeyStoreDisconnectionBegun: true,
  CustomKeyStoreDisconnected: true,
  CustomKeyStoreDeleted: true,
  ClusterCreated: true,
  HsmCreationBegun: true,
  HsmCreated: true,
  HsmCreationFailed: true,
  ClusterInitialized: true,
  ClusterActivated: true,
  HsmDeletionBegun: true,
  HsmDeleted: true,
  ClusterDeleted: true,
  ClusterModified: true,
  BackupCreated: true,
  BackupDeletionScheduled: true,
  BackupRestored: true,
  BackupDeleted: true,
  BackupModified: true,
  ClusterTagged: true,
  ClusterUntagged: true,
  RootRotationBegun: true,
  RootEpochRetired: true,
  RootEpochDestroyed: true,
};

const REF = { region: 'us-east-1', account: '000000000000', aggregate: 'key', id: 'a-key' } as const;
const SUBJECT = eventSubject(REF);
const COMMIT: Commit = {
  schema: 1,
  ...REF,
  version: 1,
  prevHash: NO_HASH,
  time: '2026-01-01T00:00:00.000Z',
  principal: 'test',
  requestId: 'r',
  operation: 'EnableKey',
  events: [{ type: 'KeyEnabled', v: 1 }],
};

const decodeChanged = (changes: Record<string, unknown>, subject = SUBJECT) =>
  decodeCommit(subject, Buffer.from(JSON.stringify({ ...COMMIT, ...changes })));

describe('a commit', () => {
  test('is read back as it was written', () => {
    expect(decodeCommit(SUBJECT, encodeCommit(COMMIT))).toEqual(COMMIT);
  });

  test('is read from a view into a larger buffer', () => {
    const bytes = encodeCommit(COMMIT);
    const padded = new Uint8Array(Buffer.concat([Buffer.from('{{'), bytes, Buffer.from('}}')]));
    expect(decodeCommit(SUBJECT, padded.subarray(2, 2 + bytes.length))).toEqual(COMMIT);
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['a schema of the future', { schema: 2 }, /unknown commit schema 2/],
    ['another region', { region: 'eu-west-1' }, /says region eu-west-1/],
    ['another account', { account: '111111111111' }, /says account/],
    ['another aggregate', { aggregate: 'alias' }, /says aggregate alias/],
    ['another id', { id: 'b-key' }, /says id b-key/],
    ['no version', { version: undefined }, /version, prevHash or time is missing/],
    ['a version that is no integer', { version: 1.5 }, /version, prevHash or time is missing/],
    ['no prevHash', { prevHash: undefined }, /version, prevHash or time is missing/],
    ['no time', { time: 17 }, /version, prevHash or time is missing/],
    ['no events', { events: [] }, /has no events/],
    ['events that are no list', { events: {} }, /has no events/],
    ['an unknown event', { events: [{ type: 'KeyForgotten', v: 1 }] }, /unknown event "KeyForgotten"/],
    ['an event of another aggregate', { events: [{ type: 'AliasCreated', v: 1 }] }, /unknown event "AliasCreated"/],
    ['an event named like a member of every object', { events: [{ type: 'toString', v: 1 }] }, /unknown event/],
    ['an event version of the future', { events: [{ type: 'KeyEnabled', v: 2 }] }, /KeyEnabled has version 2/],
    ['an unknown event behind a known one', { events: [...COMMIT.events, { type: 'X', v: 1 }] }, /unknown event "X"/],
  ])('with %s is an error, never skipped', (_what, changes, message) => {
    expect(() => decodeChanged(changes)).toThrow(CommitFormatError);
    expect(() => decodeChanged(changes)).toThrow(message);
  });

  test.each(['', '{', 'null', '17', '"text"'])('of the bytes %j is none', (text) => {
    expect(() => decodeCommit(SUBJECT, Buffer.from(text))).toThrow(CommitFormatError);
  });

  test.each(['kms.evt.us-east-1.000000000000.key', 'kms.evt.us-east-1.000000000000.toString.a', 'kms.mat.a'])(
    'on the subject %s is out of place',
    (subject) => {
      expect(() => decodeChanged({}, subject)).toThrow(CommitFormatError);
    },
  );
});

describe('the golden log', () => {
  test('is read, every commit of it', () => {
    for (const { subject, bytes } of GOLDEN_COMMITS) {
      expect(encodeCommit(decodeCommit(subject, bytes)).equals(bytes)).toBe(true);
    }
  });

  test('has every event there is', () => {
    const seen = GOLDEN_COMMITS.flatMap(({ subject, bytes }) => decodeCommit(subject, bytes).events);
    expect(new Set(seen.map((event) => event.type))).toEqual(new Set(Object.keys(EVENT_TYPES)));
  });
});
