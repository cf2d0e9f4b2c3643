/** Bounds of one member of a request, and the sentences in which AWS reports that they were not kept. */
export type Constraint =
  | { kind: 'string'; min?: number; max?: number; pattern?: RegExp; sensitive?: boolean }
  | { kind: 'enum'; values: readonly string[] }
  | { kind: 'integer'; min?: number; max?: number }
  | { kind: 'boolean' }
  /** Epoch seconds, with a fraction or without. */
  | { kind: 'timestamp' }
  /** A sensitive one is zeroised when the request is done with. */
  | { kind: 'blob'; min?: number; max?: number; sensitive?: boolean }
  | { kind: 'strings'; min?: number; max?: number; each: Constraint & { kind: 'string' } }
  | { kind: 'enums'; values: readonly string[] }
  /** `maxBytes`: of all names and values together, in UTF-8. */
  | { kind: 'stringMap'; maxBytes: number }
  | { kind: 'structures'; max?: number; members: Readonly<Record<string, MemberRule>> }
  /** Without `members` it is taken as it is. */
  | { kind: 'structure'; members?: Readonly<Record<string, MemberRule>> };

export interface MemberRule {
  constraint: Constraint;
  required: boolean;
}

/**
 * With the u flag only a surrogate without its partner matches. JSON can hold one, UTF-8 and so the log cannot: each would
 * come back as U+FFFD, and two texts as one.
 */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What one member can add to a message is bounded, as is what it costs to find: the longest lists have 300,000 items. */
const MAX_VIOLATIONS = 50;
const LONGEST_SHOWN = 1_024;

const violation = (shown: string, path: string, rule: string): string =>
  `Value ${shown}at '${path}' failed to satisfy constraint: Member must ${rule}`;

/** The sentences for everything that is wrong with `value`; `path` is as AWS names it, such as `tags.1.member.tagKey`. */
export function violationsOf(rule: MemberRule, value: unknown, path: string): string[] {
  const { constraint } = rule;
  if (value === undefined) {
    if (!rule.required) return [];
    return [violation(constraint.kind === 'blob' ? '' : 'null ', path, 'not be null')];
  }
  switch (constraint.kind) {
    case 'string': {
      const text = value as string;
      const shown = constraint.sensitive ? '' : quoted(text);
      const found = bounds(text.length, constraint, shown, path, 'length');
      if (constraint.pattern && !constraint.pattern.test(text)) {
        found.push(violation(shown, path, `satisfy regular expression pattern: ${constraint.pattern.source}`));
      } else if (!constraint.pattern && LONE_SURROGATE.test(text)) {
        found.push(violation('', path, 'be well-formed Unicode text'));
      }
      return found;
    }
    case 'integer':
      return bounds(value as number, constraint, `'${value}' `, path, 'value');
    case 'blob':
      return bounds((value as Uint8Array).length, constraint, '', path, 'length');
    case 'enum':
      return constraint.values.includes(value as string) ? [] : [notInSet(value as string, constraint.values, path)];
    case 'enums':
      return ofItems(value as string[], path, (item, itemPath) =>
        constraint.values.includes(item) ? [] : [notInSet(item, constraint.values, itemPath)],
      );
    case 'strings': {
      const items = value as string[];
      const shown = constraint.each.sensitive ? '' : quoted(`[${items.slice(0, LONGEST_SHOWN).join(', ')}]`);
      const found = bounds(items.length, constraint, shown, path, 'length');
      const each = { constraint: constraint.each, required: true };
      return found.length > 0 ? found : ofItems(items, path, (item, itemPath) => violationsOf(each, item, itemPath));
    }
    case 'structures': {
      const items = value as Record<string, unknown>[];
      const found = bounds(items.length, constraint, '', path, 'length');
      if (found.length > 0) return found;
      return ofItems(items, path, (item, itemPath) => ofMembers(constraint.members, item, itemPath));
    }
    case 'stringMap':
      return takesBytes(value as Record<string, string>, constraint.maxBytes)
        ? []
        : [violation('', path, `have names and values of at most ${constraint.maxBytes} bytes together`)];
    case 'structure':
      return ofMembers(constraint.members ?? {}, value as Record<string, unknown>, path);
    case 'boolean':
    case 'timestamp':
      return [];
  }
}

function takesBytes(map: Readonly<Record<string, string>>, maxBytes: number): boolean {
  let left = maxBytes;
  for (const name in map) {
    left -= Buffer.byteLength(name) + Buffer.byteLength(map[name]!);
    if (left < 0) return false;
  }
  return true;
}

/** The violations of a list's items, as far as a message can hold them. */
function ofItems<T>(items: readonly T[], path: string, of: (item: T, itemPath: string) => string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < items.length && found.length < MAX_VIOLATIONS; at++) {
    found.push(...of(items[at]!, `${path}.${at + 1}.member`));
  }
  return found.slice(0, MAX_VIOLATIONS);
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

/** AWS names members in messages with a small first letter. */
export const memberPath = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

const notInSet = (value: string, values: readonly string[], path: string): string =>
  violation(quoted(value), path, `satisfy enum value set: [${values.join(', ')}]`);

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
