import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StoredCommit } from '#event-store/event-store';
import type { HistoryEntry, HistoryStream } from './history-entry';
import type { FoldedTo, SqlHistory } from './sql-history';

export interface EntryPorts {
  /** Not asked for records where the database takes in messages. */
  entriesOf: Record<HistoryStream, (message: StoredCommit) => HistoryEntry[] | Promise<HistoryEntry[]>>;
  /** Whether something was shredded there, that a model which was begun before may still hold. */
  shreds?(change: StoredCommit): boolean;
}

/** The read model holds what was shredded since it was begun. */
export class ShreddedError extends Error {
  override readonly name = 'ShreddedError';

  constructor(readonly position: number) {
    super(`records were shredded at position ${position} of the event log`);
  }
}

interface MessagesOfOne {
  stream: HistoryStream;
  messages: readonly StoredCommit[];
  history: SqlHistory;
  /** As SqlHistory.begin has told. */
  begun: number;
}

/**
 * What is left to do with the messages, after all that can be done before the ones before them are folded in: nothing where
 * the database takes in messages by itself, else their entries. Rejects with ShreddedError, and as `entriesOf`.
 */
export async function readyToFold(
  ports: EntryPorts,
  { stream, messages, history, begun }: MessagesOfOne,
): Promise<(to: FoldedTo, after: number) => Promise<void>> {
  if (stream === 'records' && history.takesMessages) return (to, after) => history.foldMessages(messages, to, after);
  const { shreds = () => false } = ports;
  const shredding = stream === 'changes' && messages.find((message) => message.seq > begun && shreds(message));
  if (shredding) throw new ShreddedError(shredding.seq);
  const entries = await entriesOf(messages, ports.entriesOf[stream]);
  return (to, after) => history.fold(stream, entries, to, after);
}

/** For how long the making of entries may keep other work waiting. */
const PIECE_MS = 1;

/** In pieces: the process may have calls to answer meanwhile. */
async function entriesOf(
  messages: readonly StoredCommit[],
  entriesIn: (message: StoredCommit) => HistoryEntry[] | Promise<HistoryEntry[]>,
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  let began = performance.now();
  for (const message of messages) {
    entries.push(...(await entriesIn(message)));
    if (performance.now() - began < PIECE_MS) continue;
    await nextTurn();
    began = performance.now();
  }
  return entries;
}
