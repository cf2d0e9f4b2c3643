import type { Tag } from '#domain/key/events';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import type { Asked } from './authorization';
import type { FoundKey } from './key-lookup';
import type { Call } from './operation';
import { attestedValue } from './recipient';
import { trailingDays } from './usage/trailing-days';

type Value = string | readonly string[] | undefined;

interface Surroundings {
  call: Call;
  asked: Asked;
  found: FoundKey | undefined;
  projection: Projection | undefined;
}

/**
 * THE table of condition keys that every request has, by their names in lower case. Worked out only when a policy asks.
 * Sources: IAM User Guide, "AWS global condition context keys"; AWS KMS Developer Guide, "Condition keys for AWS KMS".
 */
const KEYS: Record<string, (around: Surroundings) => Value> = {
  // Of a session the ARN of its role.
  'aws:principalarn': ({ call: { caller } }) => caller.principal.roleArn ?? caller.principalArn,
  'aws:principalaccount': ({ call }) => call.caller.account,
  'aws:principaltype': ({ call }) => PRINCIPAL_TYPES[call.caller.principal.kind],
  'aws:principalisawsservice': () => 'false',
  'aws:userid': ({ call: { caller } }) => (caller.principalId === 'root' ? caller.account : caller.principalId),
  'aws:username': ({ call }) => call.caller.userName,
  'aws:sourceip': ({ call }) => call.caller.sourceIp,
  'aws:securetransport': ({ call }) => text(call.caller.secureTransport),
  'aws:currenttime': ({ call }) => call.now,
  'aws:epochtime': ({ call }) => String(Math.floor(Date.parse(call.now) / 1000)),
  'aws:requestedregion': ({ call }) => call.caller.region,
  'aws:viaawsservice': () => 'false',
  'aws:resourceaccount': ({ call, found }) => found?.ref.account ?? call.caller.account,
  // Only temporary credentials say whether there was a second factor; ours never have one.
  'aws:multifactorauthpresent': ({ call }) => (call.caller.session ? 'false' : undefined),
  'aws:tokenissuetime': ({ call: { caller } }) =>
    caller.session && new Date(caller.session.issuedAt * 1000).toISOString(),
  'aws:sourceidentity': ({ call }) => call.caller.session?.sourceIdentity,
  'kms:calleraccount': ({ call }) => call.caller.account,
  'kms:keyspec': ({ found }) => found?.key.keySpec,
  'kms:customermasterkeyspec': ({ found }) => found?.key.keySpec,
  'kms:keyusage': ({ found }) => found?.key.keyUsage,
  'kms:customermasterkeyusage': ({ found }) => found?.key.keyUsage,
  'kms:keyorigin': ({ found }) => found?.key.origin,
  'kms:multiregion': ({ found }) => text(found?.key.multiRegion),
  'kms:multiregionkeytype': ({ found }) => found?.key.family?.keyType,
  'kms:requestalias': ({ found }) => found?.viaAlias,
  'kms:resourcealiases': ({ found, projection }) =>
    found && projection && [...projection.aliasNamesOf(found.ref)].map((name) => `alias/${name}`),
  'kms:trailingdayswithoutkeyusage': idleDays,
  'kms:encryptioncontextkeys': ({ asked }) => asked.encryptionContext && Object.keys(asked.encryptionContext),
};

/** Keys with a name of the request's behind them. */
const PREFIXED: readonly [string, (name: string, around: Surroundings) => Value][] = [
  ['aws:principaltag/', (name, { call }) => tagNamed(call.caller.tags, name)],
  ['aws:resourcetag/', (name, { found }) => tagNamed(found?.key.tags, name)],
  ['kms:encryptioncontext:', (name, { asked }) => pairNamed(asked.encryptionContext, name)],
  ['kms:recipientattestation:', (name, { asked }) => attestedValue(asked.recipient, name)],
];

/** Whether a key can no longer be used after it: then it has kms:TrailingDaysWithoutKeyUsage. */
export const endsUse = (action: string): boolean => action === 'DisableKey' || action === 'ScheduleKeyDeletion';

/** Throws LastUseNotKnown. */
function idleDays({ call, asked, found }: Surroundings): Value {
  if (!found || !call.uses || !endsUse(asked.action ?? call.operation)) return undefined;
  const days = trailingDays(call.uses.of(found.arn), found.key.createdAt, call.now);
  call.trail?.hadBeenIdle(days);
  return String(days);
}

const PRINCIPAL_TYPES = { root: 'Account', user: 'User', 'role-session': 'AssumedRole', service: undefined } as const;

export function conditionContext(call: Call, asked: Asked, found?: FoundKey, projection?: Projection): ContextLookup {
  const around: Surroundings = { call, asked, found, projection };
  return (key) => {
    const own = asked.context?.(key);
    if (own !== undefined) return own;
    if (Object.hasOwn(KEYS, key)) return KEYS[key]!(around);
    const prefixed = PREFIXED.find(([prefix]) => key.startsWith(prefix));
    return prefixed?.[1](key.slice(prefixed[0].length), around);
  };
}

const text = (value: boolean | undefined): string | undefined => (value === undefined ? undefined : String(value));

/** In condition keys the names of tags are compared without case. */
const tagNamed = (tags: readonly Tag[] | undefined, name: string): string | undefined =>
  tags?.find((tag) => tag.key.toLowerCase() === name)?.value;

/** Names of an encryption context are compared without case here; kms:EncryptionContextKeys has them as they are. */
function pairNamed(context: Readonly<Record<string, string>> | undefined, name: string): Value {
  if (!context) return undefined;
  const values = Object.keys(context)
    .filter((key) => key.toLowerCase() === name)
    .map((key) => context[key]!);
  return values.length > 1 ? values : values[0];
}

/** What requests with tags add: aws:RequestTag/x and aws:TagKeys. */
export const tagContext =
  (tags: readonly Tag[]): ContextLookup =>
  (key) => {
    if (key === 'aws:tagkeys') return tags.length === 0 ? undefined : tags.map((tag) => tag.key);
    return key.startsWith('aws:requesttag/') ? tagNamed(tags, key.slice('aws:requesttag/'.length)) : undefined;
  };

/** A context of a few fixed keys, in lower case; those undefined are absent. */
export const fixedContext =
  (values: Readonly<Record<string, string | boolean | number | readonly string[] | undefined>>): ContextLookup =>
  (key) => {
    const value = Object.hasOwn(values, key) ? values[key] : undefined;
    return value === undefined || typeof value === 'object' ? value : String(value);
  };
