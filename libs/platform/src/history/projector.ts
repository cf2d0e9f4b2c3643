import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { batchHash as hashOf } from '#audit-log/batch';
import type { UsedKind } from '#audit-log/uses';
import { KmsError } from '#domain/errors';
import type { EventStore, StoredCommit } from '#event-store/event-store';
import type { EventHistory, FoundEvent, HistoryQuery } from '#operations/audit/event-history';
import type { KnownUse, LastUses } from '#operations/usage/last-uses';
import { settledWithin } from '../bounded-wait';
import type { FailPoint } from '../fail-points';
import { FoldProgress } from './fold-progress';
import type { HistoryDatabase } from './history-database';
import type { HistoryStream } from './history-entry';
import { PGliteError } from './pglite-pool';
import { type EntryPorts, readyToFold, ShreddedError } from './ready-to-fold';
import type { FoldedTo, SqlHistory } from './sql-history';
import { chunksOf } from './stream-source';
import { UnhurriedWait } from './unhurried-wait';

export type HistoryLog = Pick<EventStore, 'read' | 'follow' | 'lastPosition'>;

export interface ProjectorPorts extends EntryPorts {
  database: HistoryDatabase;
  logs: Record<HistoryStream, HistoryLog>;
  /** The position of the event log that this process has heard of, once that is at least so far. Default 0. */
  known?(atLeast: number): Promise<number>;
  log: Logger;
  /** Epoch seconds: what is older is not shown, nor kept. Absent for all. */
  horizon?: () => number;
  failPoint?: FailPoint;
  /** For how long records gather that nobody waits for, in ms. Default 0. */
  gatherMs?: number;
  /** Whether other work is in want of what folding takes. Default never. */
  shouldGiveWay?(): boolean;
  /** Between two tries, in ms. Default 1 s. */
  retryMs?: number;
  /** How long a lookup waits for what it must see, in ms. Default 25 s. */
  patienceMs?: number;
}

const STREAMS = ['records', 'changes'] as const;
const RETRY_MS = 1_000;
/** Less than what a gateway waits for a reply; an embedded database takes up to 15 s to be made on a busy machine. */
const PATIENCE_MS = 25_000;
const SHOWN_EVERY_MS = 5_000;
const STOP_WAIT_MS = 3_000;
const FORGET_EVERY_MS = 3_600_000;
/** Where it gives way, it folds for a tenth of the time. */
const PAUSES_A_FOLD = 9;
/** One that took long had to wait itself. */
const LONGEST_PAUSE_MS = 3_000;
/** Lookups that may wait or run at once. */
const MAX_LOOKUPS = 200;
/** An embedded database that has died so often over the same is not trusted any more. */
const MAX_DEATHS = 3;
/** SQLSTATE of what PostgreSQL finds damaged: classes XX (internal, corrupted), 58 (files) and 42 (missing tables). */
const DAMAGE = /^(XX|58|42)/;

/** The read model is not the fold of this log. */
class OtherLogError extends Error {
  override readonly name = 'OtherLogError';
}

/**
 * Folds both streams into the read model for as long as the process runs, and answers lookups from it. What fails is tried
 * again from the position that was committed last; a model that is damaged, is of another log, or holds what was shredded
 * since, is built anew.
 */
export class Projector implements EventHistory, LastUses {
  private readonly progress = new FoldProgress((stream) => this.unhurried[stream].cutShort());
  private readonly unhurried = {
    records: new UnhurriedWait(() => this.progress.isAwaited('records')),
    changes: new UnhurriedWait(() => true),
  };
  private readonly stopping = new AbortController();
  private history: SqlHistory | undefined;
  private running: Promise<void> | undefined;
  private deaths = 0;
  private lookups = 0;
  private forgottenAt: number | undefined;
  private damage: Error | undefined;
  /** What a model that is begun now must know of. */
  private mustKnow = 0;
  private failing: string | undefined = 'has not started yet';
  private round = new AbortController();
  private readonly wanted = new AbortController();

  constructor(private readonly ports: ProjectorPorts) {}

  /** Begins after so many ms, or with the first lookup if that comes before, and does not wait for anything. */
  start(afterMs = 0): void {
    const begun = AbortSignal.any([this.stopping.signal, this.wanted.signal]);
    this.running ??= pause(afterMs, undefined, { signal: begun })
      .catch(() => {})
      .then(() => this.run());
  }

