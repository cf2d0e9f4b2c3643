import { trailTime } from '#audit-log/trail-names';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { RecordReader } from '#platform/history/read-records';
import { RememberedKeys } from '#platform/history/remembered-keys';
import { RemoteSealingKeys } from '#platform/recording/sealing-keys';
import type { Settings } from '#platform/settings';
import { RemoteDigestSigner } from '#platform/trail-files/digest-signer';
import { trailSource } from '#platform/trail-files/start-trail-files';
import { locked } from '#platform/trail-files/trail-files';
import { TrailFilesError } from '#platform/trail-files/trail-state';
import { TrailWriter } from '#platform/trail-files/trail-writer';
import { type ExportOptions, exportLogs } from './export';
import { momentAt } from './moments';
import { CommandError, type Operator } from './operator';
import { servicesOf } from './services';

export interface ExportTrailOptions {
  to: string;
  cloudtrail?: true;
  /** Moments, of events. */
  since?: string | undefined;
  until?: string | undefined;
}

/** Both logs with their proofs, or the records alone as CloudTrail's log files. */
export async function exportEither(
  operator: Operator,
  settings: Settings,
  options: ExportOptions & ExportTrailOptions,
  print: (line: string) => void,
): Promise<void> {
  const { cloudtrail, since, until, withoutSealed } = options;
  if (!cloudtrail && (since ?? until) !== undefined) {
    throw new CommandError('--since and --until: expected with --cloudtrail only');
  }
  if (cloudtrail && withoutSealed) throw new CommandError('--without-sealed: not expected with --cloudtrail');
  await (cloudtrail ? exportTrail : exportLogs)(operator, settings, options, print);
}

/**
 * Writes all records that the folder does not have as CloudTrail's log files, and a digest of them: docs/trail-files.md. Goes
 * on where it was broken off, and where a former export ended.
 */
async function exportTrail(
  operator: Operator,
  settings: Settings,
  { to: folder, since, until }: ExportTrailOptions,
  print: (line: string) => void,
): Promise<void> {
  const { nats } = operator;
  const [service] = await servicesOf(operator);
  if (!service) throw new CommandError('only a running Keytrail can unseal records and sign digests: start it');
  const signer = new RemoteDigestSigner(nats);
  await signer.publicKey();
  let unread = 0;
  const unreadable = (): void => {
    unread++;
  };
  const reader = new RecordReader(new RememberedKeys(new RemoteSealingKeys(nats)), unreadable);
  const source = trailSource(nats, new JetStreamEventStore(nats), reader, unreadable);
  const { accountId: account, region: home, trailBucket: bucket } = settings;
  const only = await rangeOf(operator, { since, until }, service.now);
  try {
    const lock = locked(folder);
    try {
      const now = Date.parse(service.now);
      const begun = performance.now();
      const writer = new TrailWriter(
        { folder, place: { bucket, home }, account, source, signer, ...(only && { only }) },
        now,
      );
      const written = await writer.deliver(now);
      await writer.digest(now + performance.now() - begun);
      print(`${written} records written`);
      if (unread > 0) throw new CommandError(`${unread} parts of the logs cannot be read: run keytrail verify`);
    } finally {
      lock.release();
    }
  } catch (error) {
    throw error instanceof TrailFilesError ? new CommandError(error.message) : error;
  }
}

async function rangeOf(
  operator: Operator,
  { since, until }: Pick<ExportTrailOptions, 'since' | 'until'>,
  now: string,
): Promise<{ since?: string; until?: string } | undefined> {
  if (since === undefined && until === undefined) return undefined;
  const moment = async (option: string, text: string): Promise<string> =>
    trailTime(Date.parse(await momentAt(operator, option, text, now)));
  return {
    ...(since !== undefined && { since: await moment('--since', since) }),
    ...(until !== undefined && { until: await moment('--until', until) }),
  };
}
