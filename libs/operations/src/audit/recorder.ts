import type { AuditRecord } from '#audit-log/record';

/** Where records go. A reply may leave once the record of its call has been written. */
export interface Recorder {
  /**
   * Takes a place in the queue for the record of one call, before anything is done for it. To be followed by exactly one
   * `write`. Throws ThrottlingException where no place is left, and DependencyTimeoutException while the trail is out of
   * reach: what cannot be put on record is not begun.
   */
  admit(): void;
  /** Resolves once the record is durable. Rejects with DependencyTimeoutException where that is not known. */
  write(record: AuditRecord): Promise<void>;
}
