import fc from 'fast-check';
import { type AuditRecord, type SealedPart, splitRecord } from '#audit-log/record';
import { roleRef, userRef } from '#domain/principal/principal-id';
import { clusterRequest, proxyRequest } from '../../../../test/support/memory-key-stores';
import { ACCOUNT, allowing, MemoryOperations } from '../../../../test/support/memory-operations';
import type { CallerClaim } from '../caller';
import { decideAgain, type RecordedCall } from './decide-again';
import { changed, type ProposedChange } from './proposed-change';

const ROOT = `arn:aws:iam::${ACCOUNT}:root`;
const ANN = `arn:aws:iam::${ACCOUNT}:user/ann`;
const PAY = `arn:aws:iam::${ACCOUNT}:role/pay`;
const session = (name: string) => ({ principalId: `AROAPAYPAYPAYPAYPAY1:${name}`, sessionToken: name });

/** Who calls; what a session is, is in the world below. */
const CALLERS: Record<string, Partial<CallerClaim>> = {
  ann: { principalId: 'AIDAANNANNANNANNANN1', sourceIp: '192.0.2.1', secureTransport: true },
  annOverNats: { principalId: 'AIDAANNANNANNANNANN1' },
  bob: { principalId: 'AIDABOBBOBBOBBOBBOB1', sourceIp: '198.51.100.7', secureTransport: false },
  tagged: { ...session('tagged'), sourceIp: '192.0.2.1', secureTransport: false },
  narrow: { ...session('narrow'), sourceIp: '192.0.2.1', secureTransport: true },
};

interface World {
  operations: MemoryOperations;
  records: AuditRecord[];
  KeyId: string;
  other: string;
  GrantId: string;
  ciphertexts: Record<string, unknown>;
}

async function world(): Promise<World> {
  const operations = new MemoryOperations();
  const more = { path: '/', tags: [] };
  for (const [name, uniqueId] of [
    ['ann', CALLERS['ann']!.principalId!],
    ['bob', CALLERS['bob']!.principalId!],
  ] as const) {
    await operations.runCommand(userRef(ACCOUNT, name), { type: 'CreateUser', name, uniqueId, ...more });
  }
  const trust = { trustPolicy: '{}', namedIds: {}, description: '', maxSessionDuration: 3600, ...more };
  const role = { type: 'CreateRole' as const, name: 'pay', uniqueId: 'AROAPAYPAYPAYPAYPAY1', ...trust };
  await operations.runCommand(roleRef(ACCOUNT, 'pay'), role);
  for (const ref of [userRef(ACCOUNT, 'ann'), roleRef(ACCOUNT, 'pay')]) {
    await operations.runCommand(ref, { type: 'PutPolicy', policyName: 'own', policy: allowing('kms:*') });
  }
  const issuedAt = operations.now / 1000;
  const claims = { account: ACCOUNT, issuedAt, expiresAt: issuedAt + 3600, roleName: 'pay' };
  const { principalId: asTagged } = session('tagged');
  const tagged = { ...claims, principalId: asTagged, accessKeyId: 'ASIA1', sessionName: 'tagged' };
  operations.sessions.set('tagged', { ...tagged, tags: [{ key: 'team', value: 'a' }] });
  const { principalId: asNarrow } = session('narrow');
  const narrow = { ...claims, principalId: asNarrow, accessKeyId: 'ASIA2', sessionName: 'narrow' };
  const policy = allowing('kms:Encrypt', 'kms:Decrypt');
  operations.sessions.set('narrow', { ...narrow, policy, sourceIdentity: 'dan' });
  const { KeyId } = await operations.newKey();
  const { KeyId: other } = await operations.newKey();
  await operations.call('CreateAlias', { AliasName: 'alias/orders', TargetKeyId: KeyId });
  const grant = { KeyId, GranteePrincipal: `arn:aws:iam::${ACCOUNT}:user/bob`, Operations: ['Decrypt', 'Encrypt'] };
  const GrantId = String((await operations.call('CreateGrant', grant)).body['GrantId']);
  const ciphertexts: Record<string, unknown> = {};
  for (const team of TEAMS) {
    const asked = { KeyId, Plaintext: 'AAAA', EncryptionContext: { team } };
    ciphertexts[team] = (await operations.call('Encrypt', asked)).body['CiphertextBlob'];
  }
  const records: AuditRecord[] = [];
  operations.onRecord = (record) => records.push(record);
  return { operations, records, KeyId, other, GrantId, ciphertexts };
}

