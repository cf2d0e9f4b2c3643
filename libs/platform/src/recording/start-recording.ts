import type { NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { AUDIT_STREAM } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import type { Recorder } from '#operations/audit/recorder';
import type { ErrorObserver } from '#operations/operation-reply';
import type { Clock } from '../clock';
import { failPoints } from '../fail-points';
import type { Metrics } from '../metrics';
import type { Settings } from '../settings';
import { tracedRecorder } from '../traced-ports';
import { AuditRecorder } from './audit-recorder';
import { EdgeRecords } from './edge-records';
import type { SealingKeys } from './sealing-keys';

export interface RecordingSurroundings {
  settings: Settings;
  nats: NatsConnection;
  clock: Clock;
  metrics: Metrics;
  log: Logger;
  sealingKeys: SealingKeys;
  observe: ErrorObserver;
}

export interface StartedRecording {
  recorder: Recorder;
  records: EdgeRecords;
  stop(): Promise<void>;
}

/** What puts the calls that a process answers on record. */
export function startRecording(around: RecordingSurroundings): StartedRecording {
  const { settings, nats, clock, metrics, log } = around;
  const store = new JetStreamEventStore(nats, { stream: AUDIT_STREAM });
  const recorded = batchFigures(metrics);
  const failPoint = failPoints(settings.failPoint);
  const auditRecorder = new AuditRecorder(
    {
      append: async (request) => {
        failPoint('before-append:records');
        const position = await store.append(request);
        failPoint('after-append:records');
        return position;
      },
      sealingKey: (scope) => around.sealingKeys.toSeal(scope),
      closed: () => nats.isClosed() || nats.isDraining(),
      observe: (error) => {
        recorded.failed();
        log.error({ err: error }, 'records could not be stored');
      },
      stored: recorded.stored,
    },
    { waiting: settings.recordQueue },
  );
  metrics.gauge('keytrail_audit_backlog', () => auditRecorder.backlog);
  const unrecorded = metrics.counter('keytrail_unrecorded_calls_total');
  const recorder = tracedRecorder(auditRecorder);
  const home = { account: settings.accountId, region: settings.region };
  return {
    recorder,
    records: new EdgeRecords(recorder, clock, home, around.observe, () => unrecorded.inc()),
    stop: () => auditRecorder.drain(),
  };
}

function batchFigures(metrics: Metrics) {
  const records = metrics.histogram('keytrail_audit_batch_records');
  const duration = metrics.histogram('keytrail_audit_batch_duration_seconds');
  const failures = metrics.counter('keytrail_audit_batch_failures_total');
  return {
    stored(count: number, seconds: number): void {
      records.observe(count);
      duration.observe(seconds);
    },
    failed: () => failures.inc(),
  };
}
