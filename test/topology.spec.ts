import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  EncryptCommand,
  type KMSClient,
  ListAliasesCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  UpdateKeyDescriptionCommand,
} from '@aws-sdk/client-kms';
import { connect, type NatsConnection } from 'nats';
import { decodeCommit } from '#domain/commit-codec';
import { EVENTS_STREAM, requestSubject } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { inboxPrefix, type NatsUserName } from '#platform/nats-users';
import { Topology } from './support/topology';

jest.setTimeout(120_000);

const Plaintext = Buffer.from('across processes');

let topology: Topology;
let kms: KMSClient;

beforeAll(async () => {
  topology = await Topology.start({ KEYTRAIL_CLOCK: 'virtual' });
  await topology.ready();
  kms = topology.kms();
});

afterAll(async () => {
  kms?.destroy();
  await topology?.stop();
});

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const newKey = async (Description?: string): Promise<string> =>
  (await kms.send(new CreateKeyCommand({ Description }))).KeyMetadata!.KeyId!;
const describeKey = async (KeyId: string) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!;
const encrypt = async (KeyId: string): Promise<Uint8Array> =>
  (await kms.send(new EncryptCommand({ KeyId, Plaintext }))).CiphertextBlob!;
const decrypt = async (CiphertextBlob: Uint8Array): Promise<Buffer> =>
  Buffer.from((await kms.send(new DecryptCommand({ CiphertextBlob }))).Plaintext!);
const nameOf = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => 'answered',
    (error: Error) => error.name,
  );

/** Runs a command line that must succeed. */
async function keytrail(...args: string[]): Promise<string> {
  const { code, output } = await topology.keytrail(...args);
  if (code !== 0) throw new Error(`keytrail ${args.join(' ')}: exit code ${code}\n${output}`);
  return output;
}

/** A connection of a program outside of the cluster, as one of its users. */
function connectAs(user: NatsUserName): Promise<NatsConnection> {
  const { KEYTRAIL_NATS_PASSWORD: pass } = topology.credentials(user);
  return connect({ servers: topology.natsUrl, user, pass, inboxPrefix: inboxPrefix(user) });
}

/** How many commits of each event type there are on each of these keys, read from the log itself. */
async function countEvents(keyIds: readonly string[]): Promise<Record<string, number>[]> {
  const nats = await connectAs('operator');
  try {
    const counts = new Map(keyIds.map((id) => [id, {} as Record<string, number>]));
    for await (const { subject, bytes } of new JetStreamEventStore(nats).read(1)) {
      const { id, events } = decodeCommit(subject, bytes);
      const counted = counts.get(id);
      for (const { type } of events) if (counted) counted[type] = (counted[type] ?? 0) + 1;
    }
    return [...counts.values()];
  } finally {
    await nats.close();
  }
}

test('every container of docker-compose.yml passes its own health check', async () => {
  for (const service of topology.services)
    expect([service.name, await service.healthCheck()]).toEqual([service.name, 0]);
});

test('the three nodes keep three replicas of the log, and let no stranger in', async () => {
  const nats = await connectAs('operator');
  const manager = await nats.jetstreamManager({ checkAPI: false });
  const { config, cluster } = await manager.streams.info(EVENTS_STREAM);
  await nats.close();
  expect(config.num_replicas).toBe(3);
  const keepers = [cluster!.leader, ...cluster!.replicas!.map(({ name }) => name)];
  expect(keepers.sort()).toEqual(topology.nodes.map(({ name }) => name));
  await expect(connect({ servers: topology.natsUrl, user: 'operator', pass: 'wrong' })).rejects.toMatchObject({
    code: 'AUTHORIZATION_VIOLATION',
  });
});

test('a key lives its whole life over the gateway, and the log and every view of it stand up to verify', async () => {
  const KeyId = await newKey('orders');
  await kms.send(new CreateAliasCommand({ AliasName: 'alias/orders', TargetKeyId: KeyId }));
  const old = await encrypt('alias/orders');
  await kms.send(new RotateKeyOnDemandCommand({ KeyId }));
  const fresh = await encrypt('alias/orders');
  for (const ciphertext of [old, fresh]) expect(await decrypt(ciphertext)).toEqual(Plaintext);

  await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
  expect(await nameOf(decrypt(old))).toBe('KMSInvalidStateException');
  await keytrail('clock', 'advance', '6d23h');
  expect(await describeKey('alias/orders')).toMatchObject({ KeyId, KeyState: 'PendingDeletion' });
  await keytrail('clock', 'advance', '1h');
  for (const gone of [KeyId, 'alias/orders']) expect(await nameOf(describeKey(gone))).toBe('NotFoundException');
  expect(await nameOf(decrypt(old))).toBe('NotFoundException');
  expect(await countEvents([KeyId])).toEqual([
    { KeyCreated: 1, KeyRotated: 1, KeyDeletionScheduled: 1, KeyDeleted: 1, KeyMaterialDestroyed: 1 },
  ]);

  const verified = await keytrail('verify');
  const views = topology.services.filter(({ name }) => name !== 'gateway');
  expect(verified.match(/holds what the log says/g)).toHaveLength(views.length);
});

