import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { AUDIT_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { LiveView } from '#views/live-view';
import type { Clock } from '../clock';
import { changeEntries, RecordReader, type UnreadableObserver } from '../history/read-records';
import { RememberedKeys } from '../history/remembered-keys';
import type { Metrics } from '../metrics';
import type { SealingKeys } from '../recording/sealing-keys';
import type { Settings } from '../settings';
import type { DigestSigner } from './digest-signer';
import { TrailFiles } from './trail-files';
import { TrailSource } from './trail-source';

export interface TrailFilesSurroundings {
  settings: Settings;
  nats: NatsConnection;
  /** The event log. */
  store: JetStreamEventStore;
  view: LiveView;
  sealingKeys: SealingKeys;
  signer: DigestSigner;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** Trail files, as the process with the part `audit-projector` writes them where a folder is set. What stops it. */
export function startTrailFiles(around: TrailFilesSurroundings): (() => Promise<void>) | undefined {
  const { nats, store, view, sealingKeys, log, settings } = around;
  if (settings.trailDir === undefined) return undefined;
  const unreadable: UnreadableObserver = (stream, position, err) =>
    log.error({ err, stream, position }, 'the trail files go on without a record that cannot be read');
  const shredded = (account: string, month: string): number => view.projection.shredded(account, month);
  const source = trailSource(
    nats,
    store,
    new RecordReader(new RememberedKeys(sealingKeys, shredded), unreadable),
    unreadable,
  );
  const files = new TrailFiles({ ...around, source, folder: settings.trailDir });
  return () => files.stop();
}

export function trailSource(
  nats: NatsConnection,
  changes: JetStreamEventStore,
  reader: RecordReader,
  unreadable: UnreadableObserver,
): TrailSource {
  return new TrailSource({
    logs: { records: new JetStreamEventStore(nats, { stream: AUDIT_STREAM }), changes },
    entriesOf: {
      records: (message) => reader.entriesOf(message),
      changes: (message) => changeEntries(message, unreadable),
    },
  });
}
