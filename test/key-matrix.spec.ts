import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyStateName } from '#domain/key/state-table';
import {
  type Asks,
  dataKeys,
  encryption,
  grants,
  macs,
  secrets,
  signatures,
} from './support/key-matrix/algorithm-asks';
import { type Input, type Outcome, Outcomes, send } from './support/key-matrix/client';
import { inState } from './support/key-matrix/expected';
import { PLAINTEXT, Subject, wrappingFor } from './support/key-matrix/subject';
import { EVERY_KIND, type Kind, nameOf } from './support/key-sequences/kinds';
import { pooledPair } from './support/key-sequences/pooled-pairs';
import { refusalByKind } from './support/key-sequences/refusals';
import { type KeytrailProcess, startProcess } from './support/processes';
import { PUBLISHED_KINDS, PUBLISHED_SPECS, PUBLISHED_USAGES, USAGE_FOR } from './support/published-key-kinds';

let dataDir: string;
let server: KeytrailProcess;
let outcomes: Outcomes;
const subjects = new Map<string, Subject>();

/** Of the slow RSA specs only multi-Region keys are made: nothing that these tests ask for depends on that. */
const isSlow = ({ keySpec }: { keySpec: string }): boolean => keySpec === 'RSA_3072' || keySpec === 'RSA_4096';
const KINDS = EVERY_KIND.filter(
  ({ managed, origin, multiRegion, ...kind }) =>
    !managed && (origin === 'EXTERNAL' ? !multiRegion : multiRegion || !isSlow(kind)),
);
const EXTERNAL = KINDS.filter(({ origin }) => origin === 'EXTERNAL');
const MULTI_REGION = KINDS.filter(({ multiRegion }) => multiRegion);
/** One of each spec and usage, made by AWS KMS. */
const OWN = KINDS.filter((kind) => kind.origin === 'AWS_KMS' && kind.multiRegion === isSlow(kind));
const named = (kinds: readonly Kind[]) => kinds.map((kind) => [nameOf(kind), kind] as const);
const subjectOf = (kind: Kind): Subject => subjects.get(nameOf(kind))!;
const ask = (operation: string, input: Input): Promise<Input> => send(server.kms, operation, input);

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-matrix-'));
  server = await startProcess(dataDir);
  const { KeyId: keyId } = (await ask('CreateKey', {}))['KeyMetadata'] as { KeyId: string };
  const ciphertext = (await ask('Encrypt', { KeyId: keyId, Plaintext: PLAINTEXT }))['CiphertextBlob'] as Uint8Array;
  await Promise.all([
    ...KINDS.map(async (kind) => {
      const subject = await new Subject(kind, server.kms).create();
      subject.other = { keyId, ciphertext };
      subjects.set(nameOf(kind), subject);
    }),
    ...['RSA_3072', 'RSA_4096'].map((spec) => pooledPair(spec)),
  ]);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

beforeEach(() => {
  outcomes = new Outcomes(server.kms);
});

/** Operations that bring the key into another state, or take from it what others need: one after the other, and last. */
const CHANGES = [
  ...['DeleteAlias', 'RetireGrant', 'RevokeGrant', 'DeleteImportedKeyMaterial', 'ImportKeyMaterial', 'ReplicateKey'],
  ...['UpdatePrimaryRegion', 'EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion'],
];
/** What is refused for what the key is, whatever its state. */
const NO_CHANGES = ['ReplicateKey', 'UpdatePrimaryRegion', 'ImportKeyMaterial'];

/**
 * Every operation on the key, in the state that it is in: those of CHANGES that are named, and all others but a few. What is
 * refused for what the key is, whatever its state, is asked for once only, while it is disabled.
 */
