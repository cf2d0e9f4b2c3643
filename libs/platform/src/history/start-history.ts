import { mkdirSync } from 'node:fs';
import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { AUDIT_STREAM, parseEventSubject } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { AuditPorts } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import type { Clock } from '../clock';
import { lockDataFolder } from '../data-folder-lock';
import { failPoints } from '../fail-points';
import { UNTRACKED } from '../last-uses';
import type { Metrics } from '../metrics';
import type { SealingKeys } from '../recording/sealing-keys';
import type { Settings } from '../settings';
import type { DigestSigner } from '../trail-files/digest-signer';
import { embeddedDatabase, historyFolder, postgresDatabase } from './history-database';
import { partsOfPlace } from './history-entry';
import { idleCores } from './idle-cores';
import { Projector } from './projector';
import { changeEntries, RecordReader, type UnreadableObserver } from './read-records';
import { RememberedKeys } from './remembered-keys';

export interface HistorySurroundings {
  settings: Settings;
  nats: NatsConnection;
  /** The event log. */
  store: JetStreamEventStore;
  view: LiveView;
  metrics: Metrics;
  clock: Clock;
  log: Logger;
  sealingKeys: SealingKeys;
  digests: DigestSigner;
}

export interface StartedHistory {
  ports: AuditPorts;
  /** Where the record of an event is in KMS_AUDIT: position of its message, and which of it; undefined where there is none. */
  placeOf(eventId: string): Promise<{ position: number; nth: number } | undefined>;
  /** Why lookups cannot be answered now. */
  problem(): string | undefined;
  /** To be called once this process serves: the database is opened, and all that it lacks is folded in. */
  start(): void;
  stop(): Promise<void>;
}

/** A process that has just started has better to do; whoever asks for the history is not kept waiting for it. */
const EMBEDDED_DELAY_MS = 10_000;
/** Records that nobody waits for may wait themselves: the process has calls to answer. */
const GATHER_MS = 250;
const CORES_TO_SPARE = 0.75;
const DAY_SECONDS = 86_400;

/** The event history, as the process with the part `audit-projector` keeps and serves it. */
export function startHistory(around: HistorySurroundings): StartedHistory {
  const { settings, nats, store, view, metrics, log } = around;
  const { databaseUrl, dataDir } = settings;
  const isEmbedded = settings.natsUrl === undefined;
  const lock = isEmbedded || databaseUrl !== undefined ? undefined : lockedFolder(dataDir);
  let unread = 0;
  const unreadable: UnreadableObserver = (stream, position, err) => {
    unread++;
    log.error({ err, stream, position }, 'the event history goes on without a record that cannot be read');
  };
  const keys = new RememberedKeys(around.sealingKeys, (...scope) => view.projection.shredded(...scope));
  const reader = new RecordReader(keys, unreadable);
  const idle = idleCores();
  const projector = new Projector({
    database: databaseUrl
      ? postgresDatabase(databaseUrl, log)
      : embeddedDatabase(historyFolder(dataDir), log, { reading: { keys, unreadable } }),
    logs: { records: new JetStreamEventStore(nats, { stream: AUDIT_STREAM }), changes: store },
    entriesOf: {
      records: (message) => reader.entriesOf(message),
      changes: (message) => changeEntries(message, unreadable),
    },
    async known(atLeast) {
      await view.waitFor(atLeast);
      keys.forget();
      return view.position;
    },
    shreds: ({ subject }) => parseEventSubject(subject).aggregate === 'trail',
    log,
    horizon: () => Math.floor(around.clock.now() / 1000) - settings.historyDays * DAY_SECONDS,
    failPoint: failPoints(settings.failPoint),
    ...(isEmbedded && { gatherMs: GATHER_MS, shouldGiveWay: () => idle() < CORES_TO_SPARE }),
  });
  metrics.gauge('keytrail_history_lag', () => projector.lagOf('records').catch(() => undefined));
  metrics.gauge('keytrail_history_unreadable', () => unread);
  return {
    ports: {
      projection: view.projection,
      history: projector,
      trailKeys: async () => [await around.digests.publicKey()],
      lastUses: settings.records ? projector : UNTRACKED,
      current: () => view.catchUp(store),
    },
    async placeOf(eventId) {
      const place = await projector.placeOf(eventId);
      const { stream, position, index: nth } = partsOfPlace(place ?? 1);
      return stream === 'records' ? { position, nth } : undefined;
    },
    problem: () => projector.problem,
    start: () => projector.start(isEmbedded ? EMBEDDED_DELAY_MS : 0),
    async stop() {
      await projector.stop();
      lock?.release();
    },
  };
}

/** PGlite does not notice a second process in its folder. */
function lockedFolder(dataDir: string): { release(): void } {
  mkdirSync(dataDir, { recursive: true });
  return lockDataFolder(dataDir);
}
