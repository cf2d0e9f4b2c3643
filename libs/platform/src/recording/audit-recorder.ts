import { randomFillSync, randomUUID } from 'node:crypto';
import {
  type BatchEntry,
  batchEntry,
  batchHash,
  encodeBatch,
  NO_BATCH,
  SALT_BYTES,
  type SealingKey,
  type SealingScope,
} from '#audit-log/batch';
import { type AuditRecord, splitRecord } from '#audit-log/record';
import { KmsError } from '#domain/errors';
import { recordSubject } from '#domain/subjects';
import { type AppendRequest, StoreUnavailableError } from '#event-store/event-store';
import type { Recorder } from '#operations/audit/recorder';
import { settledWithin } from '../bounded-wait';

export interface AuditRecorderPorts {
  /** Appends to KMS_AUDIT, as EventStore has it. */
  append(request: AppendRequest): Promise<number>;
  /** The key that this writer seals records of the scope with. */
  sealingKey(scope: SealingScope & { writer: string }): SealingKey | Promise<SealingKey>;
  /** Whether the connection to the log is gone for good. */
  closed(): boolean;
  observe(error: unknown): void;
  /** Told of every batch that is durable: its records, and how long it took in seconds. */
  stored?(records: number, seconds: number): void;
}

export interface AuditRecorderLimits {
  /** Calls that may be under way or wait for their record at once. */
  waiting: number;
  /** How long a call waits for its record to be durable, in ms. */
  patienceMs: number;
  /** Batches under way at once. */
  lanes: number;
}

const DEFAULTS: AuditRecorderLimits = { waiting: 10_000, patienceMs: 10_000, lanes: 2 };
/** One batch; far below what a NATS message may hold. */
const MAX_RECORDS = 1_000;
const MAX_BYTES = 384 * 1_024;
/** The longest sealed part of one record, in bytes; what is longer is left out and said to be. */
const MAX_SEALED = 128 * 1_024;
const PAUSE_MS = 100;

interface Waiting {
  entry: BatchEntry;
  /** Of its texts, in UTF-8. */
  bytes: number;
  /** When its call began to wait, by performance.now(). */
  since: number;
  done(): void;
  fail(error: unknown): void;
}

/**
 * Group commit: each lane is a writer of its own, whose batches follow each other without a gap. All that waits when a
 * lane is free goes into its next batch. A batch that cannot be stored is tried until it is. A call that has waited for as
 * long as it may is refused; its record keeps its place, and is stored when that is possible again. Once nothing moves, new
 * calls are refused. A crash leaves no record of calls that were not answered.
 */
export class AuditRecorder implements Recorder {
  private readonly limits: AuditRecorderLimits;
  private readonly lanes: Lane[];
  private readonly salts = Buffer.allocUnsafe(256 * SALT_BYTES);
  private saltAt = this.salts.length;
  private queue: Waiting[] = [];
  private readonly underWay = new Set<readonly Waiting[]>();
  private readonly rested: (() => void)[] = [];
  private begun = 0;
  private starting = false;
  private watching: NodeJS.Timeout | undefined;

  constructor(
    private readonly ports: AuditRecorderPorts,
    limits: Partial<AuditRecorderLimits> = {},
  ) {
    this.limits = { ...DEFAULTS, ...limits };
    this.lanes = Array.from({ length: this.limits.lanes }, () => new Lane(ports));
  }

  /** Calls that have been admitted and are not yet on record. */
  get backlog(): number {
    return this.begun;
  }

  admit(): void {
    if (this.lanes.every((lane) => lane.stuckFor() > this.limits.patienceMs)) throw outOfReach();
    if (this.begun >= this.limits.waiting) {
      throw new KmsError('ThrottlingException', 'Too many calls wait for the audit trail; try again.');
    }
    this.begun++;
  }

  write(make: () => AuditRecord): Promise<void> {
    return new Promise((done, fail) => {
      try {
        const record = make();
        const { open, sealed } = splitRecord(record);
        const length = Buffer.byteLength(sealed);
        const entry = batchEntry(open, length <= MAX_SEALED ? sealed : leftOut(record, length), this.salt());
        const bytes = Buffer.byteLength(entry.open) + Buffer.byteLength(entry.sealed);
        this.enqueue({ entry, bytes, since: performance.now(), done, fail });
      } catch (error) {
        this.begun--;
        fail(error);
      }
    });
  }

  /** Resolves once all that was written is durable or given up, or that has taken as long as a call may wait. */
  async drain(): Promise<void> {
    if (this.atRest) return;
    const rested = new Promise<void>((resolve) => {
      this.rested.push(resolve);
    });
    await settledWithin(this.limits.patienceMs, rested);
  }

  private get atRest(): boolean {
    return this.queue.length === 0 && this.underWay.size === 0;
  }

  private enqueue(waiting: Waiting): void {
    this.queue.push(waiting);
    this.watch(this.limits.patienceMs);
    if (this.starting) return;
    this.starting = true;
    // What else this turn of the event loop answers goes into the same batch.
    setImmediate(() => {
      this.starting = false;
      for (const lane of this.lanes) this.run(lane);
    });
  }

