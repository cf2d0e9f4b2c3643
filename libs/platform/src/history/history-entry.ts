import { eventUuid } from '#audit-log/event-uuid';
import type { AuditRecord, OpenPart, SealedPart } from '#audit-log/record';
import { accessKeyTerm, type Kind, kindOf, resourceTerms, type Scope, userTerm } from './terms';

/** A record as the read model takes it, and what it is found under. */
export interface HistoryEntry {
  /** Of the record in its stream: no two records have the same. */
  place: number;
  /** Epoch seconds. */
  time: number;
  /** A UUID, as the record has it or made from what it has. */
  eventId: string;
  /** Each once, of every account that sees the record. */
  terms: string[];
  kinds: Kind[];
  /** JSON without tabs and line ends. */
  record: string;
}

/** A record as far as it can still be read. */
export type ReadRecord = AuditRecord | (OpenPart & Partial<SealedPart>);

/** Which of the two streams a record comes from; records of both are in one order. */
export type HistoryStream = 'records' | 'changes';

const PLACES_A_MESSAGE = 65_536;

/** `index`: of the record in its message, of which none holds as many as there are places. */
export const placeOf = (stream: HistoryStream, position: number, index: number): number =>
  (position * PLACES_A_MESSAGE + Math.min(index, PLACES_A_MESSAGE - 1)) * 2 + (stream === 'records' ? 0 : 1);

/** The position in its stream of the message that the record at a place is from. */
export const positionAt = (place: number): number => Math.floor(place / (PLACES_A_MESSAGE * 2));

/** Pure. Throws for what is no record. `text`: the record as JSON without tabs and line ends. */
export function historyEntry(record: ReadRecord, place: number, text = JSON.stringify(record)): HistoryEntry {
  const time = Math.floor(Date.parse(record.eventTime) / 1000);
  if (!Number.isSafeInteger(time)) throw new TypeError(`eventTime: expected a date, not ${record.eventTime}`);
  const { awsRegion: region, recipientAccountId: recipient, eventName, eventSource, readOnly, resources = [] } = record;
  const types = new Set(resources.map(({ type }) => type));
  const accounts = new Set([recipient, ...resources.map(({ accountId }) => accountId)]);
  const terms = new Set<string>();
  const kinds: Kind[] = [];
  for (const account of accounts) {
    const scope: Scope = { account, region };
    const kind = kindOf(scope, { eventName, eventSource, readOnly, types: [...types] });
    kinds.push(kind);
    terms.add(kind.term);
    for (const { ARN } of resources) for (const name of resourceTerms(scope, ARN)) terms.add(name);
    // Who called is told to its own account only.
    if (account !== recipient) continue;
    const userName = userNameOf(record);
    const { accessKeyId } = record.userIdentity;
    if (userName !== undefined) terms.add(userTerm(scope, userName));
    if (accessKeyId !== undefined) terms.add(accessKeyTerm(scope, accessKeyId));
  }
  const eventId = eventIdKey(record.eventID);
  return { place, time, eventId, terms: [...terms], kinds, record: text };
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What the read model knows a record by: its id, which is a UUID in all that Keytrail writes. */
export const eventIdKey = (eventId: string): string => (UUID.test(eventId) ? eventId : eventUuid(`event ${eventId}`));

export function userNameOf({ userIdentity: { type, userName, principalId } }: ReadRecord): string | undefined {
  if (type === 'Root') return 'root';
  if (type === 'AssumedRole') return principalId?.split(':')[1];
  return userName;
}
