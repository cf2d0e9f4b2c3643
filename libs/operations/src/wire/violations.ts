import { type Constraint, type MemberRule, memberPath } from './constraints';

/**
 * With the u flag only a surrogate without its partner matches. JSON can hold one, UTF-8 and so the log cannot: each would
 * come back as U+FFFD, and two texts as one.
 */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What one member can add to a message is bounded, as is what it costs to find: the longest lists have 300,000 items. */
const MAX_VIOLATIONS = 50;
const LONGEST_SHOWN = 1_024;

const NOT_NULL = 'not be null';
const WELL_FORMED = 'be well-formed Unicode text';

const violation = (shown: string, path: string, rule: string): string =>
  `Value ${shown}at '${path}' failed to satisfy constraint: Member must ${rule}`;

/**
 * The sentences, as AWS has them, for everything that is wrong with `value`; `path` is as AWS names it, such as
 * `tags.1.member.tagKey`. What is sensitive is not shown, nor the value of a blob.
 */
export function violationsOf(rule: MemberRule, value: unknown, path: string): string[] {
  const { constraint } = rule;
  if (value === undefined) {
    if (!rule.required) return [];
    return [violation('sensitive' in constraint && constraint.sensitive ? '' : 'null ', path, NOT_NULL)];
  }
  switch (constraint.kind) {
    case 'string':
      return ofText(value as string, constraint, path);
    case 'integer':
      return bounds(value as number, constraint, `'${value}' `, path, 'value');
    case 'blob':
      return bounds((value as Uint8Array).length, constraint, '', path, 'length');
    case 'enum':
      return constraint.values.includes(value as string)
        ? []
        : [violation(quoted(value as string), path, inSet(constraint.values))];
    case 'enums':
      return ofScalars(value as (string | null)[], { kind: 'enum', values: constraint.values }, path);
    case 'strings': {
      const items = value as (string | null)[];
      const shown = constraint.each.sensitive ? '' : quotedList(items);
      return [...bounds(items.length, constraint, shown, path, 'length'), ...ofScalars(items, constraint.each, path)];
    }
    case 'structures': {
      const items = value as (Record<string, unknown> | null)[];
      const found = bounds(items.length, constraint, '', path, 'length');
      for (let at = 0; at < items.length && found.length < MAX_VIOLATIONS; at++) {
        const item = items[at];
        const itemPath = `${path}.${at + 1}.member`;
        found.push(
          ...(item ? ofMembers(constraint.members, item, itemPath) : [violation('null ', itemPath, NOT_NULL)]),
        );
      }
      return found.slice(0, MAX_VIOLATIONS);
    }
    case 'stringMap':
      return ofMap(value as Record<string, string>, constraint.maxBytes, path);
    case 'stringLists': {
      const lists = Object.entries(value as Record<string, string[]>);
      const texts = lists.flatMap(([name, list]) => [name, ...list]);
      return [...bounds(lists.length, constraint, '', path, 'length'), ...ofTexts(texts, constraint.maxBytes, path)];
    }
    case 'structure':
      return ofMembers(constraint.members ?? {}, value as Record<string, unknown>, path);
    case 'boolean':
    case 'timestamp':
      return [];
  }
}

type Text = Constraint & { kind: 'string' };

function ofText(text: string, constraint: Text, path: string): string[] {
  const shown = constraint.sensitive ? '' : quoted(text);
  const found = bounds(text.length, constraint, shown, path, 'length');
  if (constraint.pattern && !constraint.pattern.test(text)) {
    found.push(violation(shown, path, `satisfy regular expression pattern: ${constraint.pattern.source}`));
  } else if (!constraint.pattern && LONE_SURROGATE.test(text)) {
    found.push(violation('', path, WELL_FORMED));
  }
  return found;
}

type Scalar = Text | (Constraint & { kind: 'enum' });

/** AWS tells of the items of such a list together: the whole list, and all that each must be. */
function ofScalars(items: readonly (string | null)[], each: Scalar, path: string): string[] {
  const rule = { constraint: each, required: true };
  for (const [at, item] of items.entries()) {
    const [found] = violationsOf(rule, item ?? undefined, path);
    if (found === undefined) continue;
    if (found.endsWith(WELL_FORMED)) return [violation('', `${path}.${at + 1}.member`, WELL_FORMED)];
    const shown = each.kind === 'string' && each.sensitive ? '' : quotedList(items);
    return [violation(shown, path, `satisfy constraint: [${rulesOf(each).join(', ')}]`)];
  }
  return [];
}

/** In AWS's order. */
function rulesOf(each: Scalar): string[] {
  const rules: string[] = [];
  if (each.kind === 'enum') rules.push(inSet(each.values));
  else {
    if (each.max !== undefined) rules.push(`have length less than or equal to ${each.max}`);
    if (each.min !== undefined) rules.push(`have length greater than or equal to ${each.min}`);
    if (each.pattern) rules.push(`satisfy regular expression pattern: ${each.pattern.source}`);
  }
  return [...rules, NOT_NULL].map((rule) => `Member must ${rule}`);
}

const ofMap = (map: Readonly<Record<string, string>>, maxBytes: number, path: string): string[] =>
  ofTexts(Object.entries(map).flat(), maxBytes, path);

/** All names and values of a map. */
function ofTexts(texts: readonly string[], maxBytes: number, path: string): string[] {
  let left = maxBytes;
  for (const text of texts) {
    if (LONE_SURROGATE.test(text)) return [violation('', path, WELL_FORMED)];
    left -= Buffer.byteLength(text);
    if (left < 0) return [violation('', path, `have names and values of at most ${maxBytes} bytes together`)];
  }
  return [];
}

const ofMembers = (
  members: Readonly<Record<string, MemberRule>>,
  structure: Record<string, unknown>,
  path: string,
): string[] =>
  Object.entries(members).flatMap(([name, member]) =>
    violationsOf(member, structure[name], `${path}.${memberPath(name)}`),
  );

const quoted = (text: string): string =>
  text.length <= LONGEST_SHOWN ? `'${text}' ` : `'${text.slice(0, LONGEST_SHOWN)}...' `;

const quotedList = (items: readonly (string | null)[]): string =>
  quoted(`[${items.slice(0, LONGEST_SHOWN).map(String).join(', ')}]`);

const inSet = (values: readonly string[]): string => `satisfy enum value set: [${values.join(', ')}]`;

function bounds(
  size: number,
  { min, max }: { min?: number; max?: number },
  shown: string,
  path: string,
  what: 'length' | 'value',
): string[] {
  const found: string[] = [];
  if (min !== undefined && size < min)
    found.push(violation(shown, path, `have ${what} greater than or equal to ${min}`));
  if (max !== undefined && size > max) found.push(violation(shown, path, `have ${what} less than or equal to ${max}`));
  return found;
}

/** One ValidationException message for all violations, as AWS words it. */
export const validationMessage = (violations: readonly string[]): string =>
  `${violations.length} validation error${violations.length === 1 ? '' : 's'} detected: ${violations.join('; ')}`;
