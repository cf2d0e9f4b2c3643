import { connect, type NatsConnection } from 'nats';
import {
  AUDIT_STREAM,
  AUTH_CALLOUT,
  AUTH_CALLOUT_REPLIES,
  CLOCK_STREAM,
  CLOCK_SUBJECT,
  EVENTS_STREAM,
  eventSubject,
  gatewaySubject,
  gatewaySubscription,
  INTERNAL,
  MATERIAL_STREAM,
  materialSubject,
  requestSubject,
  requestSubscription,
  TREE_STREAM,
  treeHeadSubject,
} from '#domain/subjects';
import type { Following } from '#event-store/event-store';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureClockStream, ensureEventStream, ensureMaterialStream } from '#event-store/streams';
import { JetStreamMaterialStore } from '#hsm/jetstream-material-store';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { Wire } from '../../../test/support/nats-wire';
import { VirtualClock } from './clock';
import {
  clientInboxPrefix,
  inboxPrefix,
  NATS_USERS,
  type NatsUserName,
  natsPermissions,
  renderAuthorization,
} from './nats-users';

const ACCOUNT = '000000000000';
const permissions = natsPermissions({
  controlOperations: ['CreateKey', 'DescribeKey'],
  dataOperations: ['Encrypt', 'Decrypt'],
  auditOperations: ['LookupEvents'],
});
const key = { region: 'us-east-1', account: ACCOUNT, aggregate: 'key', id: 'k1' } as const;
const services = NATS_USERS.filter((user) => !['operator', 'embedded'].includes(user));
const confined = NATS_USERS.filter((user) => user !== 'embedded');
const readers = NATS_USERS.filter((user) => !['gateway', 'embedded'].includes(user));

let server: TestNats;
const connections = new Map<NatsUserName, NatsConnection>();
const as = (user: NatsUserName): NatsConnection => connections.get(user)!;

const wires = new Map<NatsUserName, Wire>();

beforeAll(async () => {
  server = await startNats({ config: renderAuthorization(permissions, () => '"pw"') });
  for (const user of NATS_USERS) {
    const nats = await connect({ servers: server.url, user, pass: 'pw', inboxPrefix: inboxPrefix(user) });
    connections.set(user, nats);
    wires.set(user, await new Wire().open(server.port, user, 'pw'));
  }
  await ensureEventStream(as('key-manager'), { replicas: 1 });
  await ensureClockStream(as('key-manager'), { replicas: 1 });
  await ensureMaterialStream(as('crypto-worker'), { replicas: 1 });
});

afterAll(async () => {
  for (const wire of wires.values()) wire.close();
  for (const nats of connections.values()) await nats.close();
  await server?.stop();
});

/** The users that the server lets do this, of all but `embedded`, who may do everything. */
async function permitted(lines: string): Promise<NatsUserName[]> {
  const found: NatsUserName[] = [];
  for (const user of confined) {
    if ((await wires.get(user)!.refusals(lines)).length === 0) found.push(user);
  }
  return found.sort();
}