const TEAMS = ['a', 'b'];
const OPERATIONS = [
  'Encrypt',
  'Decrypt',
  'DecryptByAlias',
  'GenerateDataKey',
  'ReEncrypt',
  'DescribeKey',
  'ListGrants',
];

interface RandomCall {
  who: string;
  operation: string;
  team: string;
  byAlias: boolean;
}

function make({ operations, ciphertexts, KeyId: id, other }: World, { who, operation, team, byAlias }: RandomCall) {
  const KeyId = byAlias ? 'alias/orders' : id;
  const EncryptionContext = { team };
  const CiphertextBlob = ciphertexts[team];
  const inputs: Record<string, [string, object]> = {
    Encrypt: ['Encrypt', { KeyId, Plaintext: 'AAAA', EncryptionContext }],
    Decrypt: ['Decrypt', { CiphertextBlob, EncryptionContext }],
    DecryptByAlias: ['Decrypt', { CiphertextBlob, EncryptionContext, KeyId }],
    GenerateDataKey: ['GenerateDataKey', { KeyId, NumberOfBytes: 16, EncryptionContext }],
    ReEncrypt: ['ReEncrypt', { CiphertextBlob, SourceEncryptionContext: EncryptionContext, DestinationKeyId: other }],
    DescribeKey: ['DescribeKey', { KeyId }],
    ListGrants: ['ListGrants', { KeyId: id }],
  };
  const [name, input] = inputs[operation]!;
  return operations.call(name, input, CALLERS[who]);
}

const CONDITIONS: (object | undefined)[] = [
  undefined,
  { StringEquals: { 'kms:EncryptionContext:team': 'a' } },
  { StringEquals: { 'kms:RequestAlias': 'alias/orders' } },
  { NotIpAddress: { 'aws:SourceIp': '192.0.2.0/24' } },
  { Bool: { 'aws:SecureTransport': 'false' } },
  { Null: { 'aws:SecureTransport': 'true' } },
  { StringEquals: { 'aws:PrincipalTag/team': 'a' } },
  { StringEquals: { 'aws:SourceIdentity': 'dan' } },
  { StringLike: { 'aws:userid': '*:narrow' } },
  { Null: { 'aws:TokenIssueTime': 'false' } },
  { Bool: { 'kms:ReEncryptOnSameKey': 'false' } },
  { DateGreaterThan: { 'aws:CurrentTime': '2026-01-01T00:00:00Z' } },
];

const statement = fc.record({
  Effect: fc.constantFrom('Deny', 'Deny', 'Allow'),
  Principal: fc.constantFrom('*', ANN, PAY).map((AWS) => ({ AWS })),
  Action: fc.constantFrom('kms:*', 'kms:Encrypt', 'kms:Decrypt', 'kms:ReEncryptFrom', 'kms:Generate*'),
  Resource: fc.constant('*'),
  condition: fc.constantFrom(...CONDITIONS),
});

const policy = fc.array(statement, { minLength: 1, maxLength: 3 }).map((statements) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' },
      ...statements.map(({ condition, ...rest }) => ({ ...rest, ...(condition && { Condition: condition }) })),
    ],
  }),
);

const kind = fc.oneof(
  policy.map((text) => ({ type: 'put-key-policy' as const, text })),
  fc
    .constantFrom('disable-key', 'schedule-key-deletion', 'revoke-grant', 'delete-user', 'delete-role-policy')
    .map((type) => ({ type, text: '' })),
);

