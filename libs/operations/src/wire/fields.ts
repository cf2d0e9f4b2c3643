import { ValidateBy } from 'class-validator';
import { type Constraint, type MemberRule, memberPath, wholly } from './constraints';
import { violationsOf } from './violations';

/** A request class's members, for the decoder: what each must be in JSON. With members of its own it has those of the class it extends too. */
const MEMBERS = new WeakMap<object, Map<string, MemberRule>>();

export const membersOf = (requestClass: { prototype: object }): ReadonlyMap<string, MemberRule> =>
  MEMBERS.get(requestClass.prototype) ?? new Map();

function member(constraint: Constraint, required: boolean): PropertyDecorator {
  const rule: MemberRule = { constraint, required };
  return (prototype, property) => {
    const name = property as string;
    const path = memberPath(name);
    const members = MEMBERS.get(prototype) ?? new Map(MEMBERS.get(Object.getPrototypeOf(prototype)));
    MEMBERS.set(prototype, members.set(name, rule));
    ValidateBy({
      name: 'awsConstraint',
      validator: {
        validate: (value) => violationsOf(rule, value, path).length === 0,
        defaultMessage: (args) => violationsOf(rule, args?.value, path).join('; '),
      },
    })(prototype, name);
  };
}

/** A member that must be there. */
export const Required = (constraint: Constraint): PropertyDecorator => member(constraint, true);

/** A member that may be absent or null. */
export const Optional = (constraint: Constraint): PropertyDecorator => member(constraint, false);

// Shapes that many operations share, with the bounds of the API model.
/** Its pattern is not in the API model: it is what AWS answers with. */
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
  pattern: wholly('[\\u0020-\\u00FF]*'),
} as const satisfies Constraint;
export const BOOLEAN = { kind: 'boolean' } as const satisfies Constraint;
export const GRANT_TOKEN = { kind: 'string', min: 1, max: 8192, sensitive: true } as const satisfies Constraint;
export const GRANT_TOKENS = {
  kind: 'strings',
  min: 0,
  max: 10,
  each: GRANT_TOKEN,
} as const satisfies Constraint;
export const GRANT_ID = { kind: 'string', min: 1, max: 128 } as const satisfies Constraint;
export const GRANT_NAME = {
  kind: 'string',
  min: 1,
  max: 256,
  pattern: /^[a-zA-Z0-9:/_-]+$/,
} as const satisfies Constraint;
export const PRINCIPAL_ID = {
  kind: 'string',
  min: 1,
  max: 256,
  pattern: /^[\w+=,.@:/-]+$/,
} as const satisfies Constraint;
/**
 * The API model has no bound. Each policy condition and grant that decides is held against it, so it has one here: what fits
 * the 8 KiB that other services of AWS let a context have in a header.
 */
export const CONTEXT = { kind: 'stringMap', maxBytes: 8192 } as const satisfies Constraint;
export const CIPHERTEXT = { kind: 'blob', min: 1, max: 6144 } as const satisfies Constraint;
/** What is signed or encrypted. */
export const MESSAGE = { kind: 'blob', min: 1, max: 4096, sensitive: true } as const satisfies Constraint;
/** A signature or MAC. */
export const SIGNATURE = CIPHERTEXT;
/** SubjectPublicKeyInfo in DER. */
export const PUBLIC_KEY = { kind: 'blob', min: 1, max: 8192 } as const satisfies Constraint;
export const ENCRYPTION_ALGORITHM = {
  kind: 'enum',
  values: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE', 'SYMMETRIC_DEFAULT'],
} as const satisfies Constraint;
export const POLICY_NAME = {
  kind: 'string',
  min: 1,
  max: 128,
  pattern: wholly('[\\w]+'),
} as const satisfies Constraint;
export const POLICY = {
  kind: 'string',
  min: 1,
  max: 131072,
  pattern: wholly('[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+'),
} as const satisfies Constraint;
/**
 * Of tags in one request. The API model has no bound, and a key that would have more than 50 is refused for that once the
 * caller may tag it: this keeps what a policy is held against small before.
 */
export const MAX_TAGS_GIVEN = 200;
export const TAGS = {
  kind: 'structures',
  max: MAX_TAGS_GIVEN,
  members: {
    TagKey: { constraint: { kind: 'string', min: 1, max: 128 }, required: true },
    TagValue: { constraint: { kind: 'string', min: 0, max: 256 }, required: true },
  },
} as const satisfies Constraint;
