import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { INTERNAL } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureClockStream, ensureEventStream, ensureMaterialStream } from '#event-store/streams';
import { JetStreamMaterialStore } from '#hsm/jetstream-material-store';
import { MaterialVault } from '#hsm/material-vault';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import type { ControlPorts, DataPorts, Operation } from '#operations/operation';
import { Quotas } from '#operations/quotas/quotas';
import type { ErrorObserver } from '#operations/run-operation';
import type { Timer, TimerKind } from '#views/due-times';
import { LiveView } from '#views/live-view';
import { type Clock, systemClock, VirtualClock } from './clock';
import { CryptoWorker } from './crypto-worker';
import { type Dispatcher, LocalDispatcher, NatsDispatcher } from './dispatch';
import { failPoints } from './fail-points';
import { Health } from './health';
import { answer, fireRemotely, RemoteMaterialCustodian, serveMaterials } from './internal-requests';
import { KeyManager } from './key-manager';
import { Lease } from './lease';
import { Metrics } from './metrics';
import type { NatsLink } from './nats-link';
import { NatsTransport } from './nats-transport';
import { fromSettings, rootCredentials } from './root-credentials';
import { type Settings, SettingsError } from './settings';
import {
  CachedSigningKeys,
  RemoteSigningKeys,
  RootSigningKeys,
  type SigningKeys,
  serveSigningKeys,
} from './signing-keys';
import { TimerLoop } from './timer-loop';
import { serveViewDigests } from './view-digests';
import { beat, WorkerBarrier } from './worker-barrier';

export const PARTS = [
  'gateway',
  'key-manager',
  'crypto-worker',
  'rotation-scheduler',
  'deletion-scheduler',
  'audit-projector',
] as const;
export type Part = (typeof PARTS)[number];

/** What a service says of itself to the command line. */
export interface ServiceStatus {
  service: string;
  instance: string;
  pid: number;
  parts: readonly Part[];
  position: number;
  clock: Settings['clock'];
  now: string;
  health: ReturnType<Health['report']>;
}

const LOG_WAIT_MS = 60_000;
const LOG_PAUSE_MS = 500;

const TIMERS: Partial<Record<Part, readonly TimerKind[]>> = {
  'rotation-scheduler': ['Rotation'],
  'deletion-scheduler': ['Deletion', 'Cleanup'],
};

/** One process of Keytrail: the parts it was asked for, put together. All of them make the embedded default. */
export class Service {
  readonly instance = randomUUID();
  readonly metrics = new Metrics();
  readonly health = new Health();
  readonly failed: Promise<Error>;
  dispatcher!: Dispatcher;
  signingKeys!: SigningKeys;
  transport: NatsTransport | undefined;
  private readonly has: (part: Part) => boolean;
  private readonly view: LiveView;
  private readonly loops: TimerLoop[] = [];
  private readonly closers: (() => Promise<void> | void)[] = [];
  private clock: Clock = systemClock;
  private timersStarted = false;

  constructor(
    readonly name: string,
    readonly parts: readonly Part[],
    readonly settings: Settings,
    private readonly link: NatsLink,
    private readonly log: Logger,
  ) {
    this.has = (part) => parts.includes(part);
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    this.view = new LiveView((error) => {
      log.fatal({ err: error }, 'the event log cannot be followed');
      fail(error);
    });
  }

  readonly observe: ErrorObserver = (error, operation, requestId) => {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    this.log.error({ operation, requestId, err: cause }, 'request failed');
  };

  /** Brings everything up but the timers. What is served afterwards sees the whole log. */
  async start(): Promise<void> {
    const { nats } = this.link;
    this.health.add('nats', () => (this.link.connected() ? undefined : 'not connected'));
    const follows = this.parts.some((part) => part !== 'gateway');
    const store = new JetStreamEventStore(nats);
    if (this.has('key-manager')) {
      await ensureEventStream(nats, this.settings);
      await ensureClockStream(nats, this.settings);
    }
    if (follows) await this.untilLogStands(store);
    if (this.settings.clock === 'virtual') await this.startVirtualClock();
    if (follows) {
      await this.view.start(store);
      this.closers.push(() => this.view.stop());
      this.health.add('event log', () => this.view.failed?.message);
      this.metrics.gauge(
        'keytrail_view_position',
        'Position of the newest commit folded in.',
        () => this.view.position,
      );
      serveViewDigests(nats, this.name, this.instance, this.view);
    }
    const worker = this.has('crypto-worker') ? await this.startCryptoWorker(store) : undefined;
    const manager = this.has('key-manager') ? this.startKeyManager(store, worker) : undefined;
    this.dispatcher = this.dispatcherFor(manager, worker);
    if (this.has('gateway')) this.signingKeys ??= new CachedSigningKeys(new RemoteSigningKeys(nats));
    this.startTransport(manager, worker);
    for (const part of this.parts) this.addTimers(part, manager);
    answer<undefined, ServiceStatus>(
      nats,
      INTERNAL.status,
      undefined,
      async () => this.status(),
      () => {},
    );
    await nats.flush();
  }

