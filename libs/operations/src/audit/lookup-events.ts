import { createHash } from 'node:crypto';
import type { Event, LookupEventsRequest, LookupEventsResponse } from '@aws-sdk/client-cloudtrail';
import type { AuditRecord } from '#audit-log/record';
import { KmsError } from '#domain/errors';
import { authorizeOwn } from '../authorization';
import { audit } from '../operation';
import { takePage } from '../pagination';
import type { Constraint } from '../wire/constraints';
import { Optional } from '../wire/fields';
import type { Wire } from '../wire/wire';
import type { FoundEvent, HistoryAttribute, HistoryPlace, HistoryQuery } from './event-history';

const ATTRIBUTES: readonly HistoryAttribute[] = [
  'EventId',
  'EventName',
  'ReadOnly',
  'Username',
  'ResourceType',
  'ResourceName',
  'EventSource',
  'AccessKeyId',
];
const LOOKUP_ATTRIBUTES = {
  kind: 'structures',
  members: {
    AttributeKey: { constraint: { kind: 'enum', values: ATTRIBUTES }, required: true },
    AttributeValue: { constraint: { kind: 'string', min: 1, max: 2000 }, required: true },
  },
} as const satisfies Constraint;
const TIME = { kind: 'timestamp' } as const satisfies Constraint;
/** The API model has no bound; ours are far shorter. */
const NEXT_TOKEN = { kind: 'string', max: 1024 } as const satisfies Constraint;
const MAX_RESULTS = 50;

class LookupEvents {
  @Optional(LOOKUP_ATTRIBUTES) LookupAttributes?: { AttributeKey: HistoryAttribute; AttributeValue: string }[];
  @Optional(TIME) StartTime?: number;
  @Optional(TIME) EndTime?: number;
  @Optional({ kind: 'string' }) EventCategory?: string;
  @Optional({ kind: 'integer' }) MaxResults?: number;
  @Optional(NEXT_TOKEN) NextToken?: string;
}

/** What the API model says of a request, without what it says of dates. */
type Modelled = Omit<LookupEventsRequest, 'StartTime' | 'EndTime' | 'EventCategory' | 'LookupAttributes'>;

export const lookupEvents = audit<LookupEvents & Modelled, Wire<LookupEventsResponse>>({
  name: 'LookupEvents',
  request: LookupEvents,
  async lookUp(request, call, { history }) {
    authorizeOwn(call, 'cloudtrail:LookupEvents', '*');
    const { MaxResults = MAX_RESULTS, NextToken } = request;
    const asked = askedFor(request, call.caller);
    const after = NextToken === undefined ? undefined : placeOf(NextToken, asked);
    const found = await history.lookUp({ ...asked, limit: MaxResults + 1, ...(after && { after }) });
    const asFits = { list: '', limit: MaxResults, marker: undefined };
    const page = takePage(found.map(entryOf), asFits, ({ position }) => position);
    const last = page.nextMarker === undefined ? undefined : found[page.items.length - 1];
    return {
      Events: page.items.map(({ event }) => event),
      ...(last && { NextToken: tokenOf(last, asked) }),
    };
  },
});

type Asked = Omit<HistoryQuery, 'limit' | 'after'>;

function askedFor(request: LookupEvents, { account, region }: { account: string; region: string }): Asked {
  const { LookupAttributes = [], StartTime, EndTime, EventCategory, MaxResults } = request;
  if (EventCategory !== undefined) {
    throw EventCategory === 'insight'
      ? new KmsError('UnsupportedOperationException', 'Insights events are not kept.')
      : new KmsError('InvalidEventCategoryException', 'EventCategory: expected insight, or none.');
  }
  if (MaxResults !== undefined && (MaxResults < 1 || MaxResults > MAX_RESULTS)) {
    throw new KmsError('InvalidMaxResultsException', `MaxResults: expected a number from 1 to ${MAX_RESULTS}.`);
  }
  if (LookupAttributes.length > 1) {
    throw new KmsError('InvalidLookupAttributesException', 'LookupAttributes: expected one attribute at most.');
  }
  if (StartTime !== undefined && EndTime !== undefined && StartTime > EndTime) {
    throw new KmsError('InvalidTimeRangeException', 'StartTime: expected a time that is not after EndTime.');
  }
  const [attribute] = LookupAttributes;
  return {
    account,
    region,
    ...(attribute && { attribute: { key: attribute.AttributeKey, value: attributeValue(attribute) } }),
    ...(StartTime !== undefined && { from: Math.ceil(StartTime) }),
    ...(EndTime !== undefined && { to: Math.floor(EndTime) }),
  };
}

function attributeValue({ AttributeKey, AttributeValue }: { AttributeKey: string; AttributeValue: string }): string {
  if (AttributeValue.includes('\0')) {
    throw new KmsError('InvalidLookupAttributesException', 'AttributeValue: expected text without NUL.');
  }
  if (AttributeKey === 'ReadOnly' && AttributeValue !== 'true' && AttributeValue !== 'false') {
    throw new KmsError('InvalidLookupAttributesException', 'ReadOnly: expected true or false.');
  }
  return AttributeValue;
}

/** A token goes on where its page ended, and only with the question that it was given out for. */
const tokenOf = ({ time, place }: HistoryPlace, asked: Asked): string =>
  Buffer.from(`v1:${time}:${place}:${questionHash(asked)}`, 'utf8').toString('base64url');

function placeOf(token: string, asked: Asked): HistoryPlace {
  const said = /^v1:(-?\d{1,13}):(\d{1,16}):/.exec(Buffer.from(token, 'base64url').toString('utf8'));
  const place = said && { time: Number(said[1]), place: Number(said[2]) };
  if (!place || !Number.isSafeInteger(place.place) || tokenOf(place, asked) !== token) {
    throw new KmsError('InvalidNextTokenException', 'NextToken: expected one of a reply to the same question.');
  }
  return place;
}

const questionHash = ({ account, region, attribute, from, to }: Asked): string =>
  createHash('sha256')
    .update(JSON.stringify([account, region, attribute?.key, attribute?.value, from, to]))
    .digest('base64url')
    .slice(0, 22);

interface Entry {
  position: string;
  event: Wire<Event>;
}

function entryOf(found: FoundEvent): Entry {
  const { resources = [] } = JSON.parse(found.record) as Pick<AuditRecord, 'resources'>;
  return {
    position: found.eventId,
    event: {
      EventId: found.eventId,
      EventName: found.eventName,
      ReadOnly: String(found.readOnly),
      ...(found.accessKeyId !== null && { AccessKeyId: found.accessKeyId }),
      EventTime: found.time,
      EventSource: found.eventSource,
      ...(found.userName !== null && { Username: found.userName }),
      Resources: resources.map(({ type, ARN }) => ({ ResourceType: type, ResourceName: ARN })),
      CloudTrailEvent: found.record,
    },
  };
}
