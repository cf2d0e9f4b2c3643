import type { Constraint } from '../wire/constraints';

// Shapes that operations of IAM and STS share, with the bounds of the API models.
const NAME_PATTERN = /^[\w+=,.@-]+$/;
export const NEW_USER_NAME = { kind: 'string', min: 1, max: 64, pattern: NAME_PATTERN } as const satisfies Constraint;
export const USER_NAME = { kind: 'string', min: 1, max: 128, pattern: NAME_PATTERN } as const satisfies Constraint;
export const ROLE_NAME = NEW_USER_NAME;
export const POLICY_NAME = USER_NAME;
export const PATH = {
  kind: 'string',
  min: 1,
  max: 512,
  pattern: /^(?:\u002F|\u002F[\u0021-\u007E]+\u002F)$/,
} as const satisfies Constraint;
export const PATH_PREFIX = {
  kind: 'string',
  min: 1,
  max: 512,
  pattern: /^\u002F[\u0021-\u007F]*$/,
} as const satisfies Constraint;
export const POLICY_DOCUMENT = {
  kind: 'string',
  min: 1,
  max: 131_072,
  pattern: /^[\u0009\u000A\u000D\u0020-\u00FF]+$/,
} as const satisfies Constraint;
export const ACCESS_KEY_ID = { kind: 'string', min: 16, max: 128, pattern: /^\w+$/ } as const satisfies Constraint;
export const MAX_ITEMS = { kind: 'integer', min: 1, max: 1000 } as const satisfies Constraint;
export const MARKER = { kind: 'string', min: 1, max: 320, pattern: /^[\u0020-\u00FF]+$/ } as const satisfies Constraint;

const TAG_KEY = { kind: 'string', min: 1, max: 128, pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u } as const;
const TAG_VALUE = { kind: 'string', min: 0, max: 256, pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u } as const;
export const TAGS = {
  kind: 'structures',
  max: 50,
  members: { Key: { constraint: TAG_KEY, required: true }, Value: { constraint: TAG_VALUE, required: true } },
} as const satisfies Constraint;
export const TAG_KEYS = { kind: 'strings', min: 0, max: 50, each: TAG_KEY } as const satisfies Constraint;
