import { randomUUID } from 'node:crypto';
import { SpanKind } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { EVENTS_STREAM, INTERNAL } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureAuditStream, ensureClockStream, ensureEventStream } from '#event-store/streams';
import type { Operation, PlanePorts } from '#operations/operation';
import { Quotas } from '#operations/quotas/quotas';
import type { ErrorObserver } from '#operations/run-operation';
import { LiveView } from '#views/live-view';
import { settledWithin } from './bounded-wait';
import { Callers } from './callers';
import { type Clock, systemClock, VirtualClock } from './clock';
import { type Dispatcher, LocalDispatcher, NatsDispatcher } from './dispatch';
import { streamFiles } from './embedded-nats';
import { showNats, showQuotas, showView, timedBarrier } from './figures';
import { GrantTokens } from './grant-tokens';
import { Health } from './health';
import { serveKeyCalls } from './history/key-calls';
import { type StartedHistory, startHistory } from './history/start-history';
import type { HttpEdgePorts } from './http-edge';
import { answer } from './internal-requests';
import type { KeyManager } from './key-manager';
import { serveLastUses } from './last-uses';
import { LeasedServing } from './leased-serving';
import { LogWitness, witnessPath } from './log-witness';
import { Metrics } from './metrics';
import type { NatsLink } from './nats-link';
import { NatsTransport } from './nats-transport';
import { Neighbours } from './neighbours';
import { observedEventStore } from './observed-event-store';
import type { EdgeRecords } from './recording/edge-records';
import { serveOperatorRecords } from './recording/operator-records';
import { type StartedRecording, startRecording } from './recording/start-recording';
import type { RevocationBarrier } from './revocation-barrier';
import { isScheduler, Schedulers } from './schedulers';
import { ServedRequests } from './served-requests';
import type { ServingLease } from './serving-lease';
import type { Settings } from './settings';
import type { SigningKeys } from './signing-keys';
import { type StartedCryptoWorker, startCryptoWorker } from './start-crypto-worker';
import { startKeyManager } from './start-key-manager';
import { tracedDispatcher } from './traced-ports';
import { startTrailFiles } from './trail-files/start-trail-files';
import { TreeHeads } from './tree-heads/tree-heads';
import { serveTreeProofs, TreeProofs } from './tree-heads/tree-proofs';
import { serveViewDigests } from './view-digests';

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
/** How long a stop waits for what this process had begun. */
const STOP_WAIT_MS = 5_000;

/**
 * A follower whose NATS node has died must notice and find another well before a lease runs out, or every process would
 * stop serving although the log can be read. Not below what nats-server takes.
 */
const followerHeartbeatMs = ({ leaseMs }: Settings): number => Math.max(100, leaseMs / 10);

