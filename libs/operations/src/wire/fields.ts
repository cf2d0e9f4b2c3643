import { type Constraint, type MemberRule, memberPath } from './constraints';

/** A member of a request class: what it must be in JSON, and its bounds. */
export interface RequestMember extends MemberRule {
  name: string;
  /** As AWS names it in messages. */
  path: string;
}

/** A request class's members, in the order in which they are declared. */
const MEMBERS = new WeakMap<object, RequestMember[]>();

export const membersOf = (requestClass: { prototype: object }): readonly RequestMember[] =>
  MEMBERS.get(requestClass.prototype) ?? [];

function member(constraint: Constraint, required: boolean): PropertyDecorator {
  return (prototype, property) => {
    const name = property as string;
    const members = MEMBERS.get(prototype) ?? [];
    MEMBERS.set(prototype, members);
    members.push({ name, path: memberPath(name), constraint, required });
  };
}

/** A member that must be there. */
export const Required = (constraint: Constraint): PropertyDecorator => member(constraint, true);

/** A member that may be absent or null. */
export const Optional = (constraint: Constraint): PropertyDecorator => member(constraint, false);

// Shapes that many operations share, with the bounds of the API model.
export const KEY_ID = { kind: 'string', min: 1, max: 2048, pattern: /^\p{ASCII}+$/u } as const satisfies Constraint;
export const ALIAS_NAME = {
  kind: 'string',
  min: 1,
  max: 256,
  pattern: /^[a-zA-Z0-9:/_-]+$/,
} as const satisfies Constraint;
export const LIMIT = { kind: 'integer', min: 1, max: 1000 } as const satisfies Constraint;
export const MARKER = {
  kind: 'string',
  min: 1,
  max: 1024,
  pattern: /^[\u0020-\u00FF]*$/,
} as const satisfies Constraint;
export const BOOLEAN = { kind: 'boolean' } as const satisfies Constraint;
export const GRANT_TOKENS = {
  kind: 'strings',
  min: 0,
  max: 10,
  each: { kind: 'string', min: 1, max: 8192 },
} as const satisfies Constraint;
export const CONTEXT = { kind: 'stringMap' } as const satisfies Constraint;
export const CIPHERTEXT = { kind: 'blob', min: 1, max: 6144 } as const satisfies Constraint;
export const ENCRYPTION_ALGORITHM = {
  kind: 'enum',
  values: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE', 'SYMMETRIC_DEFAULT'],
} as const satisfies Constraint;
export const POLICY_NAME = { kind: 'string', min: 1, max: 128, pattern: /^[\w]+$/ } as const satisfies Constraint;
export const POLICY = {
  kind: 'string',
  min: 1,
  max: 131072,
  pattern: /^[\u0009\u000A\u000D\u0020-\u00FF]+$/,
} as const satisfies Constraint;
export const TAGS = {
  kind: 'structures',
  members: {
    TagKey: { constraint: { kind: 'string', min: 1, max: 128 }, required: true },
    TagValue: { constraint: { kind: 'string', min: 0, max: 256 }, required: true },
  },
} as const satisfies Constraint;
