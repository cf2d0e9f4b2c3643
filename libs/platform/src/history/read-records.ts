import type { KeyObject } from 'node:crypto';
import {
  AuditFormatError,
  type DecodedBatch,
  decodeBatch,
  recordText,
  type StoredRecord,
  unsealBatch,
} from '#audit-log/batch';
import { serviceEventsOf } from '#audit-log/service-events';
import { decodeCommit } from '#domain/commit-codec';
import type { StoredCommit } from '#event-store/event-store';
import type { SealedScope } from '../recording/sealing-keys';
import { type HistoryEntry, historyEntry, placeOf, type ReadRecord } from './history-entry';
import type { KeysToUnseal } from './remembered-keys';

/** Told of what cannot be read: the history goes on without it, and `keytrail verify` says what is wrong with it. */
export type UnreadableObserver = (stream: string, position: number, error: Error) => void;

/** Makes entries of the history out of the messages of KMS_AUDIT. */
export class RecordReader {
  constructor(
    private readonly keys: KeysToUnseal,
    private readonly unreadable: UnreadableObserver,
  ) {}

  /** Rejects where the keys cannot be asked for now. */
  async entriesOf({ seq, bytes }: StoredCommit): Promise<HistoryEntry[]> {
    let batch: DecodedBatch;
    try {
      batch = decodeBatch(bytes);
    } catch (error) {
      if (!(error instanceof AuditFormatError)) throw error;
      this.unreadable('records', seq, error);
      return [];
    }
    const keys = new Map<string, KeyObject | undefined>();
    for (const { account, month, generation = 1 } of batch.parts) {
      const scope: SealedScope = { account, month, generation, writer: batch.head.writer };
      keys.set(`${account} ${month}`, await this.keys.toUnseal(scope));
    }
    const stored = this.unsealed(batch, seq, ({ account, month }) => keys.get(`${account} ${month}`));
    return stored.flatMap((one, index) => {
      try {
        const text = recordText(one);
        return [historyEntry(JSON.parse(text) as ReadRecord, placeOf('records', seq, index), text)];
      } catch (error) {
        this.unreadable('records', seq, error as Error);
        return [];
      }
    });
  }

  /** What was altered in the sealed parts is not shown; the open parts are. */
  private unsealed(
    batch: DecodedBatch,
    seq: number,
    keyOf: (scope: SealedScope) => KeyObject | undefined,
  ): StoredRecord[] {
    try {
      return unsealBatch(batch, keyOf);
    } catch (error) {
      if (!(error instanceof AuditFormatError)) throw error;
      this.unreadable('records', seq, error);
      return batch.open.map((open) => ({ open, sealed: undefined }));
    }
  }
}

/** The entries of what services did by themselves, out of a message of KMS_EVENTS. */
export function changeEntries({ seq, subject, bytes }: StoredCommit, unreadable: UnreadableObserver): HistoryEntry[] {
  try {
    const records: ReadRecord[] = serviceEventsOf(decodeCommit(subject, bytes));
    return records.map((record, index) => historyEntry(record, placeOf('changes', seq, index)));
  } catch (error) {
    unreadable('changes', seq, error as Error);
    return [];
  }
}