/** One process of Keytrail: the parts it was asked for, put together. All of them make the embedded default. */
export class Service {
  readonly instance = randomUUID();
  readonly metrics = new Metrics();
  readonly health = new Health();
  readonly failed: Promise<Error>;
  transport: NatsTransport | undefined;
  /** Of the process that keeps the trees. */
  proofs: TreeProofs | undefined;
  private readonly has: (part: Part) => boolean;
  private readonly store: JetStreamEventStore;
  private readonly view: LiveView;
  private readonly served: ServedRequests;
  private readonly closers: (() => Promise<void> | void)[] = [];
  private schedulers: Schedulers | undefined;
  private clock: Clock = systemClock;
  private dispatcher: Dispatcher | undefined;
  private signingKeys: SigningKeys | undefined;
  private recording: StartedRecording | undefined;
  private history: StartedHistory | undefined;
  private readonly neighbours: Neighbours;
  private stopping: Promise<void> | undefined;

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
    this.store = new JetStreamEventStore(link.nats, { heartbeatMs: followerHeartbeatMs(settings) });
    this.view = new LiveView((error) => {
      const files = settings.natsUrl === undefined && { files: streamFiles(settings.dataDir, EVENTS_STREAM) };
      log.fatal({ err: error, ...files }, 'the event log cannot be followed');
      fail(error);
    });
    this.served = new ServedRequests(link.nats, (error) => log.error({ err: error }, 'a request was not answered'));
    this.neighbours = new Neighbours(link.nats, this.has, this.unanswered);
  }

  private readonly observe: ErrorObserver = (error, operation, requestId) => {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    this.log.error({ operation, requestId, err: cause }, 'request failed');
  };

  /** Brings everything up but the timers. What is served afterwards sees the whole log. */
  async start(): Promise<void> {
    const { nats } = this.link;
    this.health.add('nats', () => (this.link.connected() ? undefined : 'not connected'));
    showNats(this.metrics, this.link, () => [this.served, ...(this.transport ? [this.transport.served] : [])]);
    const follows = this.parts.some((part) => part !== 'gateway');
    if (this.has('key-manager')) {
      // Before the log itself, which the other services wait for.
      await ensureAuditStream(nats, this.settings);
      await ensureEventStream(nats, this.settings);
      await ensureClockStream(nats, this.settings);
    }
    const position = await this.untilLogStands();
    if (this.settings.clock === 'virtual') await this.startVirtualClock();
    if (follows) await this.followLog();
    // Before material is looked after: on a log that has lost its end, material in use passes for left-over.
    if (this.settings.natsUrl === undefined) await this.keepWitness();
    const leased = this.leasedServing();
    const { lease: serving, barrier } = leased;
    const started = this.has('crypto-worker') ? await this.startCryptoWorker(serving) : undefined;
    this.neighbours.worker = started;
    const worker = started?.worker;
    const manager = barrier && this.startKeyManager(barrier, serving);
    const grantTokens = new GrantTokens(this.view, this.neighbours.tokenKey());
    this.history = this.has('audit-projector') ? this.startHistory() : undefined;
    this.neighbours.history = this.history;
    const audit = this.history?.ports;
    const planes: PlanePorts = { control: manager, data: worker, audit, grantTokens, serving };
    if (manager || worker) {
      await leased.start(this.health);
      started?.serveLogins();
      this.metrics.gauge('keytrail_lease_held', () => Number(serving.held));
    }
    // Before the recorder, so that they stop after it: the last head and log file hold every record.
    if (this.history) {
      this.startTreeHeads(this.history);
      this.startTrailFiles();
    }
    this.recording = this.startRecording();
    const { recording } = this;
    const quotas = this.settings.quotas && new Quotas(this.settings.quotas);
    if (quotas) showQuotas(this.metrics, quotas);
    const dispatcher =
      manager || worker || audit
        ? new LocalDispatcher(planes, this.callers(), this.clock, this.observe, quotas, recording?.recorder)
        : new NatsDispatcher(nats, position, this.observe, recording?.records);
    if (this.has('gateway')) this.signingKeys = this.signingKeysFor(dispatcher);
    const kind = dispatcher instanceof NatsDispatcher ? SpanKind.CLIENT : SpanKind.INTERNAL;
    this.dispatcher = tracedDispatcher(dispatcher, kind);
    this.transport = this.transportFor(planes, this.dispatcher, recording?.records);
    this.addSchedulers();
    const { served } = this;
    if (this.has('crypto-worker')) {
      const { accountId: account, region } = this.settings;
      const records = recording && { recorder: recording.recorder, clock: this.clock, home: { account, region } };
      serveOperatorRecords(served, records, this.unanswered('operator record'));
    }
    answer<undefined, ServiceStatus>(
      served,
      INTERNAL.status,
      undefined,
      () => this.status(),
      this.unanswered('status'),
    );
    answer<unknown, void>(served, INTERNAL.settle, undefined, (move) => this.settle(move), this.unanswered('settle'));
    await nats.flush();
  }

  /** Tries what was missed, in order, and goes on firing. */
  async startTimers(): Promise<void> {
    await this.schedulers?.start();
  }

  /** To be called once this process serves, which does not wait for it. */
  startProjecting(): void {
    this.history?.start();
  }

  /** What the HTTP edge of a gateway needs. */
  httpEdge(): HttpEdgePorts {
    const { dispatcher, signingKeys, metrics, health, proofs, observe, recording } = this;
    if (!dispatcher || !signingKeys) throw new Error(`${this.name} is no gateway, or has not started`);
    return { dispatcher, signingKeys, metrics, health, proofs, observe, records: recording?.records };
  }

  /**
   * Answers what was begun, as far as that takes no longer than it may, and lets go of everything. To be called once
   * HTTP and the transport take no more; during a start, it ends that.
   */
  stop(): Promise<void> {
    this.stopping ??= this.close();
    return this.stopping;
  }

  private async close(): Promise<void> {
    const begun = Promise.all([this.schedulers?.stop(), this.served.drain()]);
    if (!(await settledWithin(STOP_WAIT_MS, begun))) this.log.warn('stopping although not everything has ended');
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
      now: isoDate(this.clock.now()),
      health: this.health.report(),
    };
  }

  /** Where programs connect over NATS. */
  get natsUrl(): string {
    return this.link.url;
  }

  private readonly unanswered = (what: string) => (error: unknown) =>
    this.log.error({ err: error }, `${what}: request failed`);

  /**
   * Services start in any order: only a key-manager makes the streams, and the others wait for one. The newest position
   * then.
   */
  private async untilLogStands(): Promise<number> {
    const deadline = performance.now() + LOG_WAIT_MS;
    for (;;) {
      try {
        return await this.store.lastPosition();
      } catch (error) {
        if (this.stopping || performance.now() > deadline) throw error;
        this.log.info('waiting for the event log: a key-manager makes it at its first start');
        await new Promise((resolve) => setTimeout(resolve, LOG_PAUSE_MS));
      }
    }
  }

  private async followLog(): Promise<void> {
    await this.view.start(this.store);
    this.closers.push(() => this.view.stop());
    this.health.add('event log', () => this.view.failed?.message);
    showView(this.metrics, this.store, this.view, this.clock);
    serveViewDigests(this.served, this.name, this.instance, this.view);
  }

  private async keepWitness(): Promise<void> {
    const { store, view, log, settings } = this;
    const witness = await LogWitness.keep(witnessPath(settings.dataDir), store, view, (error) =>
      log.error({ err: error }, "the witness of the event log's end cannot be used"),
    );
    this.closers.push(() => witness.stop());
  }

  private async startVirtualClock(): Promise<void> {
    const clock = new VirtualClock(this.link.nats);
    await clock.start();
    clock.onMove(() => this.schedulers?.wake());
    this.closers.push(() => clock.stop());
    this.clock = clock;
  }

  private callers(): Callers {
    return new Callers(this.settings.accountId, this.view.projection, this.neighbours.anchors());
  }

  private async startCryptoWorker(serving: ServingLease): Promise<StartedCryptoWorker> {
    const { settings, store, view, served, metrics, log } = this;
    const started = await startCryptoWorker({
      ...{ settings, store, view, served, serving, metrics, log },
      callout: this.link.callout,
      besideGateway: this.has('gateway'),
      appendAccessKey: this.neighbours.appendAccessKey(),
      appendShredding: this.neighbours.appendShredding(),
      // With a nats-server of its own this is the only process.
      alone: this.settings.natsUrl === undefined,
      clock: this.clock,
    });
    this.closers.push(started.stop);
    return started;
  }

  private startRecording(): StartedRecording | undefined {
    const { settings, clock, metrics, log, observe } = this;
    const { nats } = this.link;
    if (!settings.records) {
      log.warn('KEYTRAIL_RECORDS=off: calls are answered that no record is kept of');
      return undefined;
    }
    const answers = this.parts.some((part) => !isScheduler(part));
    if (!answers) return undefined;
    const sealingKeys = this.neighbours.sealingKeys();
    const started = startRecording({ settings, nats, clock, metrics, log, sealingKeys, observe });
    this.closers.push(() => started.stop());
    return started;
  }

  private startTreeHeads({ placeOf }: StartedHistory): void {
    const { settings, clock, store, log, metrics } = this;
    const heads = new TreeHeads({
      ...{ settings, clock, log, metrics },
      nats: this.link.nats,
      changes: store,
      signer: this.neighbours.treeHeadSigner(),
    });
    this.closers.push(() => heads.stop());
    this.proofs = new TreeProofs({
      ...{ nats: this.link.nats, checkpointDir: settings.checkpointDir, placeOf },
      treeOf: (tree) => heads.treeOf(tree),
    });
    serveTreeProofs(this.served, this.proofs, this.unanswered('proof'));
  }

  private startTrailFiles(): void {
    const { settings, clock, store, view, log, metrics, neighbours } = this;
    const stop = startTrailFiles({
      ...{ settings, clock, store, view, log, metrics },
      nats: this.link.nats,
      sealingKeys: neighbours.sealingKeys(),
      signer: neighbours.digestSigner(),
    });
    if (stop) this.closers.push(stop);
  }

  private startHistory(): StartedHistory {
    const { settings, store, view, clock, metrics, log } = this;
    const { nats } = this.link;
    const sealingKeys = this.neighbours.sealingKeys();
    const digests = this.neighbours.digestSigner();
    const started = startHistory({ settings, nats, store, view, clock, metrics, log, sealingKeys, digests });
    serveLastUses(this.served, started.ports.lastUses, this.unanswered('last use'));
    this.closers.push(() => started.stop());
    serveKeyCalls(this.served, started.ports.history, this.unanswered('key calls'));
    // Where there is more in the process, it serves without its event history too.
    if (this.parts.length === 1) this.health.add('event history', started.problem);
    return started;
  }

  private signingKeysFor(dispatcher: Dispatcher): SigningKeys {
    const seen = (): number => (dispatcher instanceof NatsDispatcher ? dispatcher.newestPosition : this.view.position);
    return this.neighbours.signingKeys(seen);
  }

  private leasedServing(): LeasedServing {
    const { instance: processId, store: log, view } = this;
    const { leaseMs, natsUrl } = this.settings;
    // With a nats-server of its own this is the only process.
    const nats = natsUrl === undefined ? undefined : this.link.nats;
    const leased = new LeasedServing({ processId, leaseMs, log, view, nats }, this.has('key-manager'));
    this.closers.push(() => leased.stop());
    return leased;
  }

  private startKeyManager(barrier: RevocationBarrier, serving: ServingLease): KeyManager {
    const { settings, view, clock, served, neighbours, metrics } = this;
    const started = startKeyManager({
      ...{ settings, view, clock, served, serving },
      store: observedEventStore(this.store, metrics),
      barrier: timedBarrier(metrics, barrier),
      materials: neighbours.materials(),
      signGrantToken: neighbours.grantTokenSigner(),
      lastUses: neighbours.lastUses(),
      onError: this.unanswered,
    });
    neighbours.keyManager = started;
    return started.manager;
  }

  private transportFor(
    { control, data, audit }: PlanePorts,
    dispatcher: Dispatcher,
    records: EdgeRecords | undefined,
  ): NatsTransport | undefined {
    const planes = new Set<Operation['plane']>();
    if (control) planes.add('control');
    if (data) planes.add('data');
    if (audit) planes.add('audit');
    if (planes.size === 0) return undefined;
    const { view, metrics, observe } = this;
    return new NatsTransport({ nats: this.link.nats, planes, dispatcher, view, metrics, observe, records });
  }

  private addSchedulers(): void {
    const { view, clock, health, metrics, log } = this;
    const fire = this.neighbours.fire(async () => view.waitFor(await this.store.lastPosition()));
    this.schedulers = new Schedulers({ view, clock, fire, health, metrics, log });
    for (const part of this.parts) if (isScheduler(part)) this.schedulers.add(part);
  }

  /** Resolves once the clock has made the moves and what came due by them has fired. */
  private async settle(move: unknown): Promise<void> {
    const offsetMs = (move as { offsetMs?: unknown } | undefined)?.offsetMs;
    if (!(this.clock instanceof VirtualClock)) {
      throw new KmsError('ValidationException', `${this.name} goes by the system's clock, which nobody moves`);
    }
    if (typeof offsetMs !== 'number' || !Number.isSafeInteger(offsetMs) || offsetMs < 0) {
      throw new KmsError('ValidationException', 'offsetMs: expected a whole number from 0');
    }
    await this.clock.reached(offsetMs);
    await this.schedulers?.settle();
  }
}
