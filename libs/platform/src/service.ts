import { SpanKind } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { INTERNAL } from '#domain/subjects';
import type { Operation, PlanePorts } from '#operations/operation';
import { Quotas } from '#operations/quotas/quotas';
import { settledWithin } from './bounded-wait';
import { Callers } from './callers';
import { VirtualClock } from './clock';
import type { HsmStatus } from './clusters/figures';
import type { Dispatcher } from './dispatcher';
import { showNats, showQuotas } from './figures';
import type { Health } from './health';
import type { HttpEdgePorts } from './http-edge';
import { answer } from './internal-requests';
import type { StoreStatus } from './key-stores/store-figures';
import { LocalDispatcher } from './local-dispatcher';
import { NatsDispatcher } from './nats-dispatcher';
import type { NatsLink } from './nats-link';
import { NatsTransport } from './nats-transport';
import type { EdgeRecords } from './recording/edge-records';
import { serveOperatorRecords } from './recording/operator-records';
import type { StartedRecording } from './recording/start-recording';
import { isScheduler, Schedulers } from './schedulers';
import type { Settings } from './settings';
import type { SigningKeys } from './signing-keys';
import { startRecording, startTrees } from './start-audit-trail';
import { startLog } from './start-log';
import { startPlanes } from './start-planes';
import { type Part, Surroundings } from './surroundings';
import { tracedDispatcher } from './traced-ports';
import type { TreeProofs } from './tree-heads/tree-proofs';

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
  /** HSMs of clusters, of a crypto-worker alone. */
  hsms?: HsmStatus[];
  /** Custom key stores, of a crypto-worker alone. */
  stores?: StoreStatus[];
}

/** How long a stop waits for what this process had begun. */
const STOP_WAIT_MS = 5_000;

/** One process of Keytrail: the parts it was asked for, put together. All of them make the embedded default. */
export class Service {
  transport: NatsTransport | undefined;
  /** Of the process that keeps the trees. */
  proofs: TreeProofs | undefined;
  private readonly around: Surroundings;
  private schedulers: Schedulers | undefined;
  private dispatcher: Dispatcher | undefined;
  private signingKeys: SigningKeys | undefined;
  private recording: StartedRecording | undefined;
  private stopping: Promise<void> | undefined;

  constructor(
    readonly name: string,
    parts: readonly Part[],
    readonly settings: Settings,
    link: NatsLink,
    log: Logger,
  ) {
    this.around = new Surroundings(name, parts, settings, link, log);
  }

  /** Brings everything up but the timers. What is served afterwards sees the whole log. */
  async start(): Promise<void> {
    const { around } = this;
    const { link, health, metrics, served, neighbours } = around;
    health.add('nats', () => (link.connected() ? undefined : 'not connected'));
    showNats(metrics, link, () => [served, ...(this.transport ? [this.transport.served] : [])]);
    const position = await startLog(around, {
      stopping: () => this.stopping !== undefined,
      onMove: () => this.schedulers?.wake(),
    });
    const planes = await startPlanes(around);
    if (neighbours.history) this.proofs = startTrees(around, neighbours.history);
    this.recording = startRecording(around);
    const dispatcher = this.dispatcherTo(planes, position);
    if (around.has('gateway')) this.signingKeys = this.signingKeysFor(dispatcher);
    const kind = dispatcher instanceof NatsDispatcher ? SpanKind.CLIENT : SpanKind.INTERNAL;
    this.dispatcher = tracedDispatcher(dispatcher, kind);
    this.transport = this.transportFor(planes, this.dispatcher, this.recording?.records);
    this.addSchedulers();
    this.serveOperator();
    await around.nats.flush();
  }

  /** Tries what was missed, in order, and goes on firing. */
  async startTimers(): Promise<void> {
    await this.schedulers?.start();
  }

  /** To be called once this process serves, which does not wait for it. */
  startProjecting(): void {
    this.around.neighbours.history?.start();
  }