  /** What takes long to open is not waited for: whatever state a crash leaves it in, the log is the truth. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.round.abort();
    if (this.running) await settledWithin(STOP_WAIT_MS, this.running);
  }

  /** Why lookups cannot be answered now. */
  get problem(): string | undefined {
    return this.failing;
  }

  positionOf(stream: HistoryStream): number {
    return this.progress.of(stream);
  }

  /** Messages of the stream that are not folded in. */
  async lagOf(stream: HistoryStream): Promise<number> {
    return Math.max(0, (await this.ports.logs[stream].lastPosition()) - this.progress.of(stream));
  }

  lookUp(query: HistoryQuery): Promise<FoundEvent[]> {
    const from = Math.max(query.from ?? Number.NEGATIVE_INFINITY, this.ports.horizon?.() ?? Number.NEGATIVE_INFINITY);
    return this.answered(STREAMS, (history) => history.find(Number.isFinite(from) ? { ...query, from } : query));
  }

  async lastUse(kind: UsedKind, id: string): Promise<KnownUse> {
    try {
      return await this.answered(['records'], (history) => history.lastUse(kind, id));
    } catch (error) {
      if (!(error instanceof KmsError) || error.code !== 'ServiceUnavailableException') throw error;
      throw new KmsError('DependencyTimeoutException', `The last use cannot be told now: ${error.message}`, error);
    }
  }

  /** As SqlHistory has it. Rejects as lookUp does. */
  placeOf(eventId: string): Promise<number | undefined> {
    return this.answered(['records'], (history) => history.placeOf(eventId));
  }

  /** What the model says once it holds all that was in the streams when it was asked. */
  private async answered<T>(streams: readonly HistoryStream[], read: (history: SqlHistory) => Promise<T>): Promise<T> {
    if (this.lookups >= MAX_LOOKUPS) {
      throw new KmsError('ThrottlingException', 'Too many lookups of the event history at once; try again.');
    }
    this.lookups++;
    this.wanted.abort();
    try {
      await this.caughtUp(streams);
      if (!this.history) throw unavailable('is being opened');
      return await read(this.history);
    } catch (error) {
      if (error instanceof KmsError) throw error;
      this.suspect(error as Error);
      throw unavailable('cannot be read now', error);
    } finally {
      this.lookups--;
    }
  }

  /** Resolves once all that was in the streams when it was asked is folded in. */
  private async caughtUp(streams: readonly HistoryStream[]): Promise<void> {
    const newest = await Promise.all(streams.map((stream) => this.ports.logs[stream].lastPosition())).catch((error) => {
      throw unavailable('cannot be compared with the log now', error);
    });
    const waits = streams.map((stream, at) => this.progress.until(stream, newest[at]!));
    const all = Promise.all(waits.map(({ reached }) => reached));
    const reached = await settledWithin(this.ports.patienceMs ?? PATIENCE_MS, all);
    for (const wait of waits) wait.giveUp();
    if (!reached) throw unavailable(this.failing ?? 'has not caught up with the log yet');
  }

  private async run(): Promise<void> {
    const { log, retryMs = RETRY_MS } = this.ports;
    while (!this.stopping.signal.aborted) {
      this.round = new AbortController();
      try {
        await this.fold();
      } catch (error) {
        if (this.stopping.signal.aborted) break;
        if (error instanceof ShreddedError) {
          log.info(`the event history is made anew: ${error.message}`);
          this.mustKnow = error.position;
          await this.close(error);
          continue;
        }
        this.failing = `fails: ${(error as Error).message}`;
        log.error({ err: error }, 'the event history cannot be brought up to date; trying again');
        await this.close(error as Error);
        await pause(retryMs, undefined, { signal: this.stopping.signal }).catch(() => {});
      }
    }
    await this.history?.close().catch((error: unknown) => log.warn({ err: error }, 'the event history did not close'));
    this.history = undefined;
    this.progress.close();
  }

  /** Until it fails, or is stopped. */
  private async fold(): Promise<void> {
    const { round } = this;
    this.damage = undefined;
    if (this.stopping.signal.aborted) return;
    this.history = await this.ports.database.open();
    this.progress.isOpen = true;
    const { history } = this;
    const begun = await history.begin((await this.ports.known?.(this.mustKnow)) ?? 0);
    const folds = STREAMS.map((stream) => this.foldStream(stream, history, begun, round.signal));
    try {
      await Promise.race([Promise.all(folds), this.untilDamaged(round.signal)]);
    } finally {
      round.abort();
      await Promise.allSettled(folds);
    }
  }