/** The change as it is proposed, and as it is made. */
function changeOf({ operations, KeyId, GrantId }: World, { type, text }: { type: string; text: string }) {
  const key = { region: 'us-east-1', account: ACCOUNT, aggregate: 'key', id: KeyId } as const;
  const ann = userRef(ACCOUNT, 'ann');
  const changes: Record<string, [ProposedChange, () => Promise<unknown>]> = {
    'put-key-policy': [
      { type: 'put-key-policy', key, policy: text },
      () => operations.call('PutKeyPolicy', { KeyId, Policy: text, BypassPolicyLockoutSafetyCheck: true }),
    ],
    'disable-key': [{ type: 'disable-key', key }, () => operations.call('DisableKey', { KeyId })],
    'schedule-key-deletion': [
      { type: 'schedule-key-deletion', key },
      () => operations.call('ScheduleKeyDeletion', { KeyId }),
    ],
    'revoke-grant': [
      { type: 'revoke-grant', key, grantId: GrantId },
      () => operations.call('RevokeGrant', { KeyId, GrantId }),
    ],
    'delete-user': [
      { type: 'delete-user', account: ACCOUNT, name: 'ann' },
      async () => {
        await operations.runCommand(ann, { type: 'DeletePolicy', policyName: 'own' });
        await operations.runCommand(ann, { type: 'DeleteUser' });
      },
    ],
    'delete-role-policy': [
      { type: 'delete-role-policy', account: ACCOUNT, name: 'pay', policyName: 'own' },
      () => operations.runCommand(roleRef(ACCOUNT, 'pay'), { type: 'DeletePolicy', policyName: 'own' }),
    ],
  };
  return changes[type]!;
}

/** As it comes back from the record: nothing of the call but what was sealed and what was not. */
function asRead(record: AuditRecord): RecordedCall {
  const { open, sealed } = splitRecord(record);
  return { ...(JSON.parse(JSON.stringify(open)) as RecordedCall), ...(JSON.parse(sealed) as SealedPart) };
}

const randomCall: fc.Arbitrary<RandomCall> = fc.record({
  who: fc.constantFrom(...Object.keys(CALLERS)),
  operation: fc.constantFrom(...OPERATIONS),
  team: fc.constantFrom(...TEAMS),
  byAlias: fc.boolean(),
});

test('calls on record, decided again with a change, come out as they do once it has been made', async () => {
  let refused = 0;
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(randomCall, { minLength: 1, maxLength: 15 }), kind, async (calls, random) => {
      const made = await world();
      const { operations, records } = made;
      const repeated: RandomCall[] = [];
      const recorded: RecordedCall[] = [];
      for (const call of calls) {
        if ((await make(made, call)).code !== 'OK') continue;
        repeated.push(call);
        recorded.push(asRead(records.at(-1)!));
      }
      operations.onRecord = undefined;
      const [change, apply] = changeOf(made, random);
      const { position } = operations.projection;
      const after = changed(operations.projection, change, new Date(operations.now).toISOString());
      const predicted: string[] = [];
      for (const record of recorded) {
        expect(await decideAgain(record, operations.projection, ACCOUNT)).toBeUndefined();
        predicted.push((await decideAgain(record, after, ACCOUNT))?.code ?? 'OK');
      }
      expect(operations.projection.position).toBe(position);
      await apply();
      const real: string[] = [];
      for (const call of repeated) real.push((await make(made, call)).code);
      expect(predicted).toEqual(real);
      for (const code of real) code === 'OK' ? allowed++ : refused++;
    }),
    { numRuns: 150 },
  );
  expect(Math.min(refused, allowed)).toBeGreaterThan(50);
});

