import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import { settledWithin } from '../bounded-wait';
import type { Clock } from '../clock';
import { type DataFolderLock, DataFolderLockedError, lockDataFolder } from '../data-folder-lock';
import { failPoints } from '../fail-points';
import type { Metrics } from '../metrics';
import type { Settings } from '../settings';
import type { DigestSigner } from './digest-signer';
import { removeDaysBefore } from './trail-retention';
import type { TrailSource } from './trail-source';
import { TrailFilesError } from './trail-state';
import { TrailWriter } from './trail-writer';

export interface TrailFilesPorts {
  folder: string;
  settings: Settings;
  source: TrailSource;
  signer: DigestSigner;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** How long a stop waits for the last files. */
const STOP_WAIT_MS = 5_000;
const DAY_MS = 86_400_000;

/**
 * Writes trail files at a set interval, and at a stop what came since. What goes wrong is logged and tried again at the next
 * turn: nothing waits for a file.
 */
export class TrailFiles {
  private readonly turns: NodeJS.Timeout;
  private turn: Promise<void> = Promise.resolve();
  private busy = false;
  private stopping = false;
  private lock: DataFolderLock | undefined;
  private writer: TrailWriter | undefined;
  /** When all that was in the streams was last seen to be in files. */
  private whole = performance.now();

  constructor(private readonly ports: TrailFilesPorts) {
    const { settings, metrics } = ports;
    this.turns = setInterval(() => this.begin(), settings.trailSeconds * 1_000).unref();
    metrics.gauge('keytrail_trail_files_age_seconds', () => (performance.now() - this.whole) / 1_000);
  }

  /** The last files hold all that was stored before. What takes longer keeps the folder until it, or this process, has ended. */
  async stop(): Promise<void> {
    clearInterval(this.turns);
    const last = this.turn.then(() => this.take()).then(() => this.lock?.release());
    if (!(await settledWithin(STOP_WAIT_MS, last))) {
      this.ports.log.warn('stopping although the last trail files are not written');
    }
    this.stopping = true;
  }

  private begin(): void {
    if (this.busy) return;
    this.busy = true;
    this.turn = this.take().finally(() => {
      this.busy = false;
    });
  }

  private async take(): Promise<void> {
    const { folder, clock, settings, log } = this.ports;
    if (this.stopping) return;
    try {
      const begun = performance.now();
      this.lock ??= locked(folder);
      this.writer ??= await this.open();
      const now = clock.now();
      await this.writer.resume();
      await this.writer.digestHours(now);
      await this.writer.deliver(now);
      this.whole = begun;
      if (settings.trailDays !== undefined) removeDaysBefore(folder, now - settings.trailDays * DAY_MS);
    } catch (error) {
      if (!this.stopping)
        log.error({ err: error, folder }, 'the trail files cannot be brought up to date; trying again');
    }
  }

  private async open(): Promise<TrailWriter> {
    const { folder, settings, source, signer, clock } = this.ports;
    // So that the key is valid from before the first period on.
    await signer.publicKey();
    const { accountId: account, region: home, trailBucket: bucket, failPoint } = settings;
    return new TrailWriter(
      { folder, place: { bucket, home }, account, source, signer, failPoint: failPoints(failPoint) },
      clock.now(),
    );
  }
}

/** Throws TrailFilesError while another process of this machine writes there. */
export function locked(folder: string): DataFolderLock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    return lockDataFolder(folder);
  } catch (error) {
    if (!(error instanceof DataFolderLockedError)) throw error;
    throw new TrailFilesError(`${folder} is written by another process: set another folder for trail files`, {
      cause: error,
    });
  }
}
