import { userRef } from '#domain/principal/principal-id';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { ACCOUNT, allowing, MemoryOperations } from '../../../../test/support/memory-operations';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const THIRD = 'ap-south-1';
const DAY = 86_400_000;
const Plaintext = Buffer.from('the same everywhere').toString('base64');

let operations: MemoryOperations;
let KeyId: string;

const arnIn = (region: string): string => `arn:aws:kms:${region}:${ACCOUNT}:key/${KeyId}`;
const call = (region: string, operation: string, input: object = {}) =>
  operations.call(operation, { KeyId, ...input }, { region });
const ok = async (region: string, operation: string, input: object = {}): Promise<Record<string, unknown>> => {
  const { code, message, body } = await call(region, operation, input);
  expect([operation, code, message]).toEqual([operation, 'OK', '']);
  return body;
};
const metadata = async (region: string) =>
  (await ok(region, 'DescribeKey'))['KeyMetadata'] as Record<string, unknown> & {
    MultiRegionConfiguration: { PrimaryKey: { Region: string }; ReplicaKeys: { Region: string }[] };
  };
const stateOf = async (region: string) => (await metadata(region))['KeyState'];
const refusal = async (region: string, operation: string, input: object = {}): Promise<string> => {
  const { code, message } = await call(region, operation, input);
  return `${code}: ${message}`;
};
const encrypt = async (region: string) => (await ok(region, 'Encrypt', { Plaintext }))['CiphertextBlob'] as string;
const decrypt = async (region: string, CiphertextBlob: string, more: object = {}) => {
  const { code, body } = await operations.call('Decrypt', { CiphertextBlob, ...more }, { region });
  return code === 'OK' ? { KeyId: body['KeyId'], Plaintext: body['Plaintext'] } : code;
};
const create = async (input: object = {}, region = HOME): Promise<Record<string, unknown>> => {
  const { code, body } = await operations.call('CreateKey', { MultiRegion: true, ...input }, { region });
  expect(code).toBe('OK');
  const created = body['KeyMetadata'] as Record<string, unknown>;
  KeyId = String(created['KeyId']);
  return created;
};
const settle = async (): Promise<void> => {
  for (let round = 0; round < 5; round++) await operations.fireDue();
};

beforeEach(() => {
  operations = new MemoryOperations(new MemoryEventStore());
});

describe('CreateKey with MultiRegion', () => {
  test('makes a primary, of every kind of key', async () => {
    expect(await create()).toMatchObject({
      KeyId: expect.stringMatching(/^mrk-[0-9a-f]{32}$/),
      ...{ MultiRegion: true, KeyState: 'Enabled' },
      MultiRegionConfiguration: {
        MultiRegionKeyType: 'PRIMARY',
        PrimaryKey: { Arn: arnIn(HOME), Region: HOME },
        ReplicaKeys: [],
      },
    });
    expect(await create({ MultiRegion: false })).not.toHaveProperty('MultiRegionConfiguration');
    expect(KeyId).not.toMatch(/^mrk-/);
  });
});