  /** What the HTTP edge of a gateway needs. */
  httpEdge(): HttpEdgePorts {
    const { dispatcher, signingKeys, proofs, recording } = this;
    const { metrics, health, observe } = this.around;
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
    const { served, log } = this.around;
    const begun = Promise.all([this.schedulers?.stop(), served.drain()]);
    if (!(await settledWithin(STOP_WAIT_MS, begun))) log.warn('stopping although not everything has ended');
    await this.around.close();
  }

  status(): ServiceStatus {
    const { name, instance, parts, view, settings, clock, health, neighbours } = this.around;
    const hsms = neighbours.worker?.clusters.status() ?? [];
    const stores = neighbours.worker?.storeStatuses() ?? [];
    return {
      service: name,
      instance,
      pid: process.pid,
      parts,
      position: view.position,
      clock: settings.clock,
      now: isoDate(clock.now()),
      health: health.report(),
      ...(hsms.length > 0 && { hsms }),
      ...(stores.length > 0 && { stores }),
    };
  }

  get metrics() {
    return this.around.metrics;
  }

  get health() {
    return this.around.health;
  }

  /** Resolves once this process must not go on. */
  get failed(): Promise<Error> {
    return this.around.failed;
  }

  /** Where programs connect over NATS. */
  get natsUrl(): string {
    return this.around.link.url;
  }

  private dispatcherTo(planes: PlanePorts, position: number): LocalDispatcher | NatsDispatcher {
    const { settings, view, clock, metrics, observe, nats, neighbours } = this.around;
    const { recording } = this;
    const quotas = settings.quotas && new Quotas(settings.quotas);
    if (quotas) showQuotas(metrics, quotas);
    if (!planes.control && !planes.data && !planes.audit) {
      return new NatsDispatcher(nats, position, observe, settings.replyTimeoutMs, recording?.records);
    }
    const callers = new Callers(settings.accountId, view.projection, neighbours.anchors());
    return new LocalDispatcher(planes, callers, clock, observe, quotas, recording?.recorder);
  }

  private signingKeysFor(dispatcher: Dispatcher): SigningKeys {
    const { view, neighbours } = this.around;
    return neighbours.signingKeys(() =>
      dispatcher instanceof NatsDispatcher ? dispatcher.newestPosition : view.position,
    );
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
    const { nats, view, metrics, observe } = this.around;
    return new NatsTransport({ nats, planes, dispatcher, view, metrics, observe, records });
  }

  private addSchedulers(): void {
    const { view, clock, health, metrics, log, store, neighbours, parts } = this.around;
    const fire = neighbours.fire(() => view.catchUp(store));
    this.schedulers = new Schedulers({ view, clock, fire, health, metrics, log });
    for (const part of parts) if (isScheduler(part)) this.schedulers.add(part);
  }

  /** What the command line asks of services. */
  private serveOperator(): void {
    const { around, recording } = this;
    const { served, settings, clock, unanswered } = around;
    if (around.has('crypto-worker')) {
      const { accountId: account, region } = settings;
      const records = recording && { recorder: recording.recorder, clock, home: { account, region } };
      serveOperatorRecords(served, records, unanswered('operator record'));
    }
    answer<undefined, ServiceStatus>(served, INTERNAL.status, undefined, () => this.status(), unanswered('status'));
    answer<unknown, void>(served, INTERNAL.settle, undefined, (move) => this.settle(move), unanswered('settle'));
  }

  /** Resolves once the clock has made the moves and what came due by them has fired. */
  private async settle(move: unknown): Promise<void> {
    const { clock } = this.around;
    const offsetMs = (move as { offsetMs?: unknown } | undefined)?.offsetMs;
    if (!(clock instanceof VirtualClock)) {
      throw new KmsError('ValidationException', `${this.name} goes by the system's clock, which nobody moves`);
    }
    if (typeof offsetMs !== 'number' || !Number.isSafeInteger(offsetMs) || offsetMs < 0) {
      throw new KmsError('ValidationException', 'offsetMs: expected a whole number from 0');
    }
    await clock.reached(offsetMs);
    await this.schedulers?.settle();
  }
}