test('a client that reads at once what it wrote always finds it, whoever answers', async () => {
  const KeyId = await newKey();
  for (const round of upTo(100)) {
    await kms.send(new UpdateKeyDescriptionCommand({ KeyId, Description: `round ${round}` }));
    expect(await describeKey(KeyId)).toMatchObject({ Description: `round ${round}` });
    const created = await newKey(`made in round ${round}`);
    const [described, encrypted] = await Promise.all([describeKey(created), encrypt(created)]);
    expect(described.Description).toBe(`made in round ${round}`);
    expect(encrypted.length).toBeGreaterThan(Plaintext.length);
  }
});

test('an encryption right after DisableKey is refused, and right after EnableKey is done, in every round', async () => {
  const KeyId = await newKey();
  for (const _round of upTo(100)) {
    await kms.send(new DisableKeyCommand({ KeyId }));
    expect(await nameOf(encrypt(KeyId))).toBe('DisabledException');
    await kms.send(new EnableKeyCommand({ KeyId }));
    expect(await nameOf(encrypt(KeyId))).toBe('answered');
  }
});

/** The sum of a counter over those of its series that have this in their labels, as a service tells it. */
async function counted(service: string, counter: string, label = ''): Promise<number> {
  const lines = (await (await topology.get(service).get('metrics')).text()).split('\n');
  const series = lines.filter((line) => line.startsWith(`${counter}{`) && line.includes(label));
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

describe('once DisableKey has returned', () => {
  const WORKERS = ['crypto-worker-1', 'crypto-worker-2'];
  const encryptions = (): Promise<number[]> =>
    Promise.all(WORKERS.map((worker) => counted(worker, 'keytrail_requests_total', 'operation="Encrypt"')));
  let client: NatsConnection;
  let KeyId: string;

  beforeAll(async () => {
    client = await connectAs('client');
    KeyId = await newKey();
  });
  afterAll(() => client?.close());

  /** Straight to whichever workers the queue group chooses; none is told how far the log has grown. */
  const outcomes = (count: number): Promise<string[]> =>
    Promise.all(
      upTo(count).map(async () => {
        const subject = requestSubject('us-east-1', '000000000000', 'root', 'Encrypt');
        const body = JSON.stringify({ KeyId, Plaintext: Plaintext.toString('base64') });
        const reply = (await client.request(subject, body, { timeout: 20_000 })).json<{ __type?: string }>();
        return reply.__type ?? 'encrypted';
      }),
    );

  test('no worker encrypts any more', async () => {
    const before = await encryptions();
    for (const _round of upTo(30)) {
      await kms.send(new DisableKeyCommand({ KeyId }));
      expect(new Set(await outcomes(20))).toEqual(new Set(['DisabledException']));
      await kms.send(new EnableKeyCommand({ KeyId }));
    }
    const after = await encryptions();
    for (const [at, count] of after.entries()) expect(count).toBeGreaterThan(before[at]!);
  });

  test('a worker that was frozen meanwhile does not encrypt either when it wakes', async () => {
    const frozen = topology.get('crypto-worker-2');
    frozen.signal('SIGSTOP');
    try {
      await kms.send(new DisableKeyCommand({ KeyId }));
      const answers = outcomes(20);
      await client.flush();
      frozen.signal('SIGCONT');
      for (const answer of await answers) expect(['DisabledException', 'KMSInternalException']).toContain(answer);
    } finally {
      frozen.signal('SIGCONT');
    }
    await topology.ready();
  });
});

test('two schedulers of each kind fire each timer once', async () => {
  const rotating = await Promise.all(upTo(3).map(() => newKey()));
  const doomed = await Promise.all(upTo(3).map(() => newKey()));
  for (const KeyId of rotating) await kms.send(new EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
  for (const [at, TargetKeyId] of doomed.entries()) {
    await kms.send(new CreateAliasCommand({ AliasName: `alias/doomed-${at}`, TargetKeyId }));
    await kms.send(new ScheduleKeyDeletionCommand({ KeyId: TargetKeyId, PendingWindowInDays: 30 }));
  }
  await keytrail('clock', 'advance', '2y');
  const rotated = { KeyCreated: 1, KeyRotationEnabled: 1, KeyRotated: 8 };
  expect(await countEvents(rotating)).toEqual(rotating.map(() => rotated));
  const deleted = { KeyCreated: 1, KeyDeletionScheduled: 1, KeyDeleted: 1, KeyMaterialDestroyed: 1 };
  expect(await countEvents(doomed)).toEqual(doomed.map(() => deleted));
  const aliases = (await kms.send(new ListAliasesCommand({}))).Aliases!.map(({ AliasName }) => AliasName);
  expect(aliases.filter((name) => name?.startsWith('alias/doomed'))).toEqual([]);
  for (const scheduler of topology.services.filter(({ name }) => name.includes('scheduler'))) {
    expect(await counted(scheduler.name, 'keytrail_timers_fired_total')).toBeGreaterThan(0);
  }
});
