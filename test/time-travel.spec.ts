import fc from 'fast-check';
import { aliasArn, keyArn } from '#domain/arn';
import type { Commit } from '#domain/commit';
import { KmsError } from '#domain/errors';
import { accountRef } from '#domain/principal/principal-id';
import { isNamed } from '#domain/principal/state';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { CallerClaim } from '#operations/caller';
import type { ControlPorts } from '#operations/operation';
import { OPERATION_TABLE } from '#operations/table';
import { MomentFold } from '#views/moment';
import { type LogEntry, Projection } from '#views/projection';
import { decodeSnapshot, encodeSnapshot } from '#views/snapshot';
import { type Moment, reportOf } from '../apps/keytrail/src/cli/aggregate-report';
import { explainOn } from '../apps/keytrail/src/cli/explain';
import { trusting } from './support/identities';
import { ACCOUNT, allowing, MemoryOperations } from './support/memory-operations';
import { rootCaller } from './support/root-caller';

const REGION = 'us-east-1';
const HISTORIES = 200;
const SEED = Number(process.env['KEYTRAIL_TEST_SEED'] ?? 20_261_125);
const DAY_MS = 86_400_000;
const USERS = ['ann', 'bob'] as const;
const ROLE = 'till';
/** Of another account, where she may all that key policies and grants let her. */
const OTHER = '111122223333';
const STRANGER = 'zoe';
const ALIASES = ['alias/one', 'alias/two'] as const;
const MAX_KEYS = 2;

const arnOf = (user: string): string => `arn:aws:iam::${ACCOUNT}:user/${user}`;
/** Who is asked about, as `explain` takes it. */
const PRINCIPALS = {
  ann: arnOf('ann'),
  bob: arnOf('bob'),
  [ROLE]: `arn:aws:iam::${ACCOUNT}:role/${ROLE}`,
  [STRANGER]: `arn:aws:iam::${OTHER}:user/${STRANGER}`,
  root: `arn:aws:iam::${ACCOUNT}:root`,
} as const;
type Principal = keyof typeof PRINCIPALS;
const GRANTEES = ['ann', 'bob', ROLE, STRANGER] as const;
const policy = (...statements: object[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { AWS: ACCOUNT }, Action: 'kms:*', Resource: '*' },
      ...statements.map((statement) => ({ Action: 'kms:*', Resource: '*', ...statement })),
    ],
  });
const KEY_POLICIES = [
  policy(),
  policy({ Effect: 'Allow', Principal: { AWS: arnOf('ann') } }),
  policy({ Effect: 'Deny', Principal: { AWS: arnOf('ann') }, Action: ['kms:Encrypt', 'kms:DescribeKey'] }),
  policy({ Effect: 'Allow', Principal: { AWS: arnOf('bob') }, Action: 'kms:Encrypt' }),
  policy({
    Effect: 'Allow',
    Principal: { AWS: '*' },
    Condition: { StringEquals: { 'aws:ResourceTag/team': 'a', 'aws:PrincipalTag/team': 'a' } },
  }),
  policy({
    Effect: 'Deny',
    Principal: '*',
    Condition: {
      DateLessThan: { 'aws:CurrentTime': '2026-04-01T00:00:00Z' },
      ArnLike: { 'aws:PrincipalArn': arnOf('*') },
    },
  }),
  policy({ Effect: 'Allow', Principal: { AWS: [PRINCIPALS[STRANGER], PRINCIPALS[ROLE]] } }),
  // Nobody else, the root of the account neither.
  JSON.stringify({
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Principal: { AWS: arnOf('ann') }, Action: 'kms:*', Resource: '*' },
  }),
] as const;
const USER_POLICIES = [
  allowing('kms:Encrypt'),
  allowing('kms:*'),
  JSON.stringify({
    Version: '2012-10-17',
    Statement: {
      Effect: 'Allow',
      Action: 'kms:*',
      Resource: '*',
      Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/one' } },
    },
  }),
] as const;

