import { eventUuid } from '#audit-log/event-uuid';
import type { AuditRecord, OpenPart, SealedPart } from '#audit-log/record';
import { usedIn } from '#audit-log/uses';
import type { UseRow } from './schema';
import { accountsThatSee } from './seen-record';
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
  /** What the call used, as of this call. */
  uses: UseRow[];
}

/** A record as far as it can still be read. */
export type ReadRecord = AuditRecord | (OpenPart & Partial<SealedPart>);

/** Which of the two streams a record comes from; records of both are in one order. */
export type HistoryStream = 'records' | 'changes';

const PLACES_A_MESSAGE = 65_536;

/** `index`: of the record in its message, of which none holds as many as there are places. */
export const placeOf = (stream: HistoryStream, position: number, index: number): number =>
  (position * PLACES_A_MESSAGE + Math.min(index, PLACES_A_MESSAGE - 1)) * 2 + (stream === 'records' ? 0 : 1);

/** What placeOf was given. */
export function partsOfPlace(place: number): { stream: HistoryStream; position: number; index: number } {
  const inStream = Math.floor(place / 2);
  return {
    stream: place % 2 === 0 ? 'records' : 'changes',
    position: Math.floor(inStream / PLACES_A_MESSAGE),
    index: inStream % PLACES_A_MESSAGE,
  };
}

/** Pure. Throws for what is no record. `text`: the record as JSON without tabs and line ends. */
export function historyEntry(record: ReadRecord, place: number, text = JSON.stringify(record)): HistoryEntry {
  const time = Math.floor(Date.parse(record.eventTime) / 1000);
  if (!Number.isSafeInteger(time)) throw new TypeError(`eventTime: expected a date, not ${record.eventTime}`);
  const { awsRegion: region, recipientAccountId: recipient, eventName, eventSource, readOnly, resources = [] } = record;
  const types = new Set(resources.map(({ type }) => type));
  const terms = new Set<string>();
  const kinds: Kind[] = [];
  for (const account of accountsThatSee(record)) {
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
  return { place, time, eventId, terms: [...terms], kinds, uses: usesOf(record, time, place), record: text };
}

const usesOf = (record: ReadRecord, time: number, place: number): UseRow[] =>
  usedIn(record).map(({ kind, id }) => ({
    kind,
    id: indexed(id),
    time,
    place,
    event_name: indexed(record.eventName),
    event_source: indexed(record.eventSource),
    region: indexed(record.awsRegion),
    event_id: indexed(record.eventID),
    request_id: record.requestID === undefined ? null : indexed(record.requestID),
  }));

/** What an index of PostgreSQL can hold. */
const LONGEST_INDEXED = 600;
const indexed = (text: string): string => text.slice(0, LONGEST_INDEXED).replace(/[\0\p{Surrogate}]/gu, '\uFFFD');

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What the read model knows a record by: its id, which is a UUID in all that Keytrail writes. */
export const eventIdKey = (eventId: string): string => (UUID.test(eventId) ? eventId : eventUuid(`event ${eventId}`));

export function userNameOf({ userIdentity: { type, userName, principalId } }: ReadRecord): string | undefined {
  if (type === 'Root') return 'root';
  if (type === 'AssumedRole') return principalId?.split(':')[1];
  return userName;
}
