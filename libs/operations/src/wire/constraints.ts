/** Bounds of one member of a request, and the sentences in which AWS reports that they were not kept. */
export type Constraint =
  | { kind: 'string'; min?: number; max?: number; pattern?: RegExp; sensitive?: boolean }
  | { kind: 'enum'; values: readonly string[] }
  | { kind: 'integer'; min?: number; max?: number }
  | { kind: 'boolean' }
  | { kind: 'blob'; min?: number; max?: number }
  | { kind: 'strings'; min?: number; max?: number; each: Constraint & { kind: 'string' } }
  | { kind: 'enums'; values: readonly string[] }
  | { kind: 'stringMap' }
  | { kind: 'structures'; members: Readonly<Record<string, MemberRule>> }
  | { kind: 'structure' };

export interface MemberRule {
  constraint: Constraint;
  required: boolean;
}

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
      const shown = constraint.sensitive ? '' : `'${text}' `;
      const found = bounds(text.length, constraint, shown, path, 'length');
      if (constraint.pattern && !constraint.pattern.test(text)) {
        found.push(violation(shown, path, `satisfy regular expression pattern: ${constraint.pattern.source}`));
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
      return (value as string[]).flatMap((item, at) =>
        constraint.values.includes(item) ? [] : [notInSet(item, constraint.values, `${path}.${at + 1}.member`)],
      );
    case 'strings': {
      const items = value as string[];
      const found = bounds(items.length, constraint, `'[${items.join(', ')}]' `, path, 'length');
      const each = { constraint: constraint.each, required: true };
      return found.concat(...items.map((item, at) => violationsOf(each, item, `${path}.${at + 1}.member`)));
    }
    case 'structures':
      return (value as Record<string, unknown>[]).flatMap((item, at) =>
        Object.entries(constraint.members).flatMap(([name, member]) =>
          violationsOf(member, item[name], `${path}.${at + 1}.member.${memberPath(name)}`),
        ),
      );
    case 'boolean':
    case 'stringMap':
    case 'structure':
      return [];
  }
}

/** AWS names members in messages with a small first letter. */
export const memberPath = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

const notInSet = (value: string, values: readonly string[], path: string): string =>
  violation(`'${value}' `, path, `satisfy enum value set: [${values.join(', ')}]`);

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
