import type { AuditRecord, OpenPart, SealedPart } from '#audit-log/record';
import type { SeenRecord } from '#audit-log/trail-record';
import { usedIn } from '#audit-log/uses';
import { isAccessDenied } from '#operations/audit/recorded-error';
import type { RecordRow, ResourceRow, UseRow } from './schema';

/** A record as the read model takes it: a row for each account that sees it, and what it is found under. */
export interface HistoryEntry {
  records: RecordRow[];
  resources: (ResourceRow & { event_id: string })[];
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

/** Pure. */
export function historyEntry(record: ReadRecord, place: number): HistoryEntry {
  const time = Math.floor(Date.parse(record.eventTime) / 1000);
  const entry: HistoryEntry = { records: [], resources: [], uses: usesOf(record, time, place) };
  for (const { account, seen } of asEachAccountSees(record)) {
    const { eventID: event_id, awsRegion: region } = seen;
    entry.records.push({
      ...{ event_id, account, region, time, place },
      event_name: indexed(seen.eventName),
      event_source: indexed(seen.eventSource),
      user_name: nullOr(userNameOf(seen)),
      access_key_id: nullOr(seen.userIdentity.accessKeyId),
      read_only: seen.readOnly,
      record: JSON.stringify(seen),
    });
    for (const [kind, values] of Object.entries(namesOf(seen)) as [ResourceRow['kind'], Set<string>][]) {
      for (const value of values) entry.resources.push({ event_id, account, region, kind, value, time, place });
    }
  }
  return entry;
}

/**
 * Pure. Who is told of a record, and what: the caller's account, and the owners of what the call was about. Its lookups and its
 * log files say the same. Unlike AWS's, the records of one call keep one `eventID`, by which it can be proved.
 */
function asEachAccountSees(record: ReadRecord): { account: string; seen: SeenRecord }[] {
  const owners = isAccessDenied(record.errorCode) ? [] : (record.resources ?? []).map(({ accountId }) => accountId);
  const accounts = [...new Set([record.recipientAccountId, ...owners])];
  return accounts.map((account) => ({
    account,
    seen: account === record.recipientAccountId ? record : asTheOwnerSees(record, account),
  }));
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
    request_id: nullOr(record.requestID),
  }));

/** As AWS shows it to the owner of a key: who the caller is by its account and id alone. */
function asTheOwnerSees(record: SeenRecord, owner: string): SeenRecord {
  const { principalId, accountId } = record.userIdentity;
  return {
    ...record,
    userIdentity: { type: 'AWSAccount', ...(principalId && { principalId }), ...(accountId && { accountId }) },
    recipientAccountId: owner,
  };
}

function userNameOf({ userIdentity: { type, userName, principalId } }: ReadRecord): string | undefined {
  if (type === 'Root') return 'root';
  if (type === 'AssumedRole') return principalId?.split(':')[1];
  return userName;
}

function namesOf({ resources = [] }: ReadRecord): Record<ResourceRow['kind'], Set<string>> {
  const name = new Set<string>();
  const type = new Set<string>();
  for (const resource of resources) {
    type.add(indexed(resource.type));
    name.add(indexed(resource.ARN));
    // `...:key/<id>` is found by its id too, `...:alias/<name>` by the alias's whole name.
    const own = resource.ARN.split(':').slice(5).join(':');
    if (own !== '') name.add(indexed(own.startsWith('key/') ? own.slice('key/'.length) : own));
  }
  return { name, type };
}

/** What an index of PostgreSQL can hold. */
const LONGEST_INDEXED = 600;
const indexed = (text: string): string => text.slice(0, LONGEST_INDEXED).replace(/[\0\p{Surrogate}]/gu, '\uFFFD');
const nullOr = (text: string | undefined): string | null => (text === undefined ? null : indexed(text));