  private async foldStream(
    stream: HistoryStream,
    history: SqlHistory,
    begun: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { logs, failPoint = () => {}, shouldGiveWay = () => false } = this.ports;
    const folded = await history.foldedTo(stream);
    const newest = await logs[stream].lastPosition();
    if (folded && folded.position > newest) throw new OtherLogError(`the log has no position ${folded.position}`);
    this.advance(stream, folded?.position ?? 0);
    const show = this.showingUntil(stream, newest);
    const from = folded?.position ?? 1;
    let after = folded?.position ?? 0;
    const unhurried = this.unhurried[stream];
    const gathering = {
      whole: () => unhurried.for(this.ports.gatherMs ?? 0, signal),
      cutShort: () => unhurried.cutShort(),
    };
    // What comes next is read and unsealed while the database takes in what was before.
    let folding: Promise<void> = Promise.resolve();
    try {
      for await (const chunk of chunksOf(logs[stream], from, signal, gathering)) {
        const fresh = folded && chunk[0]!.seq === folded.position ? withoutFirst(chunk, folded) : chunk;
        const last = fresh.at(-1);
        if (!last) continue;
        const fold = await readyToFold(this.ports, { stream, messages: fresh, history, begun });
        await folding;
        await this.forget(history);
        failPoint(`before-fold:${stream}`);
        const to = { position: last.seq, hash: hashOf(last.bytes) };
        const begunAt = performance.now();
        folding = fold(to, after).then(() => {
          failPoint(`after-fold:${stream}`);
          this.deaths = 0;
          this.advance(stream, to.position);
          show(to.position);
          if (shouldGiveWay()) return unhurried.for(pauseAfter(performance.now() - begunAt), signal);
        });
        // The next chunk may be long in coming.
        folding.catch((error: Error) => this.suspect(error));
        after = to.position;
      }
    } finally {
      await folding;
    }
  }

  /** Once an hour at most, as records come: what is not shown any more is in nobody's way until then. */
  private async forget(history: SqlHistory): Promise<void> {
    const { horizon } = this.ports;
    const forgotten = this.forgottenAt;
    if (!horizon || (forgotten !== undefined && performance.now() - forgotten < FORGET_EVERY_MS)) return;
    this.forgottenAt = performance.now();
    await history.forgetBefore(horizon());
  }

  private advance(stream: HistoryStream, position: number): void {
    this.failing = undefined;
    this.progress.advance(stream, position);
  }

  private showingUntil(stream: HistoryStream, newest: number): (position: number) => void {
    let shownAt = performance.now();
    return (position) => {
      if (performance.now() - shownAt < SHOWN_EVERY_MS || position > newest) return;
      shownAt = performance.now();
      this.ports.log.info({ stream, position, newest }, 'the event history is being built');
    };
  }

  /** A lookup or a fold met something that only a new start, or a new model, helps against. */
  private suspect(error: Error): void {
    this.damage ??= error;
    this.round.abort();
  }

  private untilDamaged(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        const { damage } = this;
        this.damage = undefined;
        if (damage) reject(damage);
        else resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  }

  private async close(error: Error & { code?: string }): Promise<void> {
    const { history } = this;
    this.history = undefined;
    this.progress.close();
    if (!history) return;
    if (error instanceof PGliteError && error.code === undefined) this.deaths++;
    const damaged =
      error instanceof OtherLogError ||
      error instanceof ShreddedError ||
      DAMAGE.test(error.code ?? '') ||
      this.deaths >= MAX_DEATHS;
    try {
      if (!damaged) return await history.close();
      if (!(error instanceof ShreddedError))
        this.ports.log.warn({ err: error }, 'the event history is made anew from the log');
      await this.ports.database.discard(history);
      this.deaths = 0;
    } catch (failure) {
      this.ports.log.warn({ err: failure }, 'the database of the event history could not be closed');
    }
  }
}

const pauseAfter = (foldMs: number): number => Math.min(foldMs * PAUSES_A_FOLD, LONGEST_PAUSE_MS);

/** The first is the one that was folded in last: another one there means that it was another log. */
function withoutFirst([first, ...rest]: StoredCommit[], { position, hash }: FoldedTo): StoredCommit[] {
  if (hashOf(first!.bytes) !== hash) throw new OtherLogError(`the log has another message at position ${position}`);
  return rest;
}

const unavailable = (why: string, cause?: unknown): KmsError =>
  new KmsError('ServiceUnavailableException', `The event history ${why}; try again.`, cause);
