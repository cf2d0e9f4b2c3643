import type { Constraint, MemberRule } from '../wire/constraints';
import { memberPath } from '../wire/constraints';
import { membersOf } from '../wire/fields';

/** Tokens and secrets, whichever request or reply they stand in. */
const NEVER_RECORDED: ReadonlySet<string> = new Set([
  'GrantToken',
  'GrantTokens',
  'TokenCode',
  'SecretAccessKey',
  'SessionToken',
]);

/**
 * What of a decoded request goes into its record, names with a small first letter as CloudTrail has them; `defaults` where
 * a member was not given. Blobs never do, whatever they hold, nor does a structure that is not looked into.
 */
export function requestParametersOf(
  request: object | undefined,
  defaults: Readonly<Record<string, string>> = {},
): object | null {
  if (!request) return null;
  const recorded = structure(membersOf(request.constructor), request as Record<string, unknown>, defaults);
  return Object.keys(recorded).length === 0 ? null : recorded;
}

function structure(
  members: Iterable<readonly [string, MemberRule]>,
  given: Record<string, unknown>,
  defaults: Readonly<Record<string, string>> = {},
): Record<string, unknown> {
  const recorded: Record<string, unknown> = {};
  for (const [name, { constraint }] of members) {
    const value = given[name] ?? defaults[name];
    if (value === undefined || NEVER_RECORDED.has(name)) continue;
    const shown = recordedValue(constraint, value);
    if (shown !== undefined) recorded[memberPath(name)] = shown;
  }
  return recorded;
}

function recordedValue(constraint: Constraint, value: unknown): unknown {
  switch (constraint.kind) {
    case 'blob':
      return undefined;
    case 'string':
      return constraint.sensitive ? undefined : value;
    case 'structure':
      return constraint.members && structure(Object.entries(constraint.members), value as Record<string, unknown>);
    case 'structures': {
      const members = Object.entries(constraint.members);
      return (value as Record<string, unknown>[]).map((item) => structure(members, item));
    }
    default:
      return value;
  }
}

/** Members of replies whose number of epoch seconds CloudTrail shows as a date. */
const DATES: ReadonlySet<string> = new Set(['CreationDate', 'DeletionDate', 'CreateDate', 'Expiration']);
const MEDIUM = new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' });

/** `Jun 30, 2020, 2:34:07 AM`, in UTC; the space before AM is a narrow one in some versions of ICU. */
const shownDate = (epochSeconds: number): string => MEDIUM.format(epochSeconds * 1000).replace(/\s/gu, ' ');

/** What of a reply goes into the record of a call that changed something. */
export function responseElementsOf(reply: unknown): object | null {
  const shown = recordedReply(reply);
  return typeof shown === 'object' && shown !== null && Object.keys(shown).length > 0 ? shown : null;
}

function recordedReply(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(recordedReply);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !NEVER_RECORDED.has(name))
      .map(([name, member]) => [
        memberPath(name),
        typeof member === 'number' && DATES.has(name) ? shownDate(member) : recordedReply(member),
      ]),
  );
}