test('a grant that was retired by its token is on record, and decided again', async () => {
  const { operations, records, KeyId } = await world();
  const asked = { KeyId, GranteePrincipal: ANN, RetiringPrincipal: ANN, Operations: ['Decrypt'] };
  const { GrantId, GrantToken } = (await operations.call('CreateGrant', asked)).body;
  const before = operations.projection;
  const key = { region: 'us-east-1', account: ACCOUNT, aggregate: 'key', id: KeyId } as const;
  const now = new Date(operations.now).toISOString();
  const then = changed(before, { type: 'disable-key', key }, now);
  expect((await operations.call('RetireGrant', { GrantToken }, CALLERS['bob'])).code).toBe('AccessDeniedException');
  const refused = asRead(records.at(-1)!);
  expect(refused.decisionInput).toEqual({
    retiring: { grantId: GrantId, keyArn: `arn:aws:kms:us-east-1:${ACCOUNT}:key/${KeyId}` },
  });
  expect(refused.additionalEventData?.decidedBy).toEqual({ kind: 'nothing', missing: 'identity-based policy' });
  expect(JSON.stringify(records)).not.toContain(String(GrantToken));
  expect(await decideAgain(refused, then, ACCOUNT)).toMatchObject({
    code: 'AccessDeniedException',
    decidedBy: { kind: 'nothing', missing: 'identity-based policy' },
  });
  await operations.call('RetireGrant', { GrantToken }, CALLERS['ann']);
  const retired = asRead(records.at(-1)!);
  expect(retired.errorCode).toBeUndefined();
  expect(await decideAgain(retired, then, ACCOUNT)).toBeUndefined();
  expect(await decideAgain(retired, before, ACCOUNT)).toMatchObject({ code: 'NotFoundException' });
});

test('a call keeps what decided it and nothing more', async () => {
  const { operations, records, KeyId } = await world();
  const inputOf = async (who: string) => {
    await operations.call('DescribeKey', { KeyId }, CALLERS[who]);
    return asRead(records.at(-1)!).decisionInput;
  };
  expect(await inputOf('ann')).toEqual({ secureTransport: true });
  expect(await inputOf('annOverNats')).toBeUndefined();
  expect(await inputOf('bob')).toBeUndefined();
  expect(await inputOf('tagged')).toEqual({ sessionTags: [{ key: 'team', value: 'a' }] });
  expect(await inputOf('narrow')).toEqual({
    secureTransport: true,
    sessionPolicy: allowing('kms:Encrypt', 'kms:Decrypt'),
  });
});

test('a record that does not say enough is not decided', async () => {
  const { operations, records, KeyId } = await world();
  await operations.call('DescribeKey', { KeyId });
  const record = asRead(records.at(-1)!);
  const again = (changed: Partial<RecordedCall>) =>
    decideAgain({ ...record, ...changed }, operations.projection, ACCOUNT);
  expect(await again({})).toBeUndefined();
  await expect(again({ eventName: 'Sing' })).rejects.toThrow('this version has no operation Sing');
  await expect(again({ userIdentity: { type: 'Unknown' } })).rejects.toThrow('does not say who called');
  await expect(again({ eventName: 'Decrypt', resources: [] })).rejects.toThrow('which key it was about');
});

test('a session policy counts once the key policy does not name the session any more', async () => {
  const { operations, records, KeyId } = await world();
  const narrow = `arn:aws:sts::${ACCOUNT}:assumed-role/pay/narrow`;
  const all = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
  const byName = (...names: string[]): string =>
    JSON.stringify({ Version: '2012-10-17', Statement: names.map((AWS) => ({ ...all, Principal: { AWS } })) });
  await operations.call('PutKeyPolicy', { KeyId, Policy: byName(ROOT, narrow) });
  expect((await operations.call('DescribeKey', { KeyId }, CALLERS['narrow'])).code).toBe('OK');
  const record = asRead(records.at(-1)!);
  const key = { region: 'us-east-1', account: ACCOUNT, aggregate: 'key', id: KeyId } as const;
  const change = { type: 'put-key-policy', key, policy: byName(ROOT) } as const;
  const then = changed(operations.projection, change, new Date(operations.now).toISOString());
  expect(await decideAgain(record, then, ACCOUNT)).toMatchObject({
    code: 'AccessDeniedException',
    decidedBy: { kind: 'nothing', missing: 'session policy' },
  });
  await operations.call('PutKeyPolicy', { KeyId, Policy: byName(ROOT) });
  expect((await operations.call('DescribeKey', { KeyId }, CALLERS['narrow'])).code).toBe('AccessDeniedException');
});