const step = fc.record({
  what: fc.constantFrom(
    ...['CreateKey', 'DisableKey', 'EnableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion', 'RotateKeyOnDemand'],
    ...['EnableKeyRotation', 'EnableKeyRotation', 'EnableKeyRotation', 'EnableKeyRotation', 'DisableKeyRotation'],
    ...['TagResource', 'UntagResource'],
    ...['PutKeyPolicy', 'PutKeyPolicy', 'CreateAlias', 'UpdateAlias', 'DeleteAlias', 'CreateGrant', 'CreateGrant'],
    ...['RevokeGrant', 'RetireGrant', 'UpdateKeyDescription', 'CreateRole', 'DeleteRole', 'PutRolePolicy'],
    ...['CreateUser', 'DeleteUser', 'PutUserPolicy', 'PutUserPolicy', 'DeleteUserPolicy', 'TagUser'],
    ...['fire', 'fire', 'fire', 'wait', 'wait', 'wait', 'wait', 'wait', 'wait'],
  ),
  key: fc.nat(MAX_KEYS - 1),
  alias: fc.constantFrom(...ALIASES),
  user: fc.constantFrom(...USERS),
  grantee: fc.constantFrom(...GRANTEES),
  keyPolicy: fc.nat(KEY_POLICIES.length - 1),
  userPolicy: fc.nat(USER_POLICIES.length - 1),
  constrained: fc.boolean(),
  pauseMs: fc.constantFrom(1, 1, 1_000, 3_600_000),
  days: fc.constantFrom(1, 6, 7, 90, 90, 90),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What was asked, and what came: the error's code, and all that was said. */
interface Answer {
  code: string;
  said: unknown;
}

interface Observation {
  at: string;
  keys: string[];
  /** Questions that read, as root; by what was asked. */
  reads: Record<string, Answer>;
  /** Whether each principal was let in, by principal, action, key and context. */
  decisions: Record<string, string>;
}

class History {
  readonly store = new MemoryEventStore();
  readonly operations = new MemoryOperations(this.store);
  readonly keys: string[] = [];
  readonly grants: string[] = [];
  readonly observations: Observation[] = [];

  async play(steps: readonly Step[]): Promise<void> {
    const { operations } = this;
    await operations.call('CreateUser', { UserName: 'ann' });
    await operations.call('CreateRole', { RoleName: ROLE, AssumeRolePolicyDocument: trusting(PRINCIPALS.root) });
    await operations.runCommand(accountRef(OTHER), { type: 'CreateAccount' });
    const ofOther = { account: OTHER };
    const hers = { UserName: STRANGER, PolicyName: 'own', PolicyDocument: allowing('kms:*') };
    for (const [operation, input] of [
      ['CreateUser', { UserName: STRANGER }],
      ['PutUserPolicy', hers],
    ] as const) {
      expect((await operations.call(operation, input, ofOther)).code).toBe('OK');
    }
    for (const one of [{ ...steps[0]!, what: 'CreateKey' }, ...steps]) {
      this.operations.now += one.what === 'wait' ? one.days * DAY_MS : one.pauseMs;
      await this.make(one);
      await this.observe();
    }
  }

  private async make({ what, key, alias, user, grantee, keyPolicy, userPolicy, constrained }: Step): Promise<void> {
    const { operations } = this;
    const KeyId = this.keys[key % this.keys.length];
    const EncryptionContextSubset = { team: 'a' };
    const inputs: Record<string, object | undefined> = {
      CreateKey: this.keys.length < MAX_KEYS ? {} : undefined,
      ScheduleKeyDeletion: { KeyId, PendingWindowInDays: 7 },
      EnableKeyRotation: { KeyId, RotationPeriodInDays: 90 },
      TagResource: { KeyId, Tags: [{ TagKey: 'team', TagValue: constrained ? 'a' : 'b' }] },
      UntagResource: { KeyId, TagKeys: ['team'] },
      PutKeyPolicy: { KeyId, Policy: KEY_POLICIES[keyPolicy], BypassPolicyLockoutSafetyCheck: true },
      UpdateKeyDescription: { KeyId, Description: `of ${alias}` },
      CreateAlias: { AliasName: alias, TargetKeyId: KeyId },
      UpdateAlias: { AliasName: alias, TargetKeyId: KeyId },
      DeleteAlias: { AliasName: alias },
      CreateGrant: {
        KeyId,
        GranteePrincipal: PRINCIPALS[grantee],
        RetiringPrincipal: PRINCIPALS.root,
        Operations: ['Encrypt', 'DescribeKey'],
        ...(constrained && { Constraints: { EncryptionContextSubset } }),
      },
      RevokeGrant: { KeyId, GrantId: this.grants.at(-1) ?? '00' },
      RetireGrant: { KeyId: keyArn(REGION, ACCOUNT, KeyId ?? ''), GrantId: this.grants[0] ?? '00' },
      CreateRole: { RoleName: ROLE, AssumeRolePolicyDocument: trusting(PRINCIPALS.root) },
      DeleteRole: { RoleName: ROLE },
      PutRolePolicy: { RoleName: ROLE, PolicyName: 'own', PolicyDocument: USER_POLICIES[userPolicy] },
      CreateUser: { UserName: user },
      DeleteUser: { UserName: user },
      PutUserPolicy: { UserName: user, PolicyName: 'own', PolicyDocument: USER_POLICIES[userPolicy] },
      DeleteUserPolicy: { UserName: user, PolicyName: 'own' },
      TagUser: { UserName: user, Tags: [{ Key: 'team', Value: constrained ? 'a' : 'b' }] },
      fire: undefined,
      wait: undefined,
    };
    if (what === 'fire') await operations.fireDue();
    const input = what in inputs ? inputs[what] : { KeyId };
    if (!input) return;
    if (what === 'DeleteRole') await operations.call('DeleteRolePolicy', { RoleName: ROLE, PolicyName: 'own' });
    if (what === 'DeleteUser') await operations.call('DeleteUserPolicy', { UserName: user, PolicyName: 'own' });
    const { body } = await operations.call(what, input);
    if (body['KeyMetadata']) this.keys.push((body['KeyMetadata'] as { KeyId: string }).KeyId);
    if (body['GrantId']) this.grants.push(body['GrantId'] as string);
  }

  private async observe(): Promise<void> {
    const { operations, keys } = this;
    const reads: Observation['reads'] = {};
    for (const [operation, input] of questions(keys)) {
      const { code, message, body } = await operations.call(operation, input);
      reads[`${operation} ${JSON.stringify(input)}`] = { code, said: code === 'OK' ? body : message };
    }
    const decisions: Observation['decisions'] = {};
    for (const [principal, action, KeyId, context] of requests(keys)) {
      const claim = this.claimOf(principal);
      let outcome = 'unknown';
      if (claim) {
        const EncryptionContext = context ? { team: 'a' } : undefined;
        const input = { KeyId, ...(action === 'Encrypt' && { Plaintext: 'AAAA', EncryptionContext }) };
        outcome = outcomeOf((await operations.call(action, input, claim)).code);
      }
      decisions[[principal, action, KeyId, context].join(' ')] = outcome;
    }
    this.observations.push({ at: new Date(operations.now).toISOString(), keys: [...keys], reads, decisions });
  }

  /** As who the live service is called; undefined where there is no such principal now. */
  private claimOf(principal: Principal): Partial<CallerClaim> | undefined {
    const { projection, sessions, now } = this.operations;
    if (principal === 'root') return {};
    const account = principal === STRANGER ? OTHER : ACCOUNT;
    const state = (principal === ROLE ? projection.role(account, ROLE) : projection.user(account, principal))?.state;
    if (!state || !isNamed(state)) return undefined;
    if (principal !== ROLE) return { account, principalId: state.uniqueId };
    const principalId = `${state.uniqueId}:one`;
    const issuedAt = Math.floor(now / 1_000);
    sessions.set('one', { account, principalId, accessKeyId: 'ASIA', issuedAt, expiresAt: issuedAt + 3_600, tags: [] });
    return { account, principalId, sessionToken: 'one' };
  }
}

/** A refusal for the state of the key is no matter of permissions. */
const outcomeOf = (code: string): string => {
  if (code === 'AccessDeniedException') return 'denied';
  return code === 'NotFoundException' ? 'unknown' : 'allowed';
};

const questions = (keys: readonly string[]): [string, object][] => [
  ...[...keys, ...ALIASES].map((KeyId): [string, object] => ['DescribeKey', { KeyId }]),
  ...keys.flatMap((KeyId): [string, object][] => [
    ['GetKeyPolicy', { KeyId }],
    ['ListGrants', { KeyId }],
    ['GetKeyRotationStatus', { KeyId }],
    ['ListKeyRotations', { KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }],
    ['ListResourceTags', { KeyId }],
    ['ListAliases', { KeyId }],
  ]),
  ['ListKeys', {}],
  ['ListAliases', {}],
  ['ListRetirableGrants', { RetiringPrincipal: PRINCIPALS.root }],
  ['ListUsers', {}],
  ['ListRoles', {}],
  ['GetRole', { RoleName: ROLE }],
  ['GetRolePolicy', { RoleName: ROLE, PolicyName: 'own' }],
  ...USERS.map((UserName): [string, object] => ['GetUserPolicy', { UserName, PolicyName: 'own' }]),
];

/** By ARN, as a caller of another account must. */
const requests = (keys: readonly string[]): [Principal, string, string, boolean][] =>
  (Object.keys(PRINCIPALS) as Principal[]).flatMap((principal) =>
    [...keys.map((id) => keyArn(REGION, ACCOUNT, id)), aliasArn(REGION, ACCOUNT, ALIASES[0])].flatMap(
      (key): [Principal, string, string, boolean][] => [
        [principal, 'DescribeKey', key, false],
        [principal, 'Encrypt', key, false],
        [principal, 'Encrypt', key, true],
      ],
    ),
  );

/** What the operation answers root on a projection of the past. */
function readOn({ projection, at }: Moment, operation: string, input: object): Answer {
  const definition = OPERATION_TABLE.get(operation)!;
  if (definition.plane !== 'control') throw new Error(`${operation} is no control operation`);
  const call = { caller: rootCaller(REGION, ACCOUNT), requestId: 'replay', operation, now: at };
  try {
    const said = definition.run(input, call, { projection } as ControlPorts);
    return { code: 'OK', said: JSON.parse(JSON.stringify(said)) as unknown };
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    return { code: error.code, said: error.message };
  }
}

/** What `./keytrail explain --at` says. */
function decisionOn(
  { projection, at }: Moment,
  principal: Principal,
  action: string,
  key: string,
  context: boolean,
): string {
  const lines: string[] = [];
  const asked = {
    principal: PRINCIPALS[principal],
    action,
    key,
    ...(context && { context: ['team=a'] }),
    json: true,
    at,
  };
  try {
    const allowed = explainOn(
      projection,
      asked,
      { accountId: ACCOUNT, region: REGION, now: Date.parse(at) },
      (line) => void lines.push(line),
    );
    expect(JSON.parse(lines.join('\n'))).toMatchObject({ allowed, at });
    return allowed ? 'allowed' : 'denied';
  } catch (error) {
    expect((error as Error).name).toBe('CommandError');
    // The service does not tell strangers what does not exist; the operator is told.
    return principal === STRANGER ? 'denied' : 'unknown';
  }
}

async function entriesOf(store: MemoryEventStore): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of store.read(1)) entries.push(entry);
  return entries;
}

