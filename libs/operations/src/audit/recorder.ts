import type { AuditRecord } from '#audit-log/record';

/** Where records go. A reply may leave once the record of its call has been written. */
export interface Recorder {
  /**
   * Takes a place in the queue for the record of one call, before anything is done for it. To be followed by exactly one
   * `write`. Throws ThrottlingException where no place is left, and DependencyTimeoutException while the trail is out of
   * reach: what cannot be put on record is not begun.
   */
  admit(): void;
  /**
   * Resolves once the record that `make` gives, called once and at once, is durable. Rejects with what `make` throws, and
   * with DependencyTimeoutException where it is not known whether the record is there.
   */
  write(make: () => AuditRecord): Promise<void>;
}
