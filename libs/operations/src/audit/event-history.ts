/** The event history: every record, found by what it says. One adapter on each database; one suite runs on both. */
export interface EventHistory {
  /**
   * At most `limit` events, newest first, of all that was on record before it was asked. Rejects with
   * ServiceUnavailableException where that cannot be had in time.
   */
  lookUp(query: HistoryQuery): Promise<FoundEvent[]>;
}

export type HistoryAttribute =
  | 'EventId'
  | 'EventName'
  | 'ReadOnly'
  | 'Username'
  | 'ResourceType'
  | 'ResourceName'
  | 'EventSource'
  | 'AccessKeyId';

export interface HistoryQuery {
  account: string;
  region: string;
  attribute?: { key: HistoryAttribute; value: string };
  /** Whole epoch seconds, both inclusive. */
  from?: number;
  to?: number;
  limit: number;
  /** The last event of the page before. */
  after?: HistoryPlace;
}

/** Where an event is in the history: no two have the same. */
export interface HistoryPlace {
  /** Epoch seconds. */
  time: number;
  /** Orders the events of one second. */
  place: number;
}

export interface FoundEvent extends HistoryPlace {
  eventId: string;
  eventName: string;
  eventSource: string;
  userName: string | null;
  accessKeyId: string | null;
  readOnly: boolean;
  /** The record, as JSON. */
  record: string;
}

/** What digests of trail files are checked with. */
export interface TrailPublicKey {
  /** DER, PKCS #1. */
  value: Uint8Array;
  /** As digests name the key, in hex. */
  fingerprint: string;
  /** Whole epoch seconds of its validity. */
  from: number;
  until: number;
}
