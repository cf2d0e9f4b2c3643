import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import {
  type BatchEntry,
  batchHash,
  encodeBatch,
  NO_BATCH,
  type SealingKey,
  type SealingScope,
} from '#audit-log/batch';
import { recordSubject } from '#domain/subjects';
import { type AppendRequest, StoreUnavailableError } from '#event-store/event-store';
import { elapsedTime } from '../elapsed-time';
import { SEALING_KEY_MS } from './sealing-keys';

export interface RecordLanePorts {
  /** Appends to KMS_AUDIT, as EventStore has it. */
  append(request: AppendRequest): Promise<number>;
  /** The key that this writer seals records of the scope with: remembered for as long as it is good. */
  sealingKey(scope: SealingScope & { writer: string }): SealingKey | Promise<SealingKey>;
  /** Whether the connection to the log is gone for good. */
  closed(): boolean;
  observe(error: unknown): void;
  /** Told of every batch that is durable: its records, and how long it took in seconds. */
  stored?(records: number, seconds: number): void;
}

const KEYS_REMEMBERED = 5_000;

interface LearntKey {
  key: SealingKey;
  /** Until when it is good, by `elapsed` of the lane. */
  until: number;
}

export const scopeName = ({ account, month }: SealingScope): string => `${account} ${month}`;

/** One writer: at most one batch is under way, and the next is made once that one is stored. */
export class RecordLane {
  private writer = randomUUID();
  private batch = 0;
  private position = 0;
  private prev = NO_BATCH;
  private since = 0;
  private readonly keys = new LRUCache<string, LearntKey>({ max: KEYS_REMEMBERED });
  /** A key that was shredded while this machine slept is not good any more. */
  private readonly elapsed = elapsedTime();
  busy = false;

  constructor(private readonly ports: RecordLanePorts) {}

  /** Ms since it began with a batch that it has not stored yet; 0 where it has none. */
  stuckFor(): number {
    return this.busy ? performance.now() - this.since : 0;
  }

  /** `scope`: of scopeName. */
  hasKey(scope: string): boolean {
    const learnt = this.keys.get(scope);
    return learnt !== undefined && this.elapsed() < learnt.until;
  }

  /** Whether it has ever had one, good still or not. `scope`: of scopeName. */
  hasHadKey(scope: string): boolean {
    return this.keys.has(scope);
  }

  /** Asks for the key of a scope. Rejects where nobody gives it. */
  async learnKey(scope: SealingScope): Promise<void> {
    const name = scopeName(scope);
    if (this.hasKey(name)) return;
    const { writer } = this;
    const until = this.elapsed() + SEALING_KEY_MS;
    const key = await this.ports.sealingKey({ ...scope, writer });
    if (writer === this.writer) this.keys.set(name, { key, until });
  }

  /** The keys of all their scopes must be there. */
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
    this.keys.clear();
  }

  private async append(entries: readonly BatchEntry[]): Promise<void> {
    const batch = this.batch + 1;
    const head = { writer: this.writer, batch, prev: this.prev };
    const bytes = encodeBatch(head, entries, (scope) => this.keys.get(scopeName(scope))!.key);
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
