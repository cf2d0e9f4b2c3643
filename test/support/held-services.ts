import { randomBytes } from 'node:crypto';
import { connect, type NatsConnection, RequestStrategy } from 'nats';
import { AUTH_CALLOUT, INTERNAL } from '#domain/subjects';
import { calloutPublicKeys, newCalloutSeeds } from '#platform/callout-keys';
import { inboxPrefix, natsPermissions, natsUserScope, renderAuthorization } from '#platform/nats-users';
import type { Beat } from '#platform/revocation-barrier';
import type { ServiceStatus } from '#platform/service';
import { type FollowerProxy, startFollowerProxy } from './follower-proxy';
import { freePort, startNats, type TestNats } from './nats-server';
import { type AppProcess, startApp } from './processes';
import { askOverNats, type Reply, RootOverNats } from './root-over-nats';

/** Much longer than what happens while a view is held takes. */
const LEASE_MS = 6_000;
/** Of nats-server: in this password every user has, the tests among them as the one who may do everything. */
const PASSWORD = 'password';
const TESTS = 'embedded';

/** The key-manager that answers DescribeKey, the crypto-worker that answers Encrypt and AssumeRole and lets NATS clients in. */
export type Follower = 'key-manager' | 'crypto-worker';
export const FOLLOWERS: readonly Follower[] = ['crypto-worker', 'key-manager'];
const USES = ['Encrypt', 'AssumeRole', 'DescribeKey', AUTH_CALLOUT.split('.').at(-1)];

/**
 * Two key-managers, two crypto-workers and two gateways, of which one key-manager and one crypto-worker can be held back
 * from the log by a proxy, so that they go on to serve what was taken away. The proxies let these answer nothing but the
 * uses, and the others all the rest: which one a request goes to is then known.
 */
export class HeldServices {
  readonly followers = {} as Record<Follower, { app: AppProcess; log: FollowerProxy }>;
  readonly root: RootOverNats;
  /** The key-manager that everything is written by. */
  writer!: ServiceStatus;
  endpoints: string[] = [];
  private readonly apps: AppProcess[] = [];
  private readonly proxies: FollowerProxy[] = [];
  /** How far each process has said that it is. */
  private readonly settled = new Map<string, number>();
  private heard = (): void => {};
  /** Where crypto-workers wait for what they had a key-manager append. */
  private readonly asked = new Set<string>();
  private answered = 0;

  private constructor(
    private readonly server: TestNats,
    readonly nats: NatsConnection,
    private readonly settings: Record<string, string>,
  ) {
    this.root = new RootOverNats(nats);
    nats.subscribe(INTERNAL.servingBeat, {
      callback: (_, message) => {
        const { processId, position } = message.json<Beat>();
        this.settled.set(processId, position);
        this.heard();
      },
    });
    nats.subscribe(INTERNAL.workerCommand, { callback: (_, { reply }) => void this.asked.add(reply!) });
    nats.subscribe(`${inboxPrefix('crypto-worker')}.>`, {
      callback: (_, { subject }) => {
        if (this.asked.delete(subject)) this.answered++;
      },
    });
  }

  static async start(): Promise<HeldServices> {
    const seeds = newCalloutSeeds();
    const authorization = renderAuthorization(
      natsPermissions(natsUserScope()),
      () => JSON.stringify(PASSWORD),
      calloutPublicKeys(seeds),
    );
    const server = await startNats({ config: authorization });
    // Where every service may answer.
    const inbox = inboxPrefix('operator');
    const nats = await connect({ servers: server.url, user: TESTS, pass: PASSWORD, inboxPrefix: inbox });
    const services = new HeldServices(server, nats, {
      KEYTRAIL_LEASE_MS: String(LEASE_MS),
      // An answer that waits for its record would not show whether it waits for anything else.
      KEYTRAIL_RECORDS: 'off',
      KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
      KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
      KEYTRAIL_NATS_PASSWORD: PASSWORD,
      KEYTRAIL_NATS_CALLOUT_SEED: seeds.issuer,
      KEYTRAIL_NATS_CALLOUT_XKEY_SEED: seeds.xkey,
    });
    await services.startApps();
    return services;
  }

