import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { EVENTS_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { ErrorObserver } from '#operations/operation-reply';
import { LiveView } from '#views/live-view';
import { type Clock, systemClock } from './clock';
import { streamFiles } from './embedded-nats';
import { Health } from './health';
import { Metrics } from './metrics';
import type { NatsLink } from './nats-link';
import { Neighbours } from './neighbours';
import { ServedRequests } from './served-requests';
import type { Settings } from './settings';

export const PARTS = [
  'gateway',
  'key-manager',
  'crypto-worker',
  'rotation-scheduler',
  'deletion-scheduler',
  'audit-projector',
] as const;
export type Part = (typeof PARTS)[number];

/**
 * A follower whose NATS node has died must notice and find another well before a lease runs out, or every process would
 * stop serving although the log can be read. Not below what nats-server takes.
 */
const followerHeartbeatMs = ({ leaseMs }: Settings): number => Math.max(100, leaseMs / 10);

/** What the parts of one process have in common: each is started with it, and adds to it how it is stopped. */
export class Surroundings {
  readonly instance = randomUUID();
  readonly metrics = new Metrics();
  readonly health = new Health();
  readonly store: JetStreamEventStore;
  readonly view: LiveView;
  readonly served: ServedRequests;
  readonly neighbours: Neighbours;
  /** Resolves once the event log cannot be followed any more. */
  readonly failed: Promise<Error>;
  /** The system's until a virtual one has started. */
  clock: Clock = systemClock;
  private readonly closers: (() => Promise<void> | void)[] = [];

  constructor(
    readonly name: string,
    readonly parts: readonly Part[],
    readonly settings: Settings,
    readonly link: NatsLink,
    readonly log: Logger,
  ) {
    let fail: (error: Error) => void = () => {};
    this.failed = new Promise((resolve) => {
      fail = resolve;
    });
    this.store = new JetStreamEventStore(link.nats, { heartbeatMs: followerHeartbeatMs(settings) });
    this.view = new LiveView((error) => {
      const files = this.alone && { files: streamFiles(settings.dataDir, EVENTS_STREAM) };
      log.fatal({ err: error, ...files }, 'the event log cannot be followed');
      fail(error);
    });
    this.served = new ServedRequests(link.nats, (error) => log.error({ err: error }, 'a request was not answered'));
    this.neighbours = new Neighbours(link.nats, (part) => this.has(part), this.unanswered);
  }

  has(part: Part): boolean {
    return this.parts.includes(part);
  }

  get nats() {
    return this.link.nats;
  }

  /** With a nats-server of its own this is the only process. */
  get alone(): boolean {
    return this.settings.natsUrl === undefined;
  }

  readonly observe: ErrorObserver = (error, operation, requestId) => {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    this.log.error({ operation, requestId, err: cause }, 'request failed');
  };

  readonly unanswered = (what: string) => (error: unknown) => this.log.error({ err: error }, `${what}: request failed`);

  onStop(close: () => Promise<void> | void): void {
    this.closers.push(close);
  }

  /** Stops what was started, the newest first. */
  async close(): Promise<void> {
    for (const close of this.closers.reverse()) await close();
    await this.link.close();
  }
}