describe('what each user can do', () => {
  it('lets the key-manager append, read and follow events through the event store', async () => {
    const store = new JetStreamEventStore(as('key-manager'));
    const append = { subject: eventSubject(key), bytes: Buffer.from('one'), expectedLastSeq: 0, appendId: 'a1' };
    expect(await store.append(append)).toBe(1);
    expect(await store.append(append)).toBe(1);
    expect(await store.lastPosition()).toBe(1);
  });

  it.each(readers)('lets %s read and follow the event log', async (user) => {
    const store = new JetStreamEventStore(as(user));
    const read: string[] = [];
    for await (const commit of store.read(1)) read.push(Buffer.from(commit.bytes).toString());
    expect(read).toEqual(['one']);
    let follow: Promise<Following> | undefined;
    const heard = await new Promise<string>((done, failed) => {
      follow = store.follow(1, { onCommit: (commit) => done(Buffer.from(commit.bytes).toString()), onError: failed });
      follow.catch(failed);
    });
    expect(heard).toBe('one');
    await (await follow)?.stop();
  });

  it('lets the crypto-worker store, list, read and erase material', async () => {
    const store = new JetStreamMaterialStore(as('crypto-worker'));
    expect(await store.put('m1', Buffer.from('wrapped'))).toBe('stored');
    expect((await store.list()).map((entry) => entry.materialId)).toEqual(['m1']);
    expect(Buffer.from((await store.get('m1'))!.bytes).toString()).toBe('wrapped');
    expect(await store.erase('m1')).toBe(true);
    expect(await store.put('m2', Buffer.from('wrapped'))).toBe('stored');
  });

  it('lets the operator move the clock and every service see it', async () => {
    const clocks = await Promise.all(
      [...services, 'embedded' as const].map(async (user) => {
        const clock = new VirtualClock(as(user));
        const moved = new Promise<void>((done) => clock.onMove(done));
        await clock.start();
        return { clock, moved };
      }),
    );
    await new VirtualClock(as('operator')).advance(1_000);
    await Promise.all(clocks.map(({ moved }) => moved));
    for (const { clock } of clocks) clock.stop();
    const late = new VirtualClock(as('audit-projector'));
    await late.start();
    expect(late.now()).toBeGreaterThan(Date.now() + 500);
    late.stop();
  });

  it.each([
    [
      'gateway',
      'key-manager',
      gatewaySubject('eu-west-1', ACCOUNT, 'alice', 'CreateKey'),
      gatewaySubscription('CreateKey'),
    ],
    [
      'gateway',
      'crypto-worker',
      gatewaySubject('eu-west-1', ACCOUNT, 'alice', 'Encrypt'),
      gatewaySubscription('Encrypt'),
    ],
    ['gateway', 'crypto-worker', INTERNAL.signingKey, INTERNAL.signingKey],
    [
      'gateway',
      'audit-projector',
      gatewaySubject('eu-west-1', ACCOUNT, 'alice', 'LookupEvents'),
      gatewaySubscription('LookupEvents'),
    ],
    ['audit-projector', 'crypto-worker', INTERNAL.tokenKey, INTERNAL.tokenKey],
    ['audit-projector', 'crypto-worker', INTERNAL.sealingKey, INTERNAL.sealingKey],
    ['key-manager', 'crypto-worker', INTERNAL.tokenKey, INTERNAL.tokenKey],
    ['key-manager', 'audit-projector', INTERNAL.lastUse, INTERNAL.lastUse],
    ['audit-projector', 'crypto-worker', INTERNAL.treeSign, INTERNAL.treeSign],
    ['audit-projector', 'crypto-worker', INTERNAL.treeKey, INTERNAL.treeKey],
    ['operator', 'crypto-worker', INTERNAL.treeKey, INTERNAL.treeKey],
    ['operator', 'audit-projector', INTERNAL.treeProve, INTERNAL.treeProve],
    ['operator', 'crypto-worker', INTERNAL.sealingKey, INTERNAL.sealingKey],
    ['key-manager', 'crypto-worker', INTERNAL.materialCreate, INTERNAL.materialCreate],
    ['key-manager', 'crypto-worker', INTERNAL.materialDestroy, INTERNAL.materialDestroy],
    ['crypto-worker', 'key-manager', INTERNAL.workerCommand, INTERNAL.workerCommand],
    ['crypto-worker', 'key-manager', INTERNAL.trailCommand, INTERNAL.trailCommand],
    ['operator', 'crypto-worker', INTERNAL.shred, INTERNAL.shred],
    ['operator', 'crypto-worker', INTERNAL.rootRotate, INTERNAL.rootRotate],
    ['operator', 'crypto-worker', INTERNAL.rootStatus, INTERNAL.rootStatus],
    ['rotation-scheduler', 'key-manager', INTERNAL.timerFire, INTERNAL.timerFire],
    ['deletion-scheduler', 'key-manager', INTERNAL.timerFire, INTERNAL.timerFire],
    ...services.map(
      (user) => ['operator', user, INTERNAL.settle, INTERNAL.settle] as [NatsUserName, NatsUserName, string, string],
    ),
    ...services.map((service) => ['operator', service, INTERNAL.status, INTERNAL.status] as const),
    ...services
      .filter((service) => service !== 'gateway')
      .map((service) => ['operator', service, INTERNAL.viewDigests, INTERNAL.viewDigests] as const),
  ] as const)('lets %s ask %s on %s', async (asker, answerer, subject, subscription) => {
    const serving = as(answerer).subscribe(subscription, {
      queue: answerer,
      callback: (error, message) => {
        if (!error) message.respond(answerer);
      },
    });
    await as(answerer).flush();
    expect((await as(asker).request(subject, '', { timeout: 5_000 })).string()).toBe(answerer);
    serving.unsubscribe();
  });

  it('lets the key-manager hear the heartbeats of crypto-workers', async () => {
    const heard = new Promise<string>((done) => {
      as('key-manager').subscribe(INTERNAL.servingBeat, { max: 1, callback: (_, message) => done(message.string()) });
    });
    await as('key-manager').flush();
    as('crypto-worker').publish(INTERNAL.servingBeat, 'alive');
    expect(await heard).toBe('alive');
  });
});

