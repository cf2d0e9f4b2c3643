import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { AUDIT_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { Clock } from '../clock';
import { changeEntries, RecordReader, type UnreadableObserver } from '../history/read-records';
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
  sealingKeys: SealingKeys;
  signer: DigestSigner;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** Trail files, as the process with the part `audit-projector` writes them where a folder is set. What stops it. */
export function startTrailFiles(around: TrailFilesSurroundings): (() => Promise<void>) | undefined {
  const { nats, store, sealingKeys, log, settings } = around;
  if (settings.trailDir === undefined) return undefined;
  const source = trailSource(nats, store, sealingKeys, (stream, position, err) =>
    log.error({ err, stream, position }, 'the trail files go on without a record that cannot be read'),
  );
  const files = new TrailFiles({ ...around, source, folder: settings.trailDir });
  return () => files.stop();
}

export function trailSource(
  nats: NatsConnection,
  changes: JetStreamEventStore,
  sealingKeys: Pick<SealingKeys, 'toUnseal'>,
  unreadable: UnreadableObserver,
): TrailSource {
  const reader = new RecordReader(sealingKeys, unreadable);
  return new TrailSource({
    logs: { records: new JetStreamEventStore(nats, { stream: AUDIT_STREAM }), changes },
    entriesOf: {
      records: (message) => reader.entriesOf(message),
      changes: (message) => changeEntries(message, unreadable),
    },
  });
}