/** Rotations that were due at the moment, and fired after it: the service did not know of them yet. */
const overdueRotations = (entries: readonly LogEntry[], at: string): number =>
  entries.filter(({ bytes }) => {
    const { time, recordedAt, events } = JSON.parse(Buffer.from(bytes).toString()) as Commit;
    return recordedAt !== undefined && time <= at && at < recordedAt && events[0]?.type === 'KeyRotated';
  }).length;

function foldedAt(entries: readonly LogEntry[], at: string, fold = new MomentFold(at)): MomentFold {
  for (const entry of entries.slice(fold.projection.position)) fold.take(entry);
  return fold;
}

/** The fold of the log up to a position, written down and read again. */
function restoredAt(entries: readonly LogEntry[], position: number, at: string): MomentFold | undefined {
  const whole = new MomentFold(undefined);
  for (const entry of entries.slice(0, position)) whole.take(entry);
  if (whole.until > at) return undefined;
  const head = { position, commitHash: '', until: whole.until };
  const snapshot = decodeSnapshot(Buffer.from([...encodeSnapshot(head, whole.projection)].join('')));
  const projection = new Projection();
  projection.restore(snapshot.folded, snapshot.position);
  return new MomentFold(at, projection);
}

function expectTheSame({ at, keys, reads, decisions }: Observation, { projection }: MomentFold): void {
  const moment = { projection, at };
  const replayed = Object.fromEntries(
    questions(keys).map(([operation, input]) => [
      `${operation} ${JSON.stringify(input)}`,
      readOn(moment, operation, input),
    ]),
  );
  expect(replayed).toEqual(reads);
  const explained = Object.fromEntries(
    requests(keys).map((request) => [request.join(' '), decisionOn(moment, ...request)]),
  );
  expect(explained).toEqual(decisions);
}

