import type { UsedKind } from '#audit-log/uses';

/** The newest call on record that used something. */
export interface LastUse {
  /** Epoch seconds. */
  time: number;
  eventName: string;
  /** `kms.amazonaws.com` */
  eventSource: string;
  /** Of the call. */
  region: string;
  eventId: string;
  requestId: string | null;
}

/** What is on record of the use of one thing. */
export interface KnownUse {
  last?: LastUse;
  /** Time of the oldest record, in epoch seconds; absent where there is none. */
  trackedSince?: number;
}

/** When things were last used, as the records say. In the process that folds them, and by a request to it. */
export interface LastUses {
  /**
   * By all that was on record before it was asked. Rejects with DependencyTimeoutException where that cannot be had in time,
   * with UnsupportedOperationException where no records are kept.
   */
  lastUse(kind: UsedKind, id: string): Promise<KnownUse>;
}
