import { relatedArnIn as arnIn, RELATED_ID, RelatedRegions as Regions } from '../../../../test/support/related-regions';
import { plusDays } from '../dates';
import { KmsError } from '../errors';
import type { KeyCommand } from './commands';
import { decideKey } from './decide';
import type { KeyEvent } from './events';
import { evolveKey } from './evolve';
import { materialIdOf } from './material-id';
import { initialKey } from './state';

const ACCOUNT = '000000000000';
const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const THIRD = 'ap-south-1';
const T0 = '2026-01-01T00:00:00.000Z';
const FAMILY_ARN = `arn:aws:kms::${ACCOUNT}:key/${RELATED_ID}`;

const CREATE: KeyCommand = {
  type: 'CreateKey',
  description: 'home',
  keyUsage: 'ENCRYPT_DECRYPT',
  keySpec: 'SYMMETRIC_DEFAULT',
  multiRegion: true,
  policy: '{"home":1}',
  tags: [{ key: 'at', value: 'home' }],
};
const replicate = (replicaRegion: string, generation = 1): KeyCommand => ({
  ...{ type: 'BeginReplication', replicaRegion, generation },
  ...{ description: 'away', policy: '{"away":1}', namedIds: { a: 'AIDA1' }, tags: [] },
});

function given(...replicas: string[]): Regions {
  const regions = new Regions(T0);
  regions.ask(HOME, CREATE);
  for (const region of replicas) regions.ask(HOME, replicate(region));
  regions.settle();
  return regions;
}

const refused = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof KmsError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'not refused';
};

describe('a multi-Region key', () => {
  test('is a primary when it is created, and its material belongs to no region', () => {
    const regions = given();
    expect(regions.key(HOME)).toMatchObject({
      ...{ keyState: 'Enabled', multiRegion: true, family: { keyType: 'PRIMARY', replicas: [] } },
      versions: [{ materialId: materialIdOf(FAMILY_ARN, 1) }],
    });
  });

  test('is replicated in four commits, and the replica has its material and its own properties', () => {
    const regions = new Regions(T0);
    regions.ask(HOME, CREATE);
    regions.ask(HOME, replicate(AWAY));
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'None']);
    expect(regions.step()).toBe(`${AWAY} KeyReplicated`);
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA Creating']);
    expect(regions.step()).toBe(`${HOME} KeyReplicationCompleted`);
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA Creating']);
    expect(regions.step()).toBe(`${AWAY} KeyReplicaReady`);
    expect(regions.step()).toBeUndefined();
    expect(regions.key(AWAY)).toEqual({
      ...{ keyState: 'Enabled', createdAt: T0, multiRegion: true, origin: 'AWS_KMS' },
      ...{ keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
      ...{ description: 'away', policy: '{"away":1}', namedIds: { a: 'AIDA1' }, tags: [] },
      versions: [{ version: 1, materialId: materialIdOf(FAMILY_ARN, 1), since: T0, cause: 'CREATED' }],
      family: { keyType: 'REPLICA', term: 1, generation: 1, replicas: [] },
    });
    expect(regions.key(HOME)).toMatchObject({ family: { replicas: [{ region: AWAY, generation: 1 }] } });
  });

  test('takes its public key along', () => {
    const regions = new Regions(T0);
    const [created] = decideKey(
      { ...CREATE, keyUsage: 'SIGN_VERIFY', keySpec: 'ECC_NIST_P256' } as KeyCommand,
      initialKey,
      { keyArn: arnIn(HOME), now: T0 },
    );
    const withPublicKey = evolveKey(initialKey, { ...created, publicKey: 'MAA=' } as KeyEvent, T0);
    regions['keys'].set(HOME, withPublicKey);
    regions.ask(HOME, replicate(AWAY));
    regions.settle();
    expect(regions.key(AWAY)).toMatchObject({ keySpec: 'ECC_NIST_P256', publicKey: 'MAA=' });
  });

  test.each<[string, (regions: Regions) => unknown, string]>([
    ['to its own region', (regions) => regions.ask(HOME, replicate(HOME)), `AlreadyExistsException: ${arnIn(HOME)}`],
    ['twice to one region', (regions) => regions.ask(HOME, replicate(AWAY)), `AlreadyExistsException: ${arnIn(AWAY)}`],
    [
      'from a replica',
      (regions) => regions.ask(AWAY, replicate(THIRD)),
      `UnsupportedOperationException: ${arnIn(AWAY)} is not a multi-region primary key.`,
    ],
    [
      'while it is disabled',
      (regions) => {
        regions.ask(HOME, { type: 'DisableKey' });
        return regions.ask(HOME, replicate(THIRD));
      },
      `DisabledException: ${arnIn(HOME)} is disabled.`,
    ],
  ])('is not replicated %s', (_what, run, refusal) => {
    expect(refused(() => run(given(AWAY)))).toContain(refusal);
  });

  test('of one region is neither replicated nor handed over', () => {
    const regions = new Regions(T0);
    regions.ask(HOME, { ...CREATE, multiRegion: false } as KeyCommand);
    const refusal = `UnsupportedOperationException: ${arnIn(HOME)} is not a multi-region primary key.`;
    expect(refused(() => regions.ask(HOME, replicate(AWAY)))).toBe(refusal);
    expect(refused(() => regions.ask(HOME, { type: 'HandOverPrimary', primaryRegion: AWAY }))).toBe(refusal);
    expect(regions.key(HOME)).toMatchObject({ versions: [{ materialId: materialIdOf(arnIn(HOME), 1) }] });
  });
});

