import type { OpenPart, SealedPart } from './record';

/** A record as an account sees it, as far as it can still be read. */
export type SeenRecord = OpenPart & Partial<SealedPart>;

/**
 * What a record has in a log file, in the order of the published examples; nothing else that Keytrail keeps of a call. Source:
 * AWS CloudTrail User Guide, "CloudTrail record contents".
 */
const FIELDS = [
  'eventVersion',
  'userIdentity',
  'eventTime',
  'eventSource',
  'eventName',
  'awsRegion',
  'sourceIPAddress',
  'userAgent',
  'errorCode',
  'errorMessage',
  'requestParameters',
  'responseElements',
  'additionalEventData',
  'requestID',
  'eventID',
  'readOnly',
  'resources',
  'eventType',
  'managementEvent',
  'recipientAccountId',
  'sharedEventID',
  'serviceEventDetails',
  'eventCategory',
  'tlsDetails',
] as const satisfies readonly (keyof SeenRecord)[];

/** Pure. What cannot be read any more is left out. */
export const cloudTrailRecord = (record: SeenRecord): Partial<Record<(typeof FIELDS)[number], unknown>> =>
  Object.fromEntries(FIELDS.filter((name) => record[name] !== undefined).map((name) => [name, record[name]]));