async function expectState(
  subject: Subject,
  state: KeyStateName,
  changes: readonly string[],
  except: readonly string[] = [],
): Promise<void> {
  const all = new Outcomes(server.kms);
  const requests = await subject.requests();
  const meet = (operation: string): Promise<void> => {
    const expected = inState(operation, subject.kind, subject.role, state, subject.arn);
    return all.ask(operation, operation, requests[operation]!, expected);
  };
  const isOfKind = (name: string): boolean =>
    refusalByKind(name, subject.kind, { role: subject.role, state }) !== undefined;
  const others = Object.keys(requests).filter(
    (name) => !CHANGES.includes(name) && !except.includes(name) && (state === 'Disabled' || !isOfKind(name)),
  );
  await Promise.all(others.map(meet));
  for (const operation of changes) await meet(operation);
  await all.check();
}

describe('a new key', () => {
  test.each(PUBLISHED_SPECS)('of spec %s can be for nothing but what its spec is for', async (KeySpec) => {
    const kinds = PUBLISHED_KINDS.filter(({ keySpec }) => keySpec === KeySpec);
    const refused = (what: string, input: Input, expected: Outcome) =>
      outcomes.ask(what, 'CreateKey', { KeySpec, ...input }, expected);
    for (const KeyUsage of PUBLISHED_USAGES) {
      if (kinds.some(({ keyUsage }) => keyUsage === KeyUsage)) continue;
      const message = `KeyUsage ${KeyUsage} is not compatible with KeySpec ${KeySpec}`;
      void refused(KeyUsage, { KeyUsage }, { code: 'ValidationException', message });
    }
    if (KeySpec !== 'SYMMETRIC_DEFAULT') {
      const message = 'You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.';
      void refused('no usage', {}, { code: 'ValidationException', message });
    }
    const [{ keyUsage: KeyUsage, isImportable }] = kinds as [(typeof kinds)[number]];
    const isSymmetric = KeySpec === 'SYMMETRIC_DEFAULT';
    // Without a store of theirs.
    for (const Origin of ['AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE']) {
      const code = isSymmetric ? 'ValidationException' : 'UnsupportedOperationException';
      void refused(Origin, { KeyUsage, Origin }, { code });
    }
    if (!isImportable)
      void refused('EXTERNAL', { KeyUsage, Origin: 'EXTERNAL' }, { code: 'UnsupportedOperationException' });
    await outcomes.check();
  });
});

describe.each(named(OWN))('an enabled key, %s', (_name, kind) => {
  beforeAll(() => subjectOf(kind).make());

  test.each<[string, Asks]>([
    ['encrypts, decrypts and re-encrypts', encryption],
    ['makes data keys', dataKeys],
    ['signs and verifies', signatures],
    ['makes and verifies MACs', macs],
    ['derives and encapsulates secrets', secrets],
    ['can be granted', grants],
  ])('%s as its spec and usage allow, and is refused for anything else', async (_what, asks) => {
    await asks(subjectOf(kind), outcomes, server.kms);
    await outcomes.check();
  });
});

test.each(named(EXTERNAL))('%s takes its material wrapped as fits it, and no other way', async (_name, kind) => {
  const subject = subjectOf(kind);
  const { keySpec } = kind;
  const own = wrappingFor(keySpec);
  const unfit = [
    ...['RSAES_PKCS1_V1_5 RSA_2048', 'SM2PKE SM2', 'SM2PKE RSA_2048', `${own} SM2`],
    ...(/^(SYMM|HMAC)/.test(keySpec) ? ['RSA_AES_KEY_WRAP_SHA_1 RSA_2048', 'RSA_AES_KEY_WRAP_SHA_256 RSA_4096'] : []),
    ...(/^(RSA|.*P521)/.test(keySpec) ? ['RSAES_OAEP_SHA_1 RSA_2048', 'RSAES_OAEP_SHA_256 RSA_2048'] : []),
  ];
  for (const wrapping of unfit) {
    const [WrappingAlgorithm, WrappingKeySpec] = wrapping.split(' ');
    const asked = { KeyId: subject.keyId, WrappingAlgorithm, WrappingKeySpec };
    void outcomes.ask(wrapping, 'GetParametersForImport', asked, { code: 'UnsupportedOperationException' });
  }
  await outcomes.check();
  await subject.import();
  await subject.make();
  const { KeyMetadata } = await ask('DescribeKey', { KeyId: subject.keyId });
  expect(KeyMetadata).toMatchObject({ KeyState: 'Enabled', Enabled: true, Origin: 'EXTERNAL' });
});