/** What `./keytrail replay --at` prints of the keys, in the terms of the API's answers. */
function expectReportsFit({ at, keys, reads }: Observation, { projection }: MomentFold): void {
  for (const keyId of keys) {
    const asked = (operation: string, more: object = {}) =>
      reads[`${operation} ${JSON.stringify({ KeyId: keyId, ...more })}`]!;
    const report = reportOf(projection.key(REGION, ACCOUNT, keyId)!, { projection, at });
    // Where root itself may not, the report still says.
    expect(report.exists).toBe(asked('DescribeKey').code !== 'NotFoundException');
    if (asked('DescribeKey').code !== 'OK') continue;
    const { Aliases } = asked('ListAliases').said as { Aliases: { AliasName: string }[] };
    const { Grants } = asked('ListGrants').said as { Grants: { GrantId: string }[] };
    expect(report.more).toMatchObject({
      aliases: Aliases.map(({ AliasName }) => AliasName),
      grants: Grants.map(({ GrantId }) => GrantId),
    });
  }
}

test(`at each moment of ${HISTORIES} random histories, replay says what the service answered then (seed ${SEED})`, async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 20 }), fc.nat(100), async (steps, percent) => {
      const history = new History();
      await history.play(steps);
      const entries = await entriesOf(history.store);
      const position = Math.floor((entries.length * percent) / 100);
      for (const observation of history.observations) {
        const fold = foldedAt(entries, observation.at);
        expectTheSame(observation, fold);
        expectReportsFit(observation, fold);
        const restored = restoredAt(entries, position, observation.at);
        if (restored) expectTheSame(observation, foldedAt(entries, observation.at, restored));
        for (const outcome of Object.values(observation.decisions)) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        const late = overdueRotations(entries, observation.at);
        seen.set('overdue rotation', (seen.get('overdue rotation') ?? 0) + late);
      }
    }),
    { numRuns: HISTORIES, seed: SEED },
  );
  // Histories in which all is refused would show nothing.
  for (const outcome of ['allowed', 'denied', 'unknown']) expect(seen.get(outcome)).toBeGreaterThan(HISTORIES);
  expect(seen.get('overdue rotation')).toBeGreaterThan(HISTORIES / 10);
}, 600_000);