  get url(): string {
    return this.server.url;
  }

  private async startApps(): Promise<void> {
    const ports = [await freePort(), await freePort()];
    this.endpoints = ports.map((port) => `http://127.0.0.1:${port}`);
    const [first] = await Promise.all([
      this.startBehindProxy('key-manager', false),
      this.startBehindProxy('crypto-worker', false),
      ...FOLLOWERS.map(async (app) => {
        this.followers[app] = await this.startBehindProxy(app, true);
      }),
      ...ports.map((port) => this.startOne('gateway', { KEYTRAIL_PORT: String(port) })),
    ]);
    this.writer = (await this.statuses()).find(({ pid }) => pid === first.app.pid)!;
    // A key-manager that has just started waits a lease out, whomever it hears. From then on it waits for the processes.
    await this.root.newUser('nobody');
    await this.root.call('DeleteUser', { UserName: 'nobody' });
  }

  private async startBehindProxy(app: Follower, answersUses: boolean) {
    const isUse = (subject: string): boolean => USES.includes(subject.split('.').at(-1)!);
    const log = await startFollowerProxy(this.server.port, { answers: (subject) => isUse(subject) === answersUses });
    this.proxies.push(log);
    return { app: await this.startOne(app, {}, log.url), log };
  }

  private async startOne(app: string, extra: Record<string, string>, url = this.server.url): Promise<AppProcess> {
    const started = await startApp(app, url, { ...this.settings, KEYTRAIL_NATS_USER: app, ...extra });
    this.apps.push(started);
    return started;
  }

  release(): void {
    for (const proxy of this.proxies) proxy.release();
  }

  async stop(): Promise<void> {
    await this.nats.close();
    await Promise.all(this.apps.map((app) => app.kill9()));
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
    await this.server.stop();
  }

  /** What every process says of itself. On its connection, that comes after all that it had already said. */
  async statuses(): Promise<ServiceStatus[]> {
    const replies = await this.nats.requestMany(INTERNAL.status, undefined, {
      ...{ strategy: RequestStrategy.Count, maxMessages: this.apps.length, maxWait: 20_000 },
    });
    const all: ServiceStatus[] = [];
    for await (const reply of replies) all.push(reply.json<{ result: ServiceStatus }>().result);
    return all;
  }

  /** The newest position that the writer has said it is at. */
  get written(): number {
    return this.settled.get(this.writer.instance)!;
  }

  /**
   * Resolves once the same has been asked again, and has been answered if it waits for nobody: the writer has taken the same
   * steps for others since, one after the other.
   */
  async repeat([operation, request]: readonly [string, object]) {
    const { answered } = this;
    const repeated = { returned: false, done: Promise.resolve<Reply>({}) };
    repeated.done = askOverNats(this.nats, 'root', operation, request).then((reply) => {
      repeated.returned = true;
      return reply;
    });
    for (let steps = 0; steps < 5; steps++) {
      await askOverNats(this.nats, 'root', 'GetKeyPolicy', { KeyId: '00000000-0000-0000-0000-000000000000' });
    }
    if (this.answered > answered) await repeated.done;
    return repeated;
  }

  /**
   * Resolves once the revoking write is in the log, and has been answered if it waits for nobody: the writer says how far it
   * is when the append is over, before the answer; and has to say something after that.
   */
  async begin([operation, request]: readonly [string, object]) {
    const { written: before, answered } = this;
    const revocation = { returned: false, done: Promise.resolve() };
    revocation.done = this.root.call(operation, request).then(() => {
      revocation.returned = true;
    });
    // A failure is for whoever awaits it.
    revocation.done.catch(() => {});
    while (this.written === before) {
      await Promise.race([
        revocation.done,
        new Promise<void>((resolve) => {
          this.heard = resolve;
        }),
      ]);
    }
    await this.statuses();
    // A crypto-worker that asked for it waits for nobody any more.
    if (this.answered > answered) await revocation.done;
    return revocation;
  }
}