test.each(named(KINDS.filter(({ multiRegion }) => !multiRegion)))(
  '%s does and refuses in each state what the table of key states says',
  async (_name, kind) => {
    const subject = subjectOf(kind);
    const { keyId: KeyId } = subject;
    const isExternal = kind.origin === 'EXTERNAL';
    // A wrapping key takes its time to be made; and whether material waits for a rotation is no matter of the state.
    const slow = isExternal ? ['GetParametersForImport'] : [];
    const besides = isExternal ? ['GetParametersForImport', 'RotateKeyOnDemand'] : Object.keys(USAGE_FOR);
    await expectState(subject, 'Enabled', [...NO_CHANGES, 'EnableKey', 'CancelKeyDeletion', 'DisableKey'], besides);
    await expectState(subject, 'Disabled', [...NO_CHANGES, 'DisableKey', 'CancelKeyDeletion'], slow);
    await ask('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    await expectState(subject, 'PendingDeletion', CHANGES);
    // The material was deleted meanwhile, and the deletion cancelled.
    if (!isExternal) return;
    const changes = [
      'DeleteImportedKeyMaterial',
      'EnableKey',
      'DisableKey',
      'CancelKeyDeletion',
      'ScheduleKeyDeletion',
    ];
    await expectState(subject, 'PendingImport', changes, [...slow, 'UpdateAlias']);
  },
);

test.each(named(MULTI_REGION))('%s is replicated and hands over, and only while it is enabled', async (_name, kind) => {
  const { keyId: KeyId, arn } = subjectOf(kind);
  const meet = (operation: string, state: KeyStateName, more: Input = {}) =>
    outcomes.ask(
      `${operation} ${state}`,
      operation,
      { KeyId, ...more },
      inState(operation, kind, 'PRIMARY', state, arn),
    );
  const there = { ReplicaRegion: 'eu-west-1' };
  const elsewhere = { ReplicaRegion: 'ap-south-1' };
  const to = { PrimaryRegion: 'eu-west-1' };
  await ask('DisableKey', { KeyId });
  await meet('ReplicateKey', 'Disabled', there);
  await meet('EnableKey', 'Disabled');
  await meet('ReplicateKey', 'Enabled', there);
  await outcomes.ask('twice', 'ReplicateKey', { KeyId, ...there }, { code: 'AlreadyExistsException' });
  const nowhere = { KeyId, PrimaryRegion: 'ap-south-1' };
  await outcomes.ask('to no replica', 'UpdatePrimaryRegion', nowhere, { code: 'NotFoundException' });
  await meet('DisableKey', 'Enabled');
  await meet('UpdatePrimaryRegion', 'Disabled', to);
  await ask('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
  await meet('ReplicateKey', 'PendingReplicaDeletion', elsewhere);
  await meet('UpdatePrimaryRegion', 'PendingReplicaDeletion', to);
  await meet('ScheduleKeyDeletion', 'PendingReplicaDeletion');
  await meet('CancelKeyDeletion', 'PendingReplicaDeletion');
  await ask('EnableKey', { KeyId });
  await meet('UpdatePrimaryRegion', 'Enabled', to);
  // It is a replica now, of which this cannot be asked.
  const message = `${arn} is not a multi-region primary key.`;
  for (const [operation, more] of Object.entries({ ReplicateKey: elsewhere, UpdatePrimaryRegion: to })) {
    const unsupported = { code: 'UnsupportedOperationException', message };
    await outcomes.ask(`${operation} of a replica`, operation, { KeyId, ...more }, unsupported);
  }
  await outcomes.check();
});
