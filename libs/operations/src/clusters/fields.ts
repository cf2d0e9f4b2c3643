import { type Constraint, wholly } from '../wire/constraints';

// With the bounds of the API model of AWS CloudHSM V2.
const idOf = (prefix: string) => ({ kind: 'string', pattern: wholly(`${prefix}-[2-7a-zA-Z]{11,16}`) }) as const;

export const CLUSTER_ID = idOf('cluster') satisfies Constraint;
export const BACKUP_ID = idOf('backup') satisfies Constraint;
export const HSM_ID = idOf('hsm') satisfies Constraint;
export const RESOURCE_ID = {
  kind: 'string',
  pattern: wholly('(?:cluster|backup)-[2-7a-zA-Z]{11,16}'),
} as const satisfies Constraint;
export const BACKUP_ARN = {
  kind: 'string',
  pattern: wholly(
    '^(arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]{1}):[0-9]{12}:backup/)?backup-[2-7a-zA-Z]{11,16}',
  ),
} as const satisfies Constraint;
export const HSM_TYPE = {
  ...{ kind: 'string', max: 32 },
  pattern: wholly('((p|)hsm[0-9][a-z.]*\\.[a-zA-Z]+)'),
} as const satisfies Constraint;
export const MODE = { kind: 'enum', values: ['FIPS', 'NON_FIPS'] } as const satisfies Constraint;
export const NETWORK_TYPE = { kind: 'enum', values: ['IPV4', 'DUALSTACK'] } as const satisfies Constraint;
export const SUBNET_IDS = {
  ...{ kind: 'strings', min: 1, max: 10 },
  each: { kind: 'string', pattern: wholly('subnet-[0-9a-fA-F]{8,17}') },
} as const satisfies Constraint;
export const RETENTION = {
  kind: 'structure',
  members: {
    Type: { constraint: { kind: 'enum', values: ['DAYS'] }, required: false },
    Value: { constraint: { kind: 'string', min: 1, max: 3, pattern: wholly('[0-9]+') }, required: false },
  },
} as const satisfies Constraint;
export const CERTIFICATE = {
  ...{ kind: 'string', max: 20_000 },
  pattern: wholly('[a-zA-Z0-9+-/=\\s]*'),
} as const satisfies Constraint;
export const ZONE = {
  kind: 'string',
  pattern: wholly('[a-z]{2}(-(gov))?-(east|west|north|south|central){1,2}-\\d[a-z]'),
} as const satisfies Constraint;
export const IP_ADDRESS = {
  kind: 'string',
  pattern: wholly('\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}'),
} as const satisfies Constraint;
export const ENI_ID = { kind: 'string', pattern: wholly('eni-[0-9a-fA-F]{8,17}') } as const satisfies Constraint;
export const NEXT_TOKEN = { kind: 'string', max: 256, pattern: wholly('.*') } as const satisfies Constraint;
/** Read by `filtersOf`: names and lists of values. */
export const FILTERS = { kind: 'stringLists', max: 30, maxBytes: 8192 } as const satisfies Constraint;

const TAG_PATTERN = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const TAG_KEY = { kind: 'string', min: 1, max: 128, pattern: TAG_PATTERN } as const satisfies Constraint;
export const TAG_LIST = {
  ...{ kind: 'structures', max: 50 },
  members: {
    Key: { constraint: TAG_KEY, required: true },
    Value: { constraint: { kind: 'string', min: 0, max: 256, pattern: TAG_PATTERN }, required: true },
  },
} as const satisfies Constraint;
export const TAG_KEY_LIST = { kind: 'strings', min: 1, max: 50, each: TAG_KEY } as const satisfies Constraint;

export interface WireTag {
  Key: string;
  Value: string;
}
