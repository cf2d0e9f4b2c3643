import type { KeyObject } from 'node:crypto';
import { type DecodedBatch, decodeBatch, recordOf, unsealBatch } from '#audit-log/batch';
import type { OpenPart, SealedPart } from '#audit-log/record';
import { KmsError } from '#domain/errors';
import { AUDIT_STREAM } from '#domain/subjects';
import { storedMessage, streamInfo } from '#event-store/jetstream-api';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { RemoteSealingKeys, type SealedScope } from '#platform/recording/sealing-keys';
import { Progress } from './log-reader';
import { CommandError, type Operator } from './operator';

export interface ReadRecord {
  record: OpenPart & Partial<SealedPart>;
  /** Whether its sealed part can be read. */
  whole: boolean;
}

const TIMEOUT_MS = 5_000;
/** Records of one moment are in batches of several writers, which come a little later than it. */
const SLACK_MS = 60_000;
/** From this many batches on, reading takes long enough for a progress bar. */
const MANY_BATCHES = 1_000;

/** The records of a moment and after it, in the order of their stream; those that are made meanwhile are left out. */
export async function* recordsSince(operator: Operator, since: string): AsyncIterable<ReadRecord> {
  const keys = new KnownKeys(new RemoteSealingKeys(operator.nats));
  for await (const bytes of batchesSince(operator, since)) {
    const batch = decodeBatch(bytes);
    const keyOf = await keys.ofBatch(batch);
    for (const stored of unsealBatch(batch, keyOf)) {
      const record = recordOf(stored);
      if (record.eventTime >= since.slice(0, 19)) yield { record, whole: stored.sealed !== undefined };
    }
  }
}

/** The batches that may hold records of a moment and after it, in order; those that are made meanwhile are left out. */
export async function* batchesSince(operator: Operator, since: string): AsyncIterable<Uint8Array> {
  const { first_seq: first, last_seq: last } = (await streamInfo(operator.nats, AUDIT_STREAM, TIMEOUT_MS)).state;
  const from = await firstOf(operator, Date.parse(since) - SLACK_MS, first, last);
  const progress = new Progress(last - from + 1, 'batches of records', MANY_BATCHES);
  try {
    for await (const { seq, bytes } of new JetStreamEventStore(operator.nats, { stream: AUDIT_STREAM }).read(from)) {
      if (seq > last) return;
      yield bytes;
      progress.at(seq - from + 1);
    }
  } finally {
    progress.stop();
  }
}

/** The position from which on records are not before a time: by halves, as they are in its order but for the slack. */
async function firstOf(operator: Operator, ms: number, first: number, last: number): Promise<number> {
  let low = first;
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const message = await storedMessage(operator.nats, AUDIT_STREAM, { seq: middle }, TIMEOUT_MS);
    const open = message && decodeBatch(Buffer.from(message.data ?? '', 'base64')).open[0];
    const time = open === undefined ? 0 : Date.parse((JSON.parse(open) as OpenPart).eventTime);
    if (time < ms) low = middle + 1;
    else high = middle;
  }
  return Math.max(low, 1);
}

/** Each writer's key of an account and month is asked for once. */
class KnownKeys {
  private readonly known = new Map<string, KeyObject | undefined>();

  constructor(private readonly source: RemoteSealingKeys) {}

  async ofBatch({ head: { writer }, parts }: DecodedBatch): Promise<(scope: SealedScope) => KeyObject | undefined> {
    for (const { account, month, generation = 1 } of parts) {
      const scope = { account, month, generation, writer };
      if (!this.known.has(nameOf(scope))) this.known.set(nameOf(scope), await this.ask(scope));
    }
    return (scope) => this.known.get(nameOf(scope));
  }

  private async ask(scope: SealedScope): Promise<KeyObject | undefined> {
    try {
      return await this.source.toUnseal(scope);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      throw new CommandError(
        `no crypto-worker gives the keys of the records (${error.message}): see ./keytrail status, and start Keytrail with npm start`,
      );
    }
  }
}

const nameOf = ({ account, month, generation, writer }: SealedScope): string =>
  `${account} ${month} ${generation} ${writer}`;