describe('what each user is refused', () => {
  const api = (call: string): string => `$JS.API.${call}`;
  const inboxes = NATS_USERS.map((user) => `${inboxPrefix(user)}.reply`);
  /** Who may publish to a subject; every other user but `embedded` must be refused. */
  const publishers: [string, NatsUserName[]][] = [
    [eventSubject(key), ['key-manager']],
    [materialSubject('m9'), ['crypto-worker']],
    [treeHeadSubject('records'), ['crypto-worker']],
    [CLOCK_SUBJECT, ['operator']],
    [requestSubject('r', ACCOUNT, 'alice', 'Encrypt'), []],
    [requestSubject('r', ACCOUNT, 'root', 'Encrypt'), []],
    [requestSubject('r', '111111111111', 'root', 'Encrypt'), []],
    [gatewaySubject('r', ACCOUNT, 'root', 'Encrypt'), ['gateway']],
    [gatewaySubject('r', '111111111111', 'alice', 'CreateKey'), ['gateway']],
    [INTERNAL.materialCreate, ['key-manager']],
    [INTERNAL.materialDestroy, ['key-manager']],
    [INTERNAL.signingKey, ['gateway']],
    [INTERNAL.tokenKey, ['key-manager', 'audit-projector']],
    [INTERNAL.lastUse, ['key-manager']],
    [INTERNAL.treeSign, ['audit-projector']],
    [INTERNAL.treeKey, ['audit-projector', 'operator']],
    [INTERNAL.treeProve, ['operator']],
    [INTERNAL.sealingKey, ['gateway', 'key-manager', 'audit-projector', 'operator']],
    [INTERNAL.timerFire, ['rotation-scheduler', 'deletion-scheduler']],
    [INTERNAL.workerCommand, ['crypto-worker']],
    [INTERNAL.trailCommand, ['crypto-worker']],
    [INTERNAL.shred, ['operator']],
    [INTERNAL.rootRotate, ['operator']],
    [INTERNAL.rootStatus, ['operator']],
    [INTERNAL.accountCreate, ['operator']],
    [INTERNAL.servingBeat, ['crypto-worker', 'key-manager']],
    [INTERNAL.status, ['operator']],
    [INTERNAL.viewDigests, ['operator']],
    [INTERNAL.settle, ['operator']],
    [api(`STREAM.CREATE.${EVENTS_STREAM}`), ['key-manager']],
    [api(`STREAM.CREATE.${CLOCK_STREAM}`), ['key-manager']],
    [api(`STREAM.CREATE.${MATERIAL_STREAM}`), ['crypto-worker']],
    [api(`STREAM.CREATE.${TREE_STREAM}`), ['crypto-worker']],
    [api('STREAM.CREATE.OTHER'), []],
    ...[EVENTS_STREAM, MATERIAL_STREAM, CLOCK_STREAM, TREE_STREAM].flatMap((stream): [string, NatsUserName[]][] => [
      [api(`STREAM.DELETE.${stream}`), []],
      [api(`STREAM.PURGE.${stream}`), []],
      [api(`STREAM.UPDATE.${stream}`), []],
      [api(`STREAM.SNAPSHOT.${stream}`), []],
      [api(`STREAM.RESTORE.${stream}`), []],
      [api(`STREAM.LEADER.STEPDOWN.${stream}`), []],
      [api(`CONSUMER.DURABLE.CREATE.${stream}.c`), []],
      [api(`STREAM.MSG.DELETE.${stream}`), stream === MATERIAL_STREAM ? ['crypto-worker'] : []],
    ]),
    [api(`CONSUMER.CREATE.${EVENTS_STREAM}.c`), readers],
    [api(`CONSUMER.CREATE.${AUDIT_STREAM}.c`), ['audit-projector', 'operator']],
    [api(`CONSUMER.CREATE.${CLOCK_STREAM}.c`), []],
    [api(`CONSUMER.CREATE.${TREE_STREAM}.c`), ['operator']],
    [api(`CONSUMER.CREATE.${MATERIAL_STREAM}`), []],
    [api(`CONSUMER.CREATE.${MATERIAL_STREAM}.c`), ['crypto-worker']],
    [api(`CONSUMER.CREATE.${MATERIAL_STREAM}.c.kms.mat.>`), ['crypto-worker']],
    [api(`CONSUMER.MSG.NEXT.${MATERIAL_STREAM}.c`), ['crypto-worker']],
    [api(`CONSUMER.INFO.${MATERIAL_STREAM}.c`), ['crypto-worker']],
    [api(`CONSUMER.DELETE.${MATERIAL_STREAM}.c`), ['crypto-worker']],
    [api(`STREAM.INFO.${MATERIAL_STREAM}`), ['crypto-worker']],
    [api(`STREAM.MSG.GET.${MATERIAL_STREAM}`), ['crypto-worker']],
    [api(`DIRECT.GET.${MATERIAL_STREAM}`), []],
    [api(`DIRECT.GET.${MATERIAL_STREAM}.kms.mat.m2`), []],
    [api('STREAM.NAMES'), []],
    [api('ACCOUNT.PURGE.x'), []],
    ['$SYS.REQ.SERVER.PING', []],
    [inboxes[NATS_USERS.indexOf('gateway')]!, ['key-manager', 'crypto-worker', 'audit-projector']],
    [`${clientInboxPrefix(ACCOUNT, 'root')}.reply`, ['key-manager', 'crypto-worker', 'audit-projector']],
    [AUTH_CALLOUT, []],
    [AUTH_CALLOUT_REPLIES.replace('>', 'server.reply'), ['crypto-worker']],
    [inboxes[NATS_USERS.indexOf('key-manager')]!, ['crypto-worker', 'audit-projector']],
    [inboxes[NATS_USERS.indexOf('rotation-scheduler')]!, ['key-manager']],
    [inboxes[NATS_USERS.indexOf('deletion-scheduler')]!, ['key-manager']],
    [inboxes[NATS_USERS.indexOf('crypto-worker')]!, ['key-manager']],
    [inboxes[NATS_USERS.indexOf('operator')]!, services],
  ];
  // Empty bodies: what is allowed reaches JetStream too, which answers with an error or stores an empty message.
  it.each(publishers)('refuses all but the right users to publish to %s', async (subject, allowed) => {
    expect(await permitted(`PUB ${subject} 0\r\n`)).toEqual([...allowed].sort());
  });

  /** Who may subscribe; every other user but `embedded` must be refused. */
  const subscribers: [string, NatsUserName[]][] = [
    ['>', []],
    ['kms.>', []],
    ['kms.evt.>', []],
    ['kms.mat.>', []],
    ['kms.req.>', []],
    ['kms.gw.>', []],
    ['_INBOX.>', []],
    [CLOCK_SUBJECT, [...services, 'operator']],
    [requestSubscription('CreateKey'), ['key-manager']],
    [requestSubscription('Encrypt'), ['crypto-worker']],
    [gatewaySubscription('CreateKey'), ['key-manager']],
    [gatewaySubscription('Encrypt'), ['crypto-worker']],
    [requestSubscription('LookupEvents'), ['audit-projector']],
    [gatewaySubscription('LookupEvents'), ['audit-projector']],
    [INTERNAL.materialCreate, ['crypto-worker']],
    [INTERNAL.materialDestroy, ['crypto-worker']],
    [INTERNAL.signingKey, ['crypto-worker']],
    [INTERNAL.treeSign, ['crypto-worker']],
    [INTERNAL.lastUse, ['audit-projector']],
    [INTERNAL.treeProve, ['audit-projector']],
    [AUTH_CALLOUT, ['crypto-worker']],
    [INTERNAL.tokenKey, ['crypto-worker']],
    [INTERNAL.timerFire, ['key-manager']],
    [INTERNAL.workerCommand, ['key-manager']],
    [INTERNAL.trailCommand, ['key-manager']],
    [INTERNAL.shred, ['crypto-worker']],
    [INTERNAL.accountCreate, ['crypto-worker']],
    [INTERNAL.servingBeat, ['key-manager']],
    [INTERNAL.settle, services],
    ...NATS_USERS.filter((user) => user !== 'embedded').map((user): [string, NatsUserName[]] => [
      `${inboxPrefix(user)}.>`,
      [user],
    ]),
  ];

  it.each(subscribers)('refuses all but the right users to subscribe to %s', async (subject, allowed) => {
    expect(await permitted(`SUB ${subject} 7\r\nUNSUB 7`)).toEqual([...allowed].sort());
  });

  it('refuses the process that does the work of all services what no service ever asks', async () => {
    const calls = ['DELETE', 'PURGE', 'UPDATE', 'SNAPSHOT', 'RESTORE'];
    for (const stream of [EVENTS_STREAM, MATERIAL_STREAM, CLOCK_STREAM, TREE_STREAM]) {
      for (const call of calls) {
        const subject = api(`STREAM.${call}.${stream}`);
        expect([subject, ...(await wires.get('embedded')!.refusals(`PUB ${subject} 0\r\n`))]).toHaveLength(2);
      }
    }
  });

  it('keeps a caller from having a service write where the caller may not, by naming it as the reply', async () => {
    const before = await new JetStreamEventStore(as('operator')).lastPosition();
    const answered = new Promise<void>((done) => {
      as('crypto-worker').subscribe(gatewaySubscription('Encrypt'), {
        max: 1,
        callback: (_, message) => {
          message.respond('forged');
          done();
        },
      });
    });
    await as('crypto-worker').flush();
    as('gateway').publish(gatewaySubject('r', ACCOUNT, 'root', 'Encrypt'), '', { reply: eventSubject(key) });
    await answered;
    await as('crypto-worker').flush();
    expect(await new JetStreamEventStore(as('operator')).lastPosition()).toBe(before);
  });
});