describe('rotation', () => {
  test('is the primary’s, and reaches the replicas', () => {
    const regions = given(AWAY, THIRD);
    regions.ask(HOME, { type: 'RotateKeyOnDemand' });
    regions.ask(HOME, { type: 'EnableKeyRotation', rotationPeriodInDays: 90 });
    expect(regions.settle()).toEqual([`${AWAY} KeySynchronized`, `${THIRD} KeySynchronized`]);
    const shared = {
      versions: [{}, { version: 2, materialId: materialIdOf(FAMILY_ARN, 2), cause: 'ON_DEMAND' }],
      rotation: { periodInDays: 90, nextRotationDate: plusDays(T0, 90) },
    };
    for (const region of [HOME, AWAY, THIRD]) expect(regions.key(region)).toMatchObject(shared);
    regions.ask(HOME, { type: 'DisableKeyRotation' });
    regions.settle();
    expect(regions.key(AWAY)).not.toHaveProperty('rotation');
  });

  test.each<KeyCommand>([
    { type: 'EnableKeyRotation', rotationPeriodInDays: 90 },
    { type: 'DisableKeyRotation' },
    { type: 'RotateKeyOnDemand' },
  ])('is not asked of a replica: $type', (command) => {
    expect(refused(() => given(AWAY).ask(AWAY, command))).toBe(
      `UnsupportedOperationException: ${arnIn(AWAY)} is not a multi-region primary key.`,
    );
  });

  test('does not fire on a replica, nor is it made up for there', () => {
    const regions = given(AWAY);
    regions.ask(HOME, { type: 'EnableKeyRotation', rotationPeriodInDays: 90 });
    regions.settle();
    const deadline = plusDays(T0, 90);
    regions.now = deadline;
    expect(regions.ask(AWAY, { type: 'FireRotation', deadline })).toEqual([]);
    regions.ask(AWAY, { type: 'DisableKey' });
    expect(regions.ask(AWAY, { type: 'EnableKey' })).toEqual([{ type: 'KeyEnabled', v: 1 }]);
    expect(regions.ask(HOME, { type: 'FireRotation', deadline })).toHaveLength(1);
  });

  test('is as newer news have it, whatever an older one brings late', () => {
    const regions = given(AWAY);
    regions.ask(HOME, { type: 'RotateKeyOnDemand' });
    const [late] = regions.due();
    regions.ask(HOME, { type: 'RotateKeyOnDemand' });
    regions.settle();
    expect(regions.ask(AWAY, late!.command)).toEqual([]);
  });
});

