import { createInbox, type Msg, type NatsConnection, type Subscription } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { type StoredCommit, StoreUnavailableError } from './event-store';
import { jetStreamRequest, storedMessage, streamInfo } from './jetstream-api';
import { JetStreamEventStore } from './jetstream-event-store';
import { missingPosition } from './log-damage';
import { inboxPrefixOf, positions } from './ordered-delivery';
import { subjectMatcher } from './subject-filter';

const TIMEOUT_MS = 5_000;
const HEARTBEAT_MS = 2_000;
/** How long a consumer may say nothing before another is made. */
const SILENCE_MS = 2.5 * HEARTBEAT_MS;
const NS_PER_MS = 1_000_000;
/** Heartbeats in a row with which a consumer may say that it has nothing, although it must. */
const IDLE_HEARTBEATS = 3;
/** Consumers in a row that may bring nothing. */
const TRIES = 4;
/**
 * Where one commit in so many matches, reading all of them and leaving out the others is faster: nats-server 2.10 looks for the
 * next match among all subjects of a block, some 2 ms each where there are a thousand (docs/performance.md).
 */
const DENSE = 50;

/** What a part of the log is read with. */
export interface PartialRead {
  /** Position of the newest commit of the whole log when it was begun. */
  end: number;
  /** How many commits match. */
  count: number;
  commits: AsyncIterable<StoredCommit>;
}

/**
 * The commits on the subjects that match, in order: where they are few, the server finds them by its own index, and reads nothing
 * else. That none is missing cannot be seen from the positions; it is asked of the stream as a whole. Rejects with
 * LogDamagedError where a position of the log is empty, StoreUnavailableError where the server does not answer in time.
 */
export async function readPart(
  nc: NatsConnection,
  subjects: readonly string[],
  { dense = DENSE }: { dense?: number } = {},
): Promise<PartialRead> {
  const { state } = await streamInfo(nc, EVENTS_STREAM, TIMEOUT_MS);
  const { first_seq: first, last_seq: end, messages } = state;
  if (end > 0 && first > 1) throw missingPosition(EVENTS_STREAM, 1);
  if (messages !== end) throw missingPosition(EVENTS_STREAM, first + messages);
  const last = await lastOn(nc, subjects);
  const consumer = await createConsumer(nc, subjects, 1);
  const { count } = consumer;
  const until = Math.min(last, end);
  if (count * dense <= end) return { end, count, commits: arriving(nc, subjects, consumer, until) };
  consumer.subscription.unsubscribe();
  return { end, count, commits: sifted(nc, subjects, until) };
}

/** Out of the whole log, up to a position. */
async function* sifted(nc: NatsConnection, subjects: readonly string[], until: number): AsyncIterable<StoredCommit> {
  const matchers = subjects.map(subjectMatcher);
  for await (const commit of new JetStreamEventStore(nc).read(1)) {
    if (commit.seq > until) return;
    if (matchers.some((matches) => matches(commit.subject))) yield commit;
    if (commit.seq === until) return;
  }
}

/** Position of the newest commit on the subjects, by the stream's leader: a replica that lags may deliver less. */
async function lastOn(nc: NatsConnection, subjects: readonly string[]): Promise<number> {
  const newest = await Promise.all(
    subjects.map((subject) => storedMessage(nc, EVENTS_STREAM, { last_by_subj: subject }, TIMEOUT_MS)),
  );
  return Math.max(0, ...newest.map((message) => message?.seq ?? 0));
}

interface Consumer {
  subscription: Subscription;
  /** What matched when it was made, where it was made. */
  count: number;
}

/** Push, with flow control: what is not read here, the server holds back. It removes the consumer when nobody listens. */
async function createConsumer(nc: NatsConnection, subjects: readonly string[], from: number): Promise<Consumer> {
  const inbox = createInbox(inboxPrefixOf(nc));
  const name = inbox.slice(inbox.lastIndexOf('.') + 1);
  const subscription = nc.subscribe(inbox);
  const config = {
    name,
    filter_subjects: subjects,
    deliver_subject: inbox,
    deliver_policy: 'by_start_sequence',
    opt_start_seq: from,
    ack_policy: 'none',
    mem_storage: true,
    num_replicas: 1,
    flow_control: true,
    idle_heartbeat: HEARTBEAT_MS * NS_PER_MS,
  };
  try {
    const made = await jetStreamRequest<{ num_pending: number; delivered: { consumer_seq: number } }>(
      nc,
      `$JS.API.CONSUMER.CREATE.${EVENTS_STREAM}.${name}`,
      JSON.stringify({ stream_name: EVENTS_STREAM, config }),
      { timeoutMs: TIMEOUT_MS },
    );
    // Some of it may be on its way already when the server counts.
    return { subscription, count: made.num_pending + made.delivered.consumer_seq };
  } catch (error) {
    subscription.unsubscribe();
    throw error;
  }
}

async function* arriving(
  nc: NatsConnection,
  subjects: readonly string[],
  first: Consumer,
  until: number,
): AsyncIterable<StoredCommit> {
  let consumer = first;
  let next = 1;
  try {
    for (let tries = 0; next <= until; tries++) {
      // Nothing came, or something was lost: another consumer begins at exactly the position that is next.
      if (tries > TRIES) throw new StoreUnavailableError('the event log did not answer in time');
      if (tries > 0) consumer = await createConsumer(nc, subjects, next);
      for await (const commit of ofConsumer(consumer)) {
        if (commit.seq > until) return;
        tries = 0;
        next = commit.seq + 1;
        yield commit;
        if (next > until) return;
      }
    }
  } finally {
    consumer.subscription.unsubscribe();
  }
}

/** Ends once the consumer is silent, or has lost something. */
async function* ofConsumer({ subscription }: Consumer): AsyncIterable<StoredCommit> {
  const messages = subscription[Symbol.asyncIterator]();
  let delivered = 0;
  let idle = 0;
  try {
    for (;;) {
      const message = await inTime(messages.next());
      if (!message) return;
      if (!message.reply?.startsWith('$JS.ACK.')) {
        const sent = message.headers?.get('Nats-Last-Consumer');
        if (message.reply) message.respond();
        else if (++idle > IDLE_HEARTBEATS || (sent && Number(sent) !== delivered)) return;
        continue;
      }
      const { streamSeq: seq, consumerSeq } = positions(message.reply);
      if (consumerSeq !== ++delivered) return;
      idle = 0;
      yield { seq, subject: message.subject, bytes: message.data };
    }
  } finally {
    subscription.unsubscribe();
  }
}

async function inTime(next: Promise<IteratorResult<Msg>>): Promise<Msg | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), SILENCE_MS);
  });
  try {
    const result = await Promise.race([next, silence]);
    return result?.done ? undefined : result?.value;
  } finally {
    clearTimeout(timer);
  }
}
