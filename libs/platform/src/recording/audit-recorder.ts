import { randomFillSync } from 'node:crypto';
import { type BatchEntry, batchEntry, SALT_BYTES, type SealingScope } from '#audit-log/batch';
import { type AuditRecord, splitRecord } from '#audit-log/record';
import { KmsError } from '#domain/errors';
import { StoreUnavailableError } from '#event-store/event-store';
import type { Recorder } from '#operations/audit/recorder';
import { settledWithin } from '../bounded-wait';
import { RecordLane, type RecordLanePorts, scopeName } from './record-lane';

export interface AuditRecorderLimits {
  /** Calls that may be under way or wait for their record at once. */
  waiting: number;
  /** Of the texts of records that wait, beyond which no call is begun. */
  waitingBytes: number;
  /** How long a call waits for its record to be durable, in ms. */
  patienceMs: number;
  /** Batches under way at once. */
  lanes: number;
}

const DEFAULTS: AuditRecorderLimits = {
  waiting: 10_000,
  waitingBytes: 64 * 1_024 * 1_024,
  patienceMs: 10_000,
  lanes: 2,
};
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
 *
 * Records of an account whose sealing key nobody gives wait beside the queue, those of others go on; they take up half of the
 * places at most, unless the key was there before: then nobody gives any.
 */
export class AuditRecorder implements Recorder {
  private readonly limits: AuditRecorderLimits;
  private readonly lanes: RecordLane[];
  private readonly salts = Buffer.allocUnsafe(256 * SALT_BYTES);
  private saltAt = this.salts.length;
  private queue: Waiting[] = [];
  private readonly underWay = new Set<readonly Waiting[]>();
  private readonly rested: (() => void)[] = [];
  /** By the name of the scope whose key is asked for. */
  private readonly keyless = new Map<string, Waiting[]>();
  private begun = 0;
  private bytes = 0;
  private starting = false;
  private watching: NodeJS.Timeout | undefined;

  constructor(
    private readonly ports: RecordLanePorts,
    limits: Partial<AuditRecorderLimits> = {},
  ) {
    this.limits = { ...DEFAULTS, ...limits };
    this.lanes = Array.from({ length: this.limits.lanes }, () => new RecordLane(ports));
  }

  /** Calls that have been admitted and are not yet on record. */
  get backlog(): number {
    return this.begun;
  }

  admit(): void {
    if (this.lanes.every((lane) => lane.stuckFor() > this.limits.patienceMs)) throw outOfReach();
    if (this.begun >= this.limits.waiting || this.bytes >= this.limits.waitingBytes) throw tooMany();
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
    return this.queue.length === 0 && this.underWay.size === 0 && this.keyless.size === 0;
  }

  private enqueue(waiting: Waiting): void {
    this.queue.push(waiting);
    this.bytes += waiting.bytes;
    this.watch(this.limits.patienceMs);
    if (this.starting) return;
    this.starting = true;
    // What else this turn of the event loop answers goes into the same batch.
    setImmediate(() => {
      this.starting = false;
      this.runAll();
    });
  }

  private runAll(): void {
    for (const lane of this.lanes) this.run(lane);
  }

  private run(lane: RecordLane): void {
    if (lane.busy || this.queue.length === 0) return;
    const taken = this.take(lane);
    if (taken.length === 0) return;
    this.underWay.add(taken);
    const settle = (each: (waiting: Waiting) => void): void => {
      this.underWay.delete(taken);
      this.leave(taken, each);
      this.run(lane);
      this.rest();
    };
    lane.store(taken.map(({ entry }) => entry)).then(
      () => settle(({ done }) => done()),
      (error) => {
        this.ports.observe(error);
        settle(({ fail }) => fail(outOfReach(error)));
      },
    );
  }

  /** Their places are free. */
  private leave(gone: readonly Waiting[], each: (waiting: Waiting) => void): void {
    this.begun -= gone.length;
    for (const waiting of gone) {
      this.bytes -= waiting.bytes;
      each(waiting);
    }
  }

  private rest(): void {
    if (this.atRest) for (const resolve of this.rested.splice(0)) resolve();
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
    for (const waiting of [...[...this.underWay, ...this.keyless.values()].flat(), ...this.queue]) {
      const left = waiting.since + this.limits.patienceMs - now;
      if (left <= 0) waiting.fail(outOfReach());
      else soonest = Math.min(soonest, left);
    }
    if (soonest !== Number.POSITIVE_INFINITY) this.watch(Math.ceil(soonest));
  }

  private take(lane: RecordLane): Waiting[] {
    const taken: Waiting[] = [];
    let bytes = 0;
    let at = 0;
    for (; at < this.queue.length && taken.length < MAX_RECORDS; at++) {
      const waiting = this.queue[at]!;
      const scope = scopeName(waiting.entry);
      if (!lane.hasKey(scope)) {
        this.hold(scope, waiting, lane.hasHadKey(scope));
        continue;
      }
      bytes += waiting.bytes;
      if (taken.length > 0 && bytes > MAX_BYTES) break;
      taken.push(waiting);
    }
    this.queue = this.queue.slice(at);
    return taken;
  }

  private hold(scope: string, waiting: Waiting, renewed: boolean): void {
    const held = this.keyless.get(scope);
    if (!held) {
      this.keyless.set(scope, [waiting]);
      void this.release(waiting.entry);
    } else if (renewed || held.length < this.limits.waiting / 2) held.push(waiting);
    else this.leave([waiting], ({ fail }) => fail(tooMany()));
  }

  /** Once the keys of a scope are there. Asked for as long as nobody gives them: a gateway may outlive every crypto-worker. */
  private async release({ account, month }: SealingScope): Promise<void> {
    const scope = scopeName({ account, month });
    let failure: unknown;
    let told = false;
    for (let learnt = false; !learnt && failure === undefined; ) {
      try {
        await Promise.all(this.lanes.map((lane) => lane.learnKey({ account, month })));
        learnt = true;
      } catch (error) {
        // Ten times a second for each account would be all that is in the log.
        if (!told) this.ports.observe(error);
        told = true;
        if (!isPassing(error) || this.ports.closed()) failure = error;
        else await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
    const held = this.keyless.get(scope)!;
    this.keyless.delete(scope);
    if (failure === undefined) this.queue = [...held, ...this.queue];
    else this.leave(held, ({ fail }) => fail(outOfReach(failure)));
    this.runAll();
    this.rest();
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

const isPassing = (error: unknown): boolean =>
  error instanceof StoreUnavailableError || (error instanceof KmsError && error.code === 'DependencyTimeoutException');

const outOfReach = (cause?: unknown): KmsError =>
  new KmsError('DependencyTimeoutException', 'The audit trail cannot be written now; try again.', cause);

const tooMany = (): KmsError =>
  new KmsError('ThrottlingException', 'Too many calls wait for the audit trail; try again.');

const leftOut = (record: AuditRecord, length: number): string =>
  splitRecord({
    ...record,
    requestParameters: { omitted: true, originalSize: length, reason: `longer than ${MAX_SEALED}` },
    responseElements: null,
  }).sealed;
