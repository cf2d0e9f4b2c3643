import type { KeyObject } from 'node:crypto';
import type { StoredCommit } from '#event-store/event-store';
import type { SealedScope } from '../recording/sealing-keys';
import type { FoldedTo } from './sql-history';

/** Messages of KMS_AUDIT whose records the thread of the embedded database makes and takes in, as SqlHistory.fold does. */
export interface MessagesToFold {
  messages: readonly StoredCommit[];
  /** As SqlHistory.begin has told. */
  begun: number;
  to: FoldedTo;
  after: number;
}

/** To the thread: without `sql` and `fold`, close the database, and end. */
export type ThreadQuestion =
  | { id: number; sql: string; parameters: readonly unknown[] }
  | { id: number; fold: MessagesToFold }
  | { id: number };

/** From the thread. Number 0 tells that the database is open, or why it is not. */
export type ThreadAnswer =
  | { id: number; rows: unknown[]; affected: number; unreadable?: readonly Unreadable[] }
  | ThreadFailure;

export interface ThreadFailure {
  id: number;
  error: string;
  /** PostgreSQL's; absent where the database itself has died. */
  code: string | undefined;
  /** It was not the database that failed. */
  refused?: true;
}

export interface Unreadable {
  stream: string;
  position: number;
  error: string;
}

/** From the thread, which has no keys of its own and keeps none. */
export interface KeyQuestion {
  asked: number;
  scope: SealedScope;
}

/** `failed`: it cannot be asked for now. */
export interface KeyAnswer {
  asked: number;
  key?: KeyObject;
  failed?: true;
}