  /** Fires what was missed, in order, and goes on firing. */
  async startTimers(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.start()));
    this.timersStarted = true;
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
    for (const close of this.closers.reverse()) await close();
    await this.link.close();
  }

  status(): ServiceStatus {
    return {
      service: this.name,
      instance: this.instance,
      pid: process.pid,
      parts: this.parts,
      position: this.view.position,
      clock: this.settings.clock,
      now: new Date(this.clock.now()).toISOString(),
      health: this.health.report(),
    };
  }

  /** Services start in any order: only a key-manager makes the streams, and the others wait for one. */
  private async untilLogStands(store: JetStreamEventStore): Promise<void> {
    const deadline = performance.now() + LOG_WAIT_MS;
    for (;;) {
      try {
        await store.lastPosition();
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        this.log.info('waiting for the event log: a key-manager makes it at its first start');
        await new Promise((resolve) => setTimeout(resolve, LOG_PAUSE_MS));
      }
    }
  }

  private async startVirtualClock(): Promise<void> {
    const clock = new VirtualClock(this.link.nats);
    await clock.start();
    clock.onMove(() => {
      for (const loop of this.loops) loop.wake();
    });
    this.closers.push(() => clock.stop());
    this.clock = clock;
  }

  private async startCryptoWorker(store: JetStreamEventStore): Promise<CryptoWorker> {
    const { nats } = this.link;
    const { settings } = this;
    mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
    await ensureMaterialStream(nats, settings);
    const materialStore = new JetStreamMaterialStore(nats);
    const rootKeyFile = join(settings.dataDir, 'root', 'root-key.json');
    const provider = SoftwareHsmProvider.open({
      ...(settings.rootKey === undefined ? { rootKeyFile } : { rootKeyBase64: settings.rootKey }),
      // A new root key beside material that another one wrapped would only hide the loss.
      mayCreate: existsSync(rootKeyFile) || (await materialStore.list()).length === 0,
    });
    const vault = new MaterialVault(provider, materialStore, {
      failPoint: failPoints(settings.failPoint),
    });
    await vault.verifyRoot();
    const lease = new Lease(store, this.view, settings.leaseMs, (position) => beat(nats, this.instance, position));
    const worker = new CryptoWorker(this.view, vault, lease);
    this.view.onCommit((_commit, seq) => {
      // In one process with the key-manager the view is shared, and nobody waits for this.
      if (!this.has('key-manager')) beat(nats, this.instance, seq);
    });
    await lease.start();
    this.closers.push(
      () => lease.stop(),
      () => vault.close(),
    );
    this.health.add('crypto-worker', () => (lease.held ? undefined : 'has lost touch with the event log'));
    const credentials = this.has('gateway') ? rootCredentials(settings, this.endpoint) : fromSettings(settings);
    if (!credentials) {
      throw new SettingsError(
        'KEYTRAIL_ROOT_ACCESS_KEY_ID and KEYTRAIL_ROOT_SECRET_ACCESS_KEY: expected for a crypto-worker of its own',
      );
    }
    this.signingKeys = new CachedSigningKeys(new RootSigningKeys(settings.accountId, credentials));
    serveSigningKeys(nats, this.signingKeys);
    const caughtUp = async (): Promise<void> => this.view.waitFor(await store.lastPosition());
    serveMaterials(nats, worker, caughtUp, (error) => this.log.error({ err: error }, 'material request failed'));
    void this.sweep(worker, caughtUp);
    return worker;
  }

  private async sweep(worker: CryptoWorker, caughtUp: () => Promise<void>): Promise<void> {
    try {
      const { erased, kept } = await worker.sweep(Date.now(), this.settings.orphanGraceSeconds * 1000, caughtUp);
      if (erased + kept > 0) this.log.warn({ erased, kept }, 'found stored material that no living key needs');
    } catch (error) {
      this.log.error({ err: error }, 'could not look for left-over material');
    }
  }

  /** Where programs connect over NATS. */
  get natsUrl(): string {
    return this.link.url;
  }

  /** Where HTTP is served, as a client on this machine reaches it. */
  get endpoint(): string {
    const { host, port, tlsCert } = this.settings;
    const reached = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    return `${tlsCert === undefined ? 'http' : 'https'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
  }

  private startKeyManager(store: JetStreamEventStore, worker: CryptoWorker | undefined): KeyManager {
    const { nats } = this.link;
    const barrier = worker ? undefined : new WorkerBarrier(nats, this.settings.leaseMs);
    const manager = new KeyManager({
      store,
      view: this.view,
      clock: this.clock,
      materials: worker ?? new RemoteMaterialCustodian(nats),
      workersApplied: async (position) => barrier?.applied(position),
      failPoint: failPoints(this.settings.failPoint),
    });
    answer<Timer, void>(
      nats,
      INTERNAL.timerFire,
      'key-manager',
      async (timer) => {
        await this.view.waitFor(await store.lastPosition());
        await manager.fire(timer);
      },
      (error) => this.log.error({ err: error }, 'timer failed'),
    );
    return manager;
  }

  private dispatcherFor(manager: KeyManager | undefined, worker: CryptoWorker | undefined): Dispatcher {
    if (!manager && !worker) return new NatsDispatcher(this.link.nats, this.observe);
    const ports = {
      projection: this.view.projection,
      ...(manager && {
        newKeyId: () => manager.newKeyId(),
        runKeyCommand: manager.runKeyCommand.bind(manager),
        runAliasCommand: manager.runAliasCommand.bind(manager),
      }),
      ...(worker && {
        peekBackingKey: worker.peekBackingKey.bind(worker),
        loadBackingKey: worker.loadBackingKey.bind(worker),
        random: worker.random.bind(worker),
      }),
    };
    // The transport serves only the planes whose ports are here.
    const quotas = this.settings.quotas && new Quotas(this.settings.quotas);
    return new LocalDispatcher(ports as ControlPorts & DataPorts, this.clock, this.observe, quotas);
  }

  private startTransport(manager: KeyManager | undefined, worker: CryptoWorker | undefined): void {
    const planes = new Set<Operation['plane']>();
    if (manager) planes.add('control');
    if (worker) planes.add('data');
    if (planes.size === 0) return;
    this.transport = new NatsTransport({
      nats: this.link.nats,
      planes,
      accountId: this.settings.accountId,
      dispatcher: this.dispatcher,
      view: this.view,
      metrics: this.metrics,
      observe: this.observe,
    });
  }

  private addTimers(part: Part, manager: KeyManager | undefined): void {
    const kinds = TIMERS[part];
    if (!kinds) return;
    const loop = new TimerLoop(
      {
        view: this.view,
        clock: this.clock,
        fire: async (timer) => {
          if (manager) return manager.fire(timer);
          await fireRemotely(this.link.nats, timer);
          // The key-manager has appended; wait for it to arrive here, or the timer would fire again.
          await this.view.waitFor(await new JetStreamEventStore(this.link.nats).lastPosition());
        },
        onError: (error, timer) => this.log.error({ err: error, timer }, 'a timer could not be fired; trying again'),
        onFired: (timer) => this.metrics.timerFired(timer.kind),
      },
      kinds,
    );
    this.loops.push(loop);
    this.health.add(part, () => (this.timersStarted ? loop.problem : 'missed timers are being fired'));
    this.metrics.gauge(`keytrail_${part.replace('-', '_')}_timers`, 'Timers waiting.', () => loop.pending);
    this.metrics.gauge(`keytrail_${part.replace('-', '_')}_overdue`, 'Timers overdue.', () => loop.overdue);
    answer<{ time: number }, { service: string }>(
      this.link.nats,
      INTERNAL.settle,
      undefined,
      async ({ time }) => {
        await this.clockReached(time);
        await loop.settle();
        return { service: part };
      },
      (error) => this.log.error({ err: error }, 'could not settle'),
    );
  }

  /** Resolves once a move of the virtual clock that was made elsewhere has arrived here. */
  private clockReached(time: number): Promise<void> {
    const { clock } = this;
    if (clock.now() >= time || !(clock instanceof VirtualClock)) return Promise.resolve();
    return new Promise((resolve) => {
      clock.onMove(() => {
        if (clock.now() >= time) resolve();
      });
    });
  }
}