describe('the primary', () => {
  const hand = (regions: Regions, from: string, to: string) =>
    regions.ask(from, { type: 'HandOverPrimary', primaryRegion: to });

  test('is changed in four commits, between which there is one or none', () => {
    const regions = given(AWAY, THIRD);
    regions.ask(HOME, { type: 'EnableKeyRotation', rotationPeriodInDays: 90 });
    regions.settle();
    hand(regions, HOME, AWAY);
    expect(regions.states(HOME, AWAY)).toEqual(['REPLICA Updating', 'REPLICA Enabled']);
    expect(regions.step()).toBe(`${AWAY} KeyMadePrimary`);
    expect(regions.states(HOME, AWAY)).toEqual(['REPLICA Updating', 'PRIMARY Updating']);
    expect(regions.settle().sort()).toEqual([`${AWAY} KeyPrimaryUpdated`, `${HOME} KeyPrimaryUpdated`]);
    expect(regions.states(HOME, AWAY)).toEqual(['REPLICA Enabled', 'PRIMARY Enabled']);
    expect(regions.key(HOME)).toMatchObject({ family: { term: 2, replicas: [] } });
    expect(regions.key(AWAY)).toMatchObject({
      rotation: { periodInDays: 90 },
      family: { term: 2, replicas: [{ region: THIRD }, { region: HOME, generation: 1 }] },
    });
    regions.ask(AWAY, { type: 'RotateKeyOnDemand' });
    expect(regions.settle()).toEqual([`${THIRD} KeySynchronized`, `${HOME} KeySynchronized`]);
    hand(regions, AWAY, HOME);
    regions.settle();
    expect(regions.states(HOME, AWAY)).toEqual(['PRIMARY Enabled', 'REPLICA Enabled']);
  });

  test('knows a rotation that its predecessor had not passed on', () => {
    const regions = given(AWAY);
    regions.ask(HOME, { type: 'RotateKeyOnDemand' });
    hand(regions, HOME, AWAY);
    regions.settle();
    expect(regions.key(AWAY)).toMatchObject({ versions: [{ version: 1 }, { version: 2 }] });
  });

  test.each<[string, (regions: Regions) => void, string, string]>([
    ['that has no replica', () => {}, THIRD, `NotFoundException: Key '${arnIn(THIRD)}' does not exist`],
    ['of its own', () => {}, HOME, `UnsupportedOperationException: ${arnIn(HOME)} is the multi-Region primary key`],
    [
      'while another replica is made',
      (regions) => regions.ask(HOME, replicate(THIRD)),
      AWAY,
      `KMSInvalidStateException: ${arnIn(THIRD)} is creating.`,
    ],
    [
      'while it is disabled',
      (regions) => regions.ask(HOME, { type: 'DisableKey' }),
      AWAY,
      `DisabledException: ${arnIn(HOME)} is disabled.`,
    ],
    [
      'twice',
      (regions) => hand(regions, HOME, AWAY),
      AWAY,
      `UnsupportedOperationException: ${arnIn(HOME)} is not a multi-region primary key.`,
    ],
  ])('does not hand over to a region %s', (_what, before, to, refusal) => {
    const regions = given(AWAY);
    before(regions);
    expect(refused(() => hand(regions, HOME, to))).toContain(refusal);
  });

  test('is as the replica was that became it: disabled, where it was disabled meanwhile', () => {
    const regions = given(AWAY);
    hand(regions, HOME, AWAY);
    regions.ask(AWAY, { type: 'DisableKey' });
    regions.settle();
    expect(regions.states(HOME, AWAY)).toEqual(['REPLICA Enabled', 'PRIMARY Disabled']);
  });

  test('is to be deleted after its replicas, where the deletion of what became it was scheduled meanwhile', () => {
    const regions = given(AWAY);
    hand(regions, HOME, AWAY);
    regions.ask(AWAY, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    regions.settle();
    expect(regions.states(HOME, AWAY)).toEqual(['REPLICA Enabled', 'PRIMARY PendingReplicaDeletion']);
    regions.ask(AWAY, { type: 'CancelKeyDeletion' });
    expect(regions.states(AWAY)).toEqual(['PRIMARY Disabled']);
  });

  test('is the former one again where its successor was deleted meanwhile, and not before that is for good', () => {
    const regions = given(AWAY);
    regions.ask(AWAY, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
    hand(regions, HOME, AWAY);
    const deadline = plusDays(T0, 7);
    regions.now = plusDays(T0, 8);
    expect(regions.step()).toBe(`${AWAY} undefined`);
    expect(regions.states(HOME)).toEqual(['REPLICA Updating']);
    regions.ask(AWAY, { type: 'FireDeletion', deadline });
    expect(regions.settle()).toEqual([`${HOME} KeyMadePrimary`, `${HOME} KeyPrimaryUpdated`]);
    expect(regions.key(HOME)).toMatchObject({ keyState: 'Enabled', family: { term: 3, replicas: [] } });
  });
});

describe('deletion', () => {
  const schedule: KeyCommand = { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 };

  test('of a primary waits for that of its last replica, and its waiting period begins then', () => {
    const regions = given(AWAY);
    expect(regions.ask(HOME, schedule)).toEqual([{ type: 'KeyDeletionDeferred', v: 1, pendingWindowInDays: 7 }]);
    expect(regions.states(HOME)).toEqual(['PRIMARY PendingReplicaDeletion']);
    regions.ask(AWAY, schedule);
    expect(regions.settle()).toEqual([]);
    regions.now = plusDays(T0, 9);
    regions.ask(AWAY, { type: 'FireDeletion', deadline: plusDays(T0, 7) });
    regions.settle();
    const deadline = plusDays(T0, 16);
    expect(regions.key(HOME)).toMatchObject({ keyState: 'PendingDeletion', deletionDate: deadline });
    regions.now = deadline;
    regions.ask(HOME, { type: 'FireDeletion', deadline });
    expect(regions.key(HOME)).toMatchObject({ keyState: 'Deleted', materialIds: [materialIdOf(FAMILY_ARN, 1)] });
  });

  test('of a replica takes no material with it', () => {
    const regions = given(AWAY);
    regions.ask(AWAY, schedule);
    regions.now = plusDays(T0, 7);
    regions.ask(AWAY, { type: 'FireDeletion', deadline: regions.now });
    expect(regions.key(AWAY)).toMatchObject({ keyState: 'Deleted', materialIds: [], allMaterialIds: [] });
    expect(regions.settle()).toEqual([`${HOME} KeyReplicaRemoved`]);
    expect(regions.states(HOME)).toEqual(['PRIMARY Enabled']);
  });

  test('of a replica makes room for the next, and what was for the first passes it by', () => {
    const regions = new Regions(T0);
    regions.ask(HOME, CREATE);
    regions.ask(HOME, replicate(AWAY));
    const [create] = regions.due();
    regions.step();
    const [complete] = regions.due();
    regions.step();
    const [ready] = regions.due();
    regions.settle();
    regions.ask(AWAY, schedule);
    regions.now = plusDays(T0, 7);
    regions.ask(AWAY, { type: 'FireDeletion', deadline: regions.now });
    expect(regions.ask(AWAY, create!.command)).toEqual([]);
    const [remove] = regions.due();
    regions.settle();
    expect(regions.ask(AWAY, create!.command)).toEqual([]);
    regions.ask(HOME, replicate(AWAY, 2));
    expect(regions.ask(HOME, complete!.command)).toEqual([]);
    expect(regions.ask(HOME, remove!.command)).toEqual([]);
    regions.step();
    expect(regions.ask(AWAY, ready!.command)).toEqual([]);
    regions.settle();
    expect(regions.key(AWAY)).toMatchObject({ keyState: 'Enabled', family: { generation: 2 } });
    expect(regions.ask(HOME, remove!.command)).toEqual([]);
  });

  test('of a primary and its replication at once: whichever is first is what counts', () => {
    const first = given();
    first.ask(HOME, schedule);
    expect(refused(() => first.ask(HOME, replicate(AWAY)))).toContain('KMSInvalidStateException');
    const second = given();
    second.ask(HOME, replicate(AWAY));
    second.ask(HOME, schedule);
    second.settle();
    expect(second.states(HOME, AWAY)).toEqual(['PRIMARY PendingReplicaDeletion', 'REPLICA Enabled']);
  });
});
