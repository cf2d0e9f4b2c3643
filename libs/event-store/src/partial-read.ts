import { type Consumer, type NatsConnection, NatsError } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { type StoredCommit, StoreUnavailableError } from './event-store';
import { streamInfo } from './jetstream-api';
import { missingPosition } from './log-damage';

const TIMEOUT_MS = 5_000;
const ENDURED_MS = 15_000;
/** Commits that the server sends ahead. */
const AHEAD = 1_000;

/** What a part of the log is read with. */
export interface PartialRead {
  /** Position of the newest commit of the whole log when it was begun. */
  end: number;
  /** How many match, as far as the server knows. */
  count: number;
  commits: AsyncIterable<StoredCommit>;
}

/**
 * The commits on the subjects that match, in order: the server finds them by its own index, and reads nothing else. That
 * none is missing cannot be seen from the positions; it is asked of the stream as a whole. Rejects with LogDamagedError
 * where a position of the log is empty, StoreUnavailableError where the server does not answer in time.
 */
export async function readPart(nc: NatsConnection, subjects: readonly string[]): Promise<PartialRead> {
  const { state } = await streamInfo(nc, EVENTS_STREAM, TIMEOUT_MS);
  const { first_seq: first, last_seq: end, messages } = state;
  if (end > 0 && first > 1) throw missingPosition(EVENTS_STREAM, 1);
  if (messages !== end) throw missingPosition(EVENTS_STREAM, first + messages);
  const consumer = await withStoreErrors(async () => {
    return nc.jetstream().consumers.get(EVENTS_STREAM, { filterSubjects: [...subjects] });
  });
  const count = (await withStoreErrors(() => consumer.info())).num_pending;
  return { end, count, commits: arriving(consumer, count, end) };
}

async function* arriving(consumer: Consumer, count: number, end: number): AsyncIterable<StoredCommit> {
  if (count === 0) return;
  const messages = await withStoreErrors(() => consumer.consume({ max_messages: AHEAD }));
  try {
    const iterator = messages[Symbol.asyncIterator]();
    for (let left = count; left > 0; ) {
      const { value: message } = await withStoreErrors(() => inTime(iterator.next()));
      if (!message || message.seq > end) return;
      const { seq, subject, data, info } = message;
      left = info.pending;
      yield { seq, subject, bytes: data };
    }
  } finally {
    messages.stop();
  }
}

async function withStoreErrors<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof NatsError)) throw error;
    throw new StoreUnavailableError(`the event log cannot be read: ${error.message}`, { cause: error });
  }
}

/** The client asks again by itself; it is given up when nothing comes for long. */
async function inTime<T>(next: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreUnavailableError('the event log did not answer in time')), ENDURED_MS);
  });
  try {
    return await Promise.race([next, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
