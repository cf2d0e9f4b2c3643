import { setImmediate } from 'node:timers/promises';
import { decodeBatch, batchHash as hashOf } from '#audit-log/batch';
import type { OpenPart } from '#audit-log/record';
import type { EventStore, StoredCommit } from '#event-store/event-store';
import { eventIdKey, type HistoryEntry, type HistoryStream, type ReadRecord } from '../history/history-entry';
import { type Delivered, type DeliveredTo, TrailFilesError } from './trail-state';

export interface TrailSourcePorts {
  logs: Record<HistoryStream, Pick<EventStore, 'read' | 'lastPosition'>>;
  /** As the event history takes them. */
  entriesOf: Record<HistoryStream, (message: StoredCommit) => HistoryEntry[] | Promise<HistoryEntry[]>>;
  /** Messages of each stream in a piece. */
  pieceMessages?: number;
}

/** What is delivered at once. */
export interface TrailPiece {
  /** In the order of the streams. */
  records: ReadRecord[];
  to: Delivered;
}

const PIECE_MESSAGES = 5_000;
const PIECE_BYTES = 4_000_000;
/** Bytes of messages between which requests get their turn. */
const BYTES_AT_ONCE = 64_000;
/** A record that was stored twice is known by the first one among so many messages before it. */
const WINDOW = 1_000;

/** Both streams in pieces, a pure function of where a piece begins and ends: the same piece read again has the same rows. */
export class TrailSource {
  private recent: RecentRecords | undefined;

  constructor(private readonly ports: TrailSourcePorts) {}

  /**
   * What comes after `from`; with `to`, exactly up to there. Undefined where there is nothing. Throws TrailFilesError where
   * the streams are not those that `from` is of.
   */
  async after(from: Delivered, to?: Record<HistoryStream, number>): Promise<TrailPiece | undefined> {
    const records = await this.messagesAfter('records', from.records, to?.records);
    const changes = await this.messagesAfter('changes', from.changes, to?.changes);
    if (records.length === 0 && changes.length === 0) return undefined;
    const { entriesOf } = this.ports;
    const recent = await this.recentAt(from.records.position);
    // Were the piece broken off, those it had come to would count as delivered when it is read again.
    this.recent = undefined;
    const read: ReadRecord[] = [];
    for await (const message of unhurried(records)) {
      for (const entry of await entriesOf.records(message)) {
        if (recent.isNew(entry.eventId, message.seq)) read.push(recordOf(entry));
      }
    }
    for await (const message of unhurried(changes)) {
      for (const entry of await entriesOf.changes(message)) read.push(recordOf(entry));
    }
    const reached = { records: endOf(records) ?? from.records, changes: endOf(changes) ?? from.changes };
    recent.position = reached.records.position;
    this.recent = recent;
    return { records: read, to: reached };
  }

  private async messagesAfter(
    stream: HistoryStream,
    from: DeliveredTo,
    to: number | undefined,
  ): Promise<StoredCommit[]> {
    const log = this.ports.logs[stream];
    if (to === from.position) return [];
    const { pieceMessages = PIECE_MESSAGES } = this.ports;
    const newest = await log.lastPosition();
    if (newest < (to ?? from.position)) {
      throw new TrailFilesError(
        `the log of ${stream} has no position ${to ?? from.position}: it is another one, or has lost its end`,
      );
    }
    if (newest === from.position) return [];
    const messages: StoredCommit[] = [];
    let bytes = 0;
    for await (const message of log.read(Math.max(1, from.position))) {
      if (message.seq === from.position) {
        if (hashOf(message.bytes) !== from.hash) {
          throw new TrailFilesError(
            `the log of ${stream} has another message at position ${message.seq} than was delivered`,
          );
        }
        continue;
      }
      messages.push({ ...message, bytes: Buffer.from(message.bytes) });
      bytes += message.bytes.length;
      if (to === undefined ? messages.length >= pieceMessages || bytes >= PIECE_BYTES : message.seq >= to) break;
    }
    return messages;
  }

  /** Kept from the piece before; made anew from the stream after a start, or where a piece is read again. */
  private async recentAt(position: number): Promise<RecentRecords> {
    if (this.recent?.position === position) return this.recent;
    const recent = new RecentRecords(position);
    const first = position - WINDOW + 1;
    if (position > 0) {
      for await (const { seq, bytes } of this.ports.logs.records.read(Math.max(1, first))) {
        if (seq > position) break;
        for (const eventId of eventIdsIn(bytes)) recent.isNew(eventId, seq);
      }
    }
    return recent;
  }
}

const recordOf = ({ record }: HistoryEntry): ReadRecord => JSON.parse(record) as ReadRecord;

async function* unhurried(messages: readonly StoredCommit[]): AsyncGenerator<StoredCommit> {
  let bytes = 0;
  for (const message of messages) {
    bytes += message.bytes.length;
    if (bytes >= BYTES_AT_ONCE) {
      bytes = 0;
      await setImmediate();
    }
    yield message;
  }
}

class RecentRecords {
  /** In the order in which they were last stored. */
  private readonly ids = new Map<string, number>();

  constructor(public position: number) {}

  isNew(eventId: string, seq: number): boolean {
    for (const [old, at] of this.ids) {
      if (at > seq - WINDOW) break;
      this.ids.delete(old);
    }
    const isNew = !this.ids.delete(eventId);
    this.ids.set(eventId, seq);
    return isNew;
  }
}

/** None of a batch that cannot be read, of which no record was delivered either. */
function eventIdsIn(bytes: Uint8Array): string[] {
  try {
    return decodeBatch(bytes).open.map((open) => eventIdKey((JSON.parse(open) as OpenPart).eventID));
  } catch {
    return [];
  }
}

function endOf(messages: readonly StoredCommit[]): DeliveredTo | undefined {
  const last = messages.at(-1);
  return last && { position: last.seq, hash: hashOf(last.bytes) };
}
