import { mkdtempSync, rmSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  paginateListKeys,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  UpdateKeyDescriptionCommand,
} from '@aws-sdk/client-kms';
import { connect, type Msg, type NatsConnection } from 'nats';
import { decodeCommit } from '#domain/commit-codec';
import { ERRORS, isErrorCode } from '#domain/errors';
import { EVENTS_STREAM, gatewaySubject, HEADER_AFTER, requestSubject } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { inboxPrefix, type NatsUserName } from '#platform/nats-users';
import { findOpenssl } from './support/certificates';
import type { Container } from './support/container';
import { Load, type LoadFailure } from './support/load';
import { connectAsRoot } from './support/nats-client';
import { until } from './support/nats-server';
import { Topology } from './support/topology';

jest.setTimeout(120_000);

// For the certificates of all that listens.
const withOpenssl = findOpenssl() === undefined ? test.skip : test;

const Plaintext = Buffer.from('across processes');

let topology: Topology;
let kms: KMSClient;

beforeAll(async () => {
  topology = await Topology.start({ KEYTRAIL_CLOCK: 'virtual' });
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

/** A program's, with nothing but the root access key. */
const connectAsRootOf = (url: string): Promise<NatsConnection> =>
  connectAsRoot(url, topology.secrets, { tls: { caFile: topology.authority } });

/** A connection of a program outside of the cluster, as one of its users. */
function connectAs(user: NatsUserName, servers = topology.natsUrl): Promise<NatsConnection> {
  const { KEYTRAIL_NATS_PASSWORD: pass } = topology.credentials(user);
  return connect({ servers, user, pass, inboxPrefix: inboxPrefix(user), tls: { caFile: topology.authority } });
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

withOpenssl('every container of docker-compose.yml passes its own health check', async () => {
  const outcomes = topology.services.map(async (service) => [service.name, await service.healthCheck()]);
  expect(await Promise.all(outcomes)).toEqual(topology.services.map(({ name }) => [name, 0]));
});

withOpenssl(
  'the three nodes keep three replicas of the log, and let in no stranger, and nobody without TLS',
  async () => {
    const nats = await connectAs('operator');
    const manager = await nats.jetstreamManager({ checkAPI: false });
    const { config, cluster } = await manager.streams.info(EVENTS_STREAM);
    await nats.close();
    expect(config.num_replicas).toBe(3);
    const keepers = [cluster!.leader, ...cluster!.replicas!.map(({ name }) => name)];
    expect(keepers.sort()).toEqual(topology.nodes.map(({ name }) => name));
    const stranger = {
      servers: topology.natsUrl,
      user: 'operator',
      pass: 'wrong',
      tls: { caFile: topology.authority },
    };
    await expect(connect(stranger)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    for (const { name } of topology.nodes) {
      expect(await unencrypted(name, 4222)).toMatch(/^INFO .*"tls_required":true/);
      expect(await unencrypted(name, 6222)).not.toContain('INFO');
    }
  },
);

/** What a node says to whoever does not encrypt: its first line, or all until it closes the connection. */
const unencrypted = (node: string, port: number): Promise<string> =>
  new Promise((done, failed) => {
    let heard = '';
    const socket = dial(topology.portOf(node, port), '127.0.0.1', () => socket.write('PING\r\n'));
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1');
      if (heard.includes('\r\n')) socket.destroy();
    });
    socket.once('error', failed);
    socket.once('close', () => done(heard));
  });

withOpenssl(
  'a key lives its whole life over the gateway, and the log and every view of it stand up to verify',
  async () => {
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
  },
);

withOpenssl('both logs have signed heads, and an export of them is checked with nothing but their key', async () => {
  await newKey();
  // That `verify` was asked is on record too, and newer than the newest head.
  const proved =
    /records: the first \d+ of \d+ are proved by the head of .*\n(records: .* came after.*\n)?changes: the first \d+ of \d+ are proved/;
  await until(async () => proved.test(await keytrail('verify')), 'no heads were signed', 60_000);
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-export-'));
  try {
    expect(await keytrail('export', '--to', folder)).toMatch(
      /^records: \d+, and \d+ heads\nchanges: \d+, and \d+ heads\n$/,
    );
    expect(await keytrail('verify', '--export', folder, '--key', join(folder, 'keytrail.vkey'))).toMatch(proved);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

withOpenssl('a client that reads at once what it wrote always finds it, whoever answers', async () => {
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

withOpenssl(
  'an encryption right after DisableKey is refused, and right after EnableKey is done, in every round',
  async () => {
    const KeyId = await newKey();
    for (const _round of upTo(100)) {
      await kms.send(new DisableKeyCommand({ KeyId }));
      expect(await nameOf(encrypt(KeyId))).toBe('DisabledException');
      await kms.send(new EnableKeyCommand({ KeyId }));
      expect(await nameOf(encrypt(KeyId))).toBe('answered');
    }
  },
);

/** The sum of a counter over those of its series that have this in their labels, as a service tells it. */
async function counted(service: string, counter: string, label = ''): Promise<number> {
  const lines = (await (await topology.get(service).get('metrics')).text()).split('\n');
  const series = lines.filter((line) => line.startsWith(`${counter}{`) && line.includes(label));
  return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const WORKERS = ['crypto-worker-1', 'crypto-worker-2'];
/** How many encryptions each worker has answered, done or refused. */
const encryptions = (): Promise<number[]> =>
  Promise.all(WORKERS.map((worker) => counted(worker, 'keytrail_requests_total', 'operation="Encrypt"')));

describe('once DisableKey has returned', () => {
  let clients: NatsConnection[];
  let KeyId: string;

  beforeAll(async () => {
    // A node may prefer a worker that is connected to itself: through all of them each worker is asked.
    clients = await Promise.all(topology.natsUrls.map(connectAsRootOf));
    KeyId = await newKey();
  });
  afterAll(async () => {
    for (const client of clients ?? []) await client.close();
  });

  /** Asks whichever workers the queue group chooses; none is told how far the log has grown. */
  const ask = (times: number): Promise<string>[] =>
    upTo(times).map(async (time) => {
      const subject = requestSubject('us-east-1', '000000000000', 'root', 'Encrypt');
      const body = JSON.stringify({ KeyId, Plaintext: Plaintext.toString('base64') });
      const reply = await clients[time % clients.length]!.request(subject, body, { timeout: 20_000 });
      return reply.json<{ __type?: string }>().__type ?? 'encrypted';
    });

  withOpenssl('no worker encrypts any more', async () => {
    const before = await encryptions();
    for (const _round of upTo(30)) {
      await kms.send(new DisableKeyCommand({ KeyId }));
      expect(new Set(await Promise.all(ask(21)))).toEqual(new Set(['DisabledException']));
      await kms.send(new EnableKeyCommand({ KeyId }));
    }
    const after = await encryptions();
    for (const [at, count] of after.entries()) expect(count).toBeGreaterThan(before[at]!);
  });

  withOpenssl('a worker that was frozen meanwhile does not do, when it wakes, what it was asked before', async () => {
    const frozen = topology.get('crypto-worker-2');
    frozen.signal('SIGSTOP');
    try {
      let disabled = false;
      const asked = ask(30).map((answer) => answer.then((outcome) => ({ outcome, late: disabled })));
      for (const client of clients) await client.flush();
      await kms.send(new DisableKeyCommand({ KeyId }));
      disabled = true;
      frozen.signal('SIGCONT');
      const late = (await Promise.all(asked)).filter((one) => one.late).map(({ outcome }) => outcome);
      expect(late.length).toBeGreaterThan(0);
      for (const outcome of late) expect(['DisabledException', 'KMSInternalException']).toContain(outcome);
    } finally {
      frozen.signal('SIGCONT');
    }
    await topology.ready();
  });
});

withOpenssl('no process asks NATS for what it has no permission for', async () => {
  await Promise.all(upTo(3).map(() => newKey()));
  // Every view holds those by then.
  await keytrail('verify');
  const refusals = topology.nodes.flatMap(({ log }) => log.match(/.*Violation.*/g) ?? []);
  expect(refusals).toEqual([]);
});

withOpenssl('two schedulers of each kind fire each timer once', async () => {
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
  // Whichever of the two was first did the work and counts it; the other's firing changed nothing.
  for (const kind of ['rotation', 'deletion']) {
    const pair = [1, 2].map((at) => counted(`${kind}-scheduler-${at}`, 'keytrail_timers_fired_total'));
    const [one, other] = await Promise.all(pair);
    expect(one! + other!).toBeGreaterThan(0);
  }
});

withOpenssl('one scheduler of each kind fires all timers when the other has died', async () => {
  const [rotating, doomed] = [await newKey(), await newKey()];
  await kms.send(new EnableKeyRotationCommand({ KeyId: rotating, RotationPeriodInDays: 90 }));
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId: doomed, PendingWindowInDays: 7 }));
  const victims = ['rotation-scheduler-1', 'deletion-scheduler-2'].map((name) => topology.get(name));
  await Promise.all(victims.map((victim) => victim.kill9()));
  try {
    await keytrail('clock', 'advance', '91d');
  } finally {
    for (const victim of victims) victim.start();
  }
  expect(await countEvents([rotating, doomed])).toEqual([
    { KeyCreated: 1, KeyRotationEnabled: 1, KeyRotated: 1 },
    { KeyCreated: 1, KeyDeletionScheduled: 1, KeyDeleted: 1, KeyMaterialDestroyed: 1 },
  ]);
  await topology.ready();
});

withOpenssl('what a crypto-worker takes with it when it dies is asked of the other one', async () => {
  const KeyId = await newKey();
  const before = await encryptions();
  for (const _time of upTo(10)) await encrypt(KeyId);
  const [first, second] = (await encryptions()).map((count, at) => count - before[at]!);
  // The one that the gateway's node prefers, if it prefers any.
  const victim = topology.get(WORKERS[first! > second! ? 0 : 1]!);
  victim.signal('SIGSTOP');
  const requests = upTo(10).map(() => encrypt(KeyId));
  // By the same connection, so it comes after them.
  await describeKey(KeyId);
  await victim.kill9();
  const lengths = await Promise.all(requests.map(async (request) => (await request).length)).finally(() =>
    victim.start(),
  );
  for (const length of lengths) expect(length).toBeGreaterThan(Plaintext.length);
  await topology.ready();
});

withOpenssl(
  'a gateway that has just started has its first request answered by a view that holds all that was acknowledged',
  async () => {
    const KeyId = await newKey();
    await topology.get('gateway').kill9();
    topology.get('gateway').start();
    await topology.ready();
    // A key-manager's user may see the requests, and listens without taking part in the queue.
    const observer = await connectAs('key-manager');
    const seen = new Promise<Msg>((take) => {
      observer.subscribe(gatewaySubject('*', '*', '*', 'DescribeKey'), {
        max: 1,
        callback: (_, message) => take(message),
      });
    });
    await observer.flush();
    const position = await new JetStreamEventStore(observer).lastPosition();
    expect(await describeKey(KeyId)).toMatchObject({ KeyId });
    expect(Number((await seen).headers?.get(HEADER_AFTER))).toBe(position);
    await observer.close();
  },
);

describe('under load, killed with -9', () => {
  const retryable = ({ name, status }: LoadFailure): boolean =>
    status !== undefined && isErrorCode(name) && ERRORS[name].retryable;
  /** The client's patience ended while the request was with what had been killed. */
  const waiting = ({ name }: LoadFailure): boolean => name === 'AbortError';
  const unconnected = ({ message }: LoadFailure): boolean =>
    /ECONNREFUSED|ECONNRESET|socket hang up|socket disconnected/.test(message);
  let load: Load;

  beforeAll(async () => {
    load = new Load(kms, await newKey());
  });
  afterAll(() => load?.stop());

  const stopped = (): string[] => topology.all.filter(({ running }) => !running).map(({ name }) => name);

  /** Kills one and starts it again, and returns what failed meanwhile. The load goes on without it if others can. */
  async function killed(victim: Container, replaceable = true): Promise<LoadFailure[]> {
    await load.progress(5, 'the load stood still');
    const before = load.failures.length;
    await victim.kill9();
    if (replaceable) await load.progress(5, `nobody did the work of ${victim.name}`);
    expect(stopped()).toEqual([victim.name]);
    await topology.rejoin(victim);
    await load.progress(5, `the load stood still after ${victim.name} was started again`);
    expect(stopped()).toEqual([]);
    return load.failures.slice(before);
  }

  async function leadingNode(): Promise<string> {
    const nats = await connectAs('operator');
    const { cluster } = await (await nats.jetstreamManager({ checkAPI: false })).streams.info(EVENTS_STREAM);
    await nats.close();
    return cluster!.leader!;
  }

  withOpenssl.each(['key-manager-1', 'crypto-worker-1'])('%s costs nothing but retries', async (name) => {
    const failures = await killed(topology.get(name));
    expect(failures.filter((failure) => !retryable(failure) && !waiting(failure))).toEqual([]);
  });

  withOpenssl('a NATS node that follows costs nothing but retries', async () => {
    const leader = await leadingNode();
    const failures = await killed(topology.nodes.find(({ name }) => name !== leader)!);
    expect(failures.filter((failure) => !retryable(failure) && !waiting(failure))).toEqual([]);
  });

  withOpenssl('the NATS node that leads the log costs nothing but retries', async () => {
    const failures = await killed(topology.get(await leadingNode()));
    expect(failures.filter((failure) => !retryable(failure) && !waiting(failure))).toEqual([]);
  });

  withOpenssl('the gateway costs what was on its way, and what is asked until it is back', async () => {
    const failures = await killed(topology.get('gateway'), false);
    expect(failures.filter((failure) => !unconnected(failure) && !retryable(failure))).toEqual([]);
  });

  withOpenssl('none of them cost anything that was acknowledged', async () => {
    await load.stop();
    const listed = new Set<string>();
    for await (const { Keys } of paginateListKeys({ client: kms }, {})) for (const key of Keys!) listed.add(key.KeyId!);
    expect(load.created.filter((KeyId) => !listed.has(KeyId))).toEqual([]);
    for (const ciphertext of load.ciphertexts.filter((_, at) => at % 20 === 0)) await decrypt(ciphertext);
    await keytrail('verify');
  });
});