  private run(lane: Lane): void {
    if (lane.busy || this.queue.length === 0) return;
    const taken = this.take();
    this.underWay.add(taken);
    const settle = (each: (waiting: Waiting) => void): void => {
      this.underWay.delete(taken);
      this.begun -= taken.length;
      for (const waiting of taken) each(waiting);
      this.run(lane);
      if (this.atRest) for (const resolve of this.rested.splice(0)) resolve();
    };
    lane.store(taken.map(({ entry }) => entry)).then(
      () => settle(({ done }) => done()),
      (error) => {
        this.ports.observe(error);
        settle(({ fail }) => fail(outOfReach(error)));
      },
    );
  }

  /** One timer for all: on the hot path a timer a call would cost more than the call's record. */
  private watch(ms: number): void {
    this.watching ??= setTimeout(() => {
      this.watching = undefined;
      this.refuseLate();
    }, ms).unref();
  }

  private refuseLate(): void {
    const now = performance.now();
    let soonest = Number.POSITIVE_INFINITY;
    for (const waiting of [...[...this.underWay].flat(), ...this.queue]) {
      const left = waiting.since + this.limits.patienceMs - now;
      if (left <= 0) waiting.fail(outOfReach());
      else soonest = Math.min(soonest, left);
    }
    if (soonest !== Number.POSITIVE_INFINITY) this.watch(Math.ceil(soonest));
  }

  private take(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.queue.length && count < MAX_RECORDS) {
      bytes += this.queue[count]!.bytes;
      if (count > 0 && bytes > MAX_BYTES) break;
      count++;
    }
    const taken = this.queue.slice(0, count);
    this.queue = this.queue.slice(count);
    return taken;
  }

  private salt(): Buffer {
    if (this.saltAt === this.salts.length) {
      randomFillSync(this.salts);
      this.saltAt = 0;
    }
    const salt = this.salts.subarray(this.saltAt, this.saltAt + SALT_BYTES);
    this.saltAt += SALT_BYTES;
    return salt;
  }
}

/** One writer: at most one batch is under way, and the next is made once that one is stored. */
class Lane {
  private writer = randomUUID();
  private batch = 0;
  private position = 0;
  private prev = NO_BATCH;
  private since = 0;
  busy = false;

  constructor(private readonly ports: AuditRecorderPorts) {}

  /** Ms since it began with a batch that it has not stored yet; 0 where it has none. */
  stuckFor(): number {
    return this.busy ? performance.now() - this.since : 0;
  }

  store(entries: readonly BatchEntry[]): Promise<void> {
    this.busy = true;
    this.since = performance.now();
    return this.append(entries)
      .catch((error: unknown) => {
        this.beginAnew();
        throw error;
      })
      .finally(() => {
        this.busy = false;
      });
  }

  /** As another writer: a number, and with it a nonce, is never used for a second batch. */
  private beginAnew(): void {
    this.writer = randomUUID();
    this.batch = 0;
    this.position = 0;
    this.prev = NO_BATCH;
  }

  private async append(entries: readonly BatchEntry[]): Promise<void> {
    const keys = new Map<string, SealingKey>();
    for (const { account, month } of entries) {
      const name = `${account} ${month}`;
      if (!keys.has(name)) keys.set(name, await this.sealingKey({ account, month, writer: this.writer }));
    }
    const batch = this.batch + 1;
    const bytes = encodeBatch(
      { writer: this.writer, batch, prev: this.prev },
      entries,
      ({ account, month }) => keys.get(`${account} ${month}`)!,
    );
    const request: AppendRequest = {
      subject: recordSubject(this.writer),
      bytes,
      expectedLastSeq: this.position,
      appendId: `${this.writer}:${batch}`,
    };
    this.position = await this.untilStored(request);
    this.batch = batch;
    this.prev = batchHash(bytes);
    this.ports.stored?.(entries.length, (performance.now() - this.since) / 1000);
  }

  /** Tried for as long as nobody is there to give it: a gateway may outlive every crypto-worker for a while. */
  private async sealingKey(scope: SealingScope & { writer: string }): Promise<SealingKey> {
    for (;;) {
      try {
        return await this.ports.sealingKey(scope);
      } catch (error) {
        if (!isPassing(error) || this.ports.closed()) throw error;
        this.ports.observe(error);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  /** Tried for as long as it takes, or the chain of this writer would have a gap that nobody took out. */
  private async untilStored(request: AppendRequest): Promise<number> {
    for (;;) {
      try {
        return await this.ports.append(request);
      } catch (error) {
        if (!(error instanceof StoreUnavailableError) || this.ports.closed()) throw error;
        this.ports.observe(error);
      }
    }
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof StoreUnavailableError || (error instanceof KmsError && error.code === 'DependencyTimeoutException');

const outOfReach = (cause?: unknown): KmsError =>
  new KmsError('DependencyTimeoutException', 'The audit trail cannot be written now; try again.', cause);

const leftOut = (record: AuditRecord, length: number): string =>
  splitRecord({
    ...record,
    requestParameters: { omitted: true, originalSize: length, reason: `longer than ${MAX_SEALED}` },
    responseElements: null,
  }).sealed;
