import type { EventStore, StoredCommit } from '#event-store/event-store';

export type SourceLog = Pick<EventStore, 'read' | 'follow'>;

/** Lets what comes gather. */
export interface Gathering {
  /** Resolves once that has lasted long enough. */
  whole(): Promise<void>;
  /** Has `whole` resolve now. */
  cutShort(): void;
}

/** What is folded in at once: one transaction of the read model. */
const CHUNK_MESSAGES = 256;
const CHUNK_BYTES = 2_000_000;
/** Messages kept for a fold that is slower than the log grows; beyond them the log is read in bulk again. */
const MAX_KEPT = 2_000;

/**
 * A stream's messages from `from` on, in order, for ever: in chunks as large as what there is. Reads in bulk until it has
 * caught up, then follows, and lets what comes gather. Ends when `signal` is aborted; throws what the log cannot get over.
 */
export async function* chunksOf(
  log: SourceLog,
  from: number,
  signal: AbortSignal,
  gathering?: Gathering,
): AsyncGenerator<StoredCommit[]> {
  let next = from;
  while (!signal.aborted) {
    for await (const chunk of inChunks(log.read(next), signal)) {
      next = chunk.at(-1)!.seq + 1;
      yield chunk;
    }
    if (signal.aborted) return;
    for await (const chunk of followed(log, next, signal, gathering)) {
      next = chunk.at(-1)!.seq + 1;
      yield chunk;
    }
  }
}

async function* inChunks(messages: AsyncIterable<StoredCommit>, signal: AbortSignal): AsyncGenerator<StoredCommit[]> {
  let chunk: StoredCommit[] = [];
  let bytes = 0;
  for await (const message of messages) {
    if (signal.aborted) return;
    chunk.push(message);
    bytes += message.bytes.length;
    if (chunk.length < CHUNK_MESSAGES && bytes < CHUNK_BYTES) continue;
    yield chunk;
    chunk = [];
    bytes = 0;
  }
  if (chunk.length > 0) yield chunk;
}

/** Until more has arrived than is kept. */
async function* followed(
  log: SourceLog,
  from: number,
  signal: AbortSignal,
  gathering?: Gathering,
): AsyncGenerator<StoredCommit[]> {
  let kept: StoredCommit[] = [];
  let overflown = false;
  let failure: Error | undefined;
  let wake = (): void => {};
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  const following = await log.follow(from, {
    onCommit: (message) => {
      if (kept.length < MAX_KEPT && !overflown) kept.push(message);
      else overflown = true;
      if (kept.length >= CHUNK_MESSAGES) gathering?.cutShort();
      wake();
    },
    onError: (error) => {
      failure = error;
      wake();
    },
  });
  try {
    while (!signal.aborted) {
      if (kept.length > 0) {
        if (kept.length < CHUNK_MESSAGES) await gathering?.whole();
        const taken = kept;
        kept = [];
        for await (const chunk of inChunks(iterated(taken), signal)) yield chunk;
      } else if (failure) throw failure;
      else if (overflown) return;
      else {
        await new Promise<void>((resume) => {
          wake = resume;
        });
      }
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    await following.stop();
  }
}

async function* iterated<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