test('a command that the state of the key refuses is refused', async () => {
  const { operations, records, KeyId } = await world();
  await operations.call('EnableKeyRotation', { KeyId }, CALLERS['ann']);
  await operations.call('EnableKey', { KeyId }, CALLERS['ann']);
  const key = { region: 'us-east-1', account: ACCOUNT, aggregate: 'key', id: KeyId } as const;
  const change = { type: 'schedule-key-deletion', key } as const;
  const then = changed(operations.projection, change, new Date(operations.now).toISOString());
  for (const record of records.map(asRead)) {
    expect(await decideAgain(record, operations.projection, ACCOUNT)).toBeUndefined();
    expect(await decideAgain(record, then, ACCOUNT)).toMatchObject({ code: 'KMSInvalidStateException' });
  }
  expect(records).toHaveLength(2);
});

test('signatures and MACs are decided again without the message, the signature or the MAC', async () => {
  const { operations, records } = await world();
  const newKey = async (KeySpec: string, KeyUsage: string): Promise<string> =>
    ((await operations.call('CreateKey', { KeySpec, KeyUsage })).body['KeyMetadata'] as { KeyId: string }).KeyId;
  const ofKey = { KeyId: await newKey('ECC_NIST_P256', 'SIGN_VERIFY'), SigningAlgorithm: 'ECDSA_SHA_256' };
  const signing = { ...ofKey, MessageType: 'DIGEST', Message: Buffer.alloc(32).toString('base64') };
  const macs = {
    KeyId: await newKey('HMAC_256', 'GENERATE_VERIFY_MAC'),
    MacAlgorithm: 'HMAC_SHA_256',
    Message: 'AAAA',
  };
  records.length = 0;
  const { Signature } = (await operations.call('Sign', signing, CALLERS['ann'])).body;
  await operations.call('Verify', { ...signing, Signature }, CALLERS['ann']);
  await operations.call('GetPublicKey', { KeyId: ofKey.KeyId }, CALLERS['ann']);
  const { Mac } = (await operations.call('GenerateMac', macs, CALLERS['ann'])).body;
  await operations.call('VerifyMac', { ...macs, Mac }, CALLERS['ann']);
  const made = records.map(asRead);
  expect(made.map(({ eventName, errorCode }) => [eventName, errorCode])).toEqual(
    ['Sign', 'Verify', 'GetPublicKey', 'GenerateMac', 'VerifyMac'].map((name) => [name, undefined]),
  );
  const change = { type: 'delete-user-policy', account: ACCOUNT, name: 'ann', policyName: 'own' } as const;
  const then = changed(operations.projection, change, new Date(operations.now).toISOString());
  for (const record of made) {
    expect(await decideAgain(record, operations.projection, ACCOUNT)).toBeUndefined();
    expect(await decideAgain(record, then, ACCOUNT)).toMatchObject({ code: 'AccessDeniedException' });
  }
});

test('the creation of a custom key store is decided again without its secret, which is on no record', async () => {
  const { operations, records } = await world();
  for (const request of [clusterRequest(operations.backings), proxyRequest()]) {
    records.length = 0;
    expect((await operations.call('CreateCustomKeyStore', request, CALLERS['ann'])).code).toBe('OK');
    const record = asRead(records.at(-1)!);
    expect(await decideAgain(record, operations.projection, ACCOUNT)).toBeUndefined();
    const change = { type: 'delete-user-policy', account: ACCOUNT, name: 'ann', policyName: 'own' } as const;
    const then = changed(operations.projection, change, new Date(operations.now).toISOString());
    expect(await decideAgain(record, then, ACCOUNT)).toMatchObject({ code: 'AccessDeniedException' });
  }
});