describe('ReplicateKey', () => {
  test('answers with a replica that is Creating, as AWS does, and that can be used at once', async () => {
    await create({ Description: 'home', Tags: [{ TagKey: 'a', TagValue: '1' }] });
    const Tags = [{ TagKey: 'b', TagValue: '2' }];
    const body = await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY, Tags });
    expect(body).toMatchObject({
      ReplicaKeyMetadata: {
        ...{ Arn: arnIn(AWAY), KeyId, Description: '', Enabled: false, KeyState: 'Creating', MultiRegion: true },
        MultiRegionConfiguration: {
          MultiRegionKeyType: 'REPLICA',
          PrimaryKey: { Arn: arnIn(HOME), Region: HOME },
          ReplicaKeys: [{ Arn: arnIn(AWAY), Region: AWAY }],
        },
      },
      ReplicaPolicy: expect.stringContaining(`arn:aws:iam::${ACCOUNT}:root`),
      ReplicaTags: Tags,
    });
    expect(await metadata(AWAY)).toMatchObject({ KeyState: 'Enabled', Enabled: true });
    expect((await ok(AWAY, 'ListResourceTags'))['Tags']).toEqual(Tags);
    expect(await metadata(HOME)).toMatchObject({
      MultiRegionConfiguration: { MultiRegionKeyType: 'PRIMARY', ReplicaKeys: [{ Region: AWAY }] },
    });
  });

  test('gives related keys that decrypt each other’s ciphertexts, and answer with the one that did', async () => {
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    const answer = (region: string) => ({ KeyId: arnIn(region), Plaintext });
    for (const [from, to] of [
      [HOME, AWAY],
      [AWAY, HOME],
    ] as const) {
      const ciphertext = await encrypt(from);
      expect(await decrypt(to, ciphertext)).toEqual(answer(to));
      expect(await decrypt(from, ciphertext)).toEqual(answer(from));
      expect(await decrypt(to, ciphertext, { KeyId: arnIn(to) })).toEqual(answer(to));
      expect(await decrypt(to, ciphertext, { KeyId })).toEqual(answer(to));
      expect(await decrypt(to, ciphertext, { KeyId: arnIn(from) })).toBe('IncorrectKeyException');
      expect(await decrypt(THIRD, ciphertext)).toBe('AccessDeniedException');
    }
    const mine = KeyId;
    await create({}, AWAY);
    const others = await encrypt(AWAY);
    expect(await decrypt(HOME, others, { KeyId: mine })).toBe('AccessDeniedException');
    expect(await decrypt(AWAY, others, { KeyId: mine })).toBe('IncorrectKeyException');
  });

  test('leaves policy, grants, aliases, tags, description, state and deletion to each key', async () => {
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    const ciphertext = await encrypt(HOME);
    await ok(AWAY, 'UpdateKeyDescription', { Description: 'away' });
    await ok(AWAY, 'TagResource', { Tags: [{ TagKey: 'a', TagValue: '1' }] });
    await operations.call('CreateAlias', { AliasName: 'alias/away', TargetKeyId: KeyId }, { region: AWAY });
    await ok(AWAY, 'CreateGrant', { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`, Operations: ['Decrypt'] });
    await ok(AWAY, 'DisableKey');
    expect(await metadata(HOME)).toMatchObject({ Description: '', KeyState: 'Enabled' });
    expect((await ok(HOME, 'ListResourceTags'))['Tags']).toEqual([]);
    expect((await ok(HOME, 'ListGrants'))['Grants']).toEqual([]);
    expect((await ok(HOME, 'ListAliases'))['Aliases']).toEqual([]);
    expect(await decrypt(AWAY, ciphertext)).toBe('DisabledException');
    expect(await decrypt(HOME, ciphertext)).toMatchObject({ Plaintext });
    await ok(AWAY, 'EnableKey');
    await ok(HOME, 'DisableKey');
    expect(await decrypt(AWAY, ciphertext)).toMatchObject({ Plaintext });
  });

  test('refuses what AWS refuses', async () => {
    const single = String((await create({ MultiRegion: false }))['KeyId']);
    expect(await refusal(HOME, 'ReplicateKey', { ReplicaRegion: AWAY })).toBe(
      `UnsupportedOperationException: arn:aws:kms:${HOME}:${ACCOUNT}:key/${single} is not a multi-region primary key.`,
    );
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    const cases: [string, object, RegExp][] = [
      [HOME, { ReplicaRegion: AWAY }, /^AlreadyExistsException: arn:aws:kms:eu-west-1:/],
      [HOME, { ReplicaRegion: HOME }, /^AlreadyExistsException: /],
      [
        AWAY,
        { ReplicaRegion: THIRD },
        /^UnsupportedOperationException: .*eu-west-1.* is not a multi-region primary key/,
      ],
      [THIRD, { ReplicaRegion: HOME }, /^NotFoundException: /],
      [HOME, { ReplicaRegion: 'Mars' }, /^ValidationException: .*'replicaRegion'.*\(\[a-z\]\+-\)\{2,3\}/],
      [HOME, {}, /^ValidationException: .*'replicaRegion'/],
      [HOME, { ReplicaRegion: THIRD, Policy: '{' }, /^MalformedPolicyDocumentException/],
      [HOME, { ReplicaRegion: THIRD, Tags: [{ TagKey: 'aws:x', TagValue: '' }] }, /^TagException/],
      [HOME, { ReplicaRegion: THIRD, KeyId: 'alias/none' }, /^(NotFoundException|InvalidArnException)/],
      [AWAY, { ReplicaRegion: THIRD, KeyId: arnIn(HOME) }, /^NotFoundException: Invalid arn us-east-1/],
    ];
    for (const [region, input, expected] of cases) {
      expect(await refusal(region, 'ReplicateKey', input)).toMatch(expected);
    }
    await ok(HOME, 'DisableKey');
    expect(await refusal(HOME, 'ReplicateKey', { ReplicaRegion: THIRD })).toMatch(/^DisabledException/);
    await ok(HOME, 'ScheduleKeyDeletion');
    expect(await refusal(HOME, 'ReplicateKey', { ReplicaRegion: THIRD })).toMatch(/^KMSInvalidStateException/);
  });

  test('needs kms:ReplicateKey on the primary, and kms:CreateKey and kms:TagResource in the replica’s region', async () => {
    await create();
    const ann = 'AIDAANN';
    const user = userRef(ACCOUNT, 'ann');
    await operations.runCommand(user, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: ann, tags: [] });
    const permit = (policy: string) => operations.runCommand(user, { type: 'PutPolicy', policyName: 'own', policy });
    const asAnn = async (operation: string, input: object, region = HOME) =>
      (await operations.call(operation, { KeyId, ...input }, { region, principalId: ann })).code;
    const when = (action: string, test: object) => ({
      Effect: 'Allow',
      Action: action,
      Resource: '*',
      Condition: test,
    });
    const statements = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
    const Tags = [{ TagKey: 'a', TagValue: '1' }];

    await permit(allowing('kms:ReplicateKey'));
    expect(await asAnn('ReplicateKey', { ReplicaRegion: AWAY })).toBe('AccessDeniedException');
    await permit(allowing('kms:CreateKey', 'kms:TagResource'));
    expect(await asAnn('ReplicateKey', { ReplicaRegion: AWAY })).toBe('AccessDeniedException');
    const create3 = { StringEquals: { 'aws:RequestedRegion': AWAY, 'kms:MultiRegionKeyType': 'REPLICA' } };
    const replicate = { StringEquals: { 'kms:ReplicaRegion': AWAY, 'kms:MultiRegionKeyType': 'PRIMARY' } };
    await permit(statements(when('kms:ReplicateKey', replicate), when('kms:CreateKey', create3)));
    expect(await asAnn('ReplicateKey', { ReplicaRegion: THIRD })).toBe('AccessDeniedException');
    expect(await asAnn('ReplicateKey', { ReplicaRegion: AWAY, Tags })).toBe('AccessDeniedException');
    expect(await asAnn('ReplicateKey', { ReplicaRegion: AWAY })).toBe('OK');

    const move = (test: object) => permit(statements(when('kms:UpdatePrimaryRegion', { StringEquals: test })));
    await move({ 'kms:PrimaryRegion': HOME });
    expect(await asAnn('UpdatePrimaryRegion', { PrimaryRegion: AWAY })).toBe('AccessDeniedException');
    await move({ 'kms:PrimaryRegion': AWAY, 'kms:MultiRegionKeyType': 'PRIMARY' });
    expect(await asAnn('UpdatePrimaryRegion', { PrimaryRegion: AWAY })).toBe('AccessDeniedException');
    await move({ 'kms:PrimaryRegion': AWAY });
    expect(await asAnn('UpdatePrimaryRegion', { PrimaryRegion: AWAY })).toBe('OK');
  });
});

describe('rotation', () => {
  test('of the primary reaches the replicas, and ciphertexts of every version decrypt everywhere', async () => {
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    const ciphertexts = [await encrypt(HOME), await encrypt(AWAY)];
    await ok(HOME, 'RotateKeyOnDemand');
    await ok(HOME, 'EnableKeyRotation', { RotationPeriodInDays: 100 });
    ciphertexts.push(await encrypt(HOME), await encrypt(AWAY));
    operations.now += 100 * DAY;
    await settle();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: THIRD });
    ciphertexts.push(await encrypt(HOME), await encrypt(AWAY), await encrypt(THIRD));
    for (const ciphertext of ciphertexts) {
      for (const region of [HOME, AWAY, THIRD]) {
        expect(await decrypt(region, ciphertext)).toEqual({ KeyId: arnIn(region), Plaintext });
      }
    }
    const status = (await ok(HOME, 'GetKeyRotationStatus')) as object;
    expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 100 });
    const rotations = async (region: string) =>
      ((await ok(region, 'ListKeyRotations'))['Rotations'] as { RotationType: string; KeyMaterialId: string }[]).map(
        ({ RotationType, KeyMaterialId }) => `${RotationType} ${KeyMaterialId}`,
      );
    expect(await rotations(HOME)).toHaveLength(2);
    for (const region of [AWAY, THIRD]) {
      expect(await ok(region, 'GetKeyRotationStatus')).toEqual({ ...status, KeyId: arnIn(region) });
      expect(await rotations(region)).toEqual(await rotations(HOME));
      for (const operation of ['RotateKeyOnDemand', 'EnableKeyRotation', 'DisableKeyRotation']) {
        expect(await refusal(region, operation)).toBe(
          `UnsupportedOperationException: ${arnIn(region)} is not a multi-region primary key.`,
        );
      }
    }
  });

  test('that the replica has not heard of yet does not keep it from decrypting', async () => {
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    await operations.runCommand(
      { region: HOME, account: ACCOUNT, aggregate: 'key', id: KeyId },
      { type: 'RotateKeyOnDemand' },
    );
    expect((await ok(AWAY, 'ListKeyRotations'))['Rotations']).toEqual([]);
    const ciphertext = await encrypt(HOME);
    expect(await decrypt(AWAY, ciphertext)).toEqual({ KeyId: arnIn(AWAY), Plaintext });
    await settle();
    expect((await ok(AWAY, 'ListKeyRotations'))['Rotations']).toHaveLength(1);
  });
});

describe('UpdatePrimaryRegion', () => {
  test('changes which key is replicated and rotated', async () => {
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    await ok(HOME, 'EnableKeyRotation', { RotationPeriodInDays: 100 });
    expect(await ok(HOME, 'UpdatePrimaryRegion', { PrimaryRegion: AWAY })).toEqual({});
    for (const region of [HOME, AWAY]) {
      expect(await metadata(region)).toMatchObject({
        KeyState: 'Enabled',
        MultiRegionConfiguration: {
          MultiRegionKeyType: region === AWAY ? 'PRIMARY' : 'REPLICA',
          PrimaryKey: { Region: AWAY },
          ReplicaKeys: [{ Region: HOME }],
        },
      });
    }
    expect(await refusal(HOME, 'RotateKeyOnDemand')).toMatch(/^UnsupportedOperationException/);
    await ok(AWAY, 'RotateKeyOnDemand');
    expect(await decrypt(HOME, await encrypt(AWAY))).toMatchObject({ Plaintext });
    operations.now += 100 * DAY;
    await settle();
    expect((await ok(HOME, 'ListKeyRotations'))['Rotations']).toHaveLength(2);
  });

  test('refuses a region without a replica, a replica, a key that is disabled, and one that is to be deleted', async () => {
    await create();
    const to = (PrimaryRegion: string, region = HOME) => refusal(region, 'UpdatePrimaryRegion', { PrimaryRegion });
    expect(await to(AWAY)).toBe(`NotFoundException: Key '${arnIn(AWAY)}' does not exist`);
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    expect(await to(HOME)).toMatch(/^UnsupportedOperationException/);
    expect(await to(HOME, AWAY)).toMatch(/^UnsupportedOperationException: .*eu-west-1.* is not a multi-region primary/);
    expect(await to('Mars')).toMatch(/^ValidationException/);
    await ok(AWAY, 'DisableKey');
    expect(await to(AWAY)).toBe(`DisabledException: ${arnIn(AWAY)} is disabled.`);
    await ok(AWAY, 'ScheduleKeyDeletion', { PendingWindowInDays: 7 });
    expect(await to(AWAY)).toBe(`KMSInvalidStateException: ${arnIn(AWAY)} is pending deletion.`);
    operations.now += 7 * DAY;
    expect(await to(AWAY)).toMatch(/^NotFoundException/);
  });
});

describe('deletion', () => {
  test('of a primary waits for its replicas, of which each may go at any time', async () => {
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    const ciphertext = await encrypt(AWAY);
    expect(await ok(HOME, 'ScheduleKeyDeletion', { PendingWindowInDays: 10 })).toEqual({
      ...{ KeyId: arnIn(HOME), KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 10 },
    });
    expect(await metadata(HOME)).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingDeletionWindowInDays: 10 });
    expect(await metadata(HOME)).not.toHaveProperty('DeletionDate');
    expect(await decrypt(HOME, ciphertext)).toBe('KMSInvalidStateException');
    expect(await decrypt(AWAY, ciphertext)).toMatchObject({ Plaintext });
    operations.now += 60 * DAY;
    await settle();
    expect(await stateOf(HOME)).toBe('PendingReplicaDeletion');
    await ok(AWAY, 'ScheduleKeyDeletion', { PendingWindowInDays: 7 });
    operations.now += 7 * DAY;
    await settle();
    expect(await refusal(AWAY, 'DescribeKey')).toMatch(/^NotFoundException/);
    expect(await metadata(HOME)).toMatchObject({
      ...{ KeyState: 'PendingDeletion', DeletionDate: operations.now / 1000 + (10 * DAY) / 1000 },
      MultiRegionConfiguration: { ReplicaKeys: [] },
    });
    await ok(HOME, 'CancelKeyDeletion');
    await ok(HOME, 'EnableKey');
    expect(await decrypt(HOME, ciphertext)).toMatchObject({ Plaintext });
    await ok(HOME, 'ScheduleKeyDeletion', { PendingWindowInDays: 7 });
    operations.now += 7 * DAY;
    await settle();
    expect(await decrypt(HOME, ciphertext)).toBe('NotFoundException');
  });

  test('of a replica makes room for another one, which has none of its grants and aliases', async () => {
    const store = new MemoryEventStore();
    operations = new MemoryOperations(store);
    await create();
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY });
    await ok(AWAY, 'CreateGrant', { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`, Operations: ['Decrypt'] });
    await operations.call('CreateAlias', { AliasName: 'alias/away', TargetKeyId: KeyId }, { region: AWAY });
    const ciphertext = await encrypt(AWAY);
    await ok(AWAY, 'ScheduleKeyDeletion', { PendingWindowInDays: 7 });
    operations.now += 7 * DAY;
    await settle();
    expect(await decrypt(HOME, ciphertext)).toMatchObject({ Plaintext });
    await ok(HOME, 'ReplicateKey', { ReplicaRegion: AWAY, Description: 'again' });
    expect(await decrypt(AWAY, ciphertext)).toEqual({ KeyId: arnIn(AWAY), Plaintext });
    expect((await ok(AWAY, 'ListGrants'))['Grants']).toEqual([]);
    expect((await ok(AWAY, 'ListAliases'))['Aliases']).toEqual([]);
    const { body } = await operations.call('ListKeys', {}, { region: AWAY });
    expect(body['Keys']).toEqual([{ KeyId, KeyArn: arnIn(AWAY) }]);
    // The same from a snapshot's folded states.
    const { Projection } = await import('#views/projection');
    const { AGGREGATE_TYPES } = await import('#domain/aggregates');
    const restored = new Projection();
    const folded = AGGREGATE_TYPES.flatMap((type) => [...operations.projection.all(type)]);
    restored.restore(folded as never, operations.projection.position);
    expect(restored.grantCount({ region: AWAY, account: ACCOUNT, aggregate: 'key', id: KeyId })).toBe(0);
  });
});
