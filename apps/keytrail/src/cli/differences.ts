/** One member that is not the same: absent where it was not there. */
export interface FieldDifference {
  /** Such as `policy.Statement["Allow use"].Action`. */
  path: string;
  before?: unknown;
  after?: unknown;
}

type Members = ReadonlyMap<string, unknown>;

/** What tells the elements of a list from each other, so that one put before the others changes nothing of those. */
const NAMING_MEMBERS = ['Sid', 'key', 'version', 'accessKeyId'];

/** What differs between two states, member by member. Texts that are JSON objects (policies) are looked into. */
export function differences(before: unknown, after: unknown, path = ''): FieldDifference[] {
  const [old, young] = [membersOf(before), membersOf(after)];
  if (old && young) {
    const names = new Set([...old.keys(), ...young.keys()]);
    return [...names].flatMap((name) => differences(old.get(name), young.get(name), joined(path, name)));
  }
  if (before === undefined && after === undefined) return [];
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  return [{ path, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }];
}

const joined = (path: string, name: string): string =>
  path === '' || name.startsWith('[') ? path + name : `${path}.${name}`;

function membersOf(value: unknown): Members | undefined {
  if (typeof value === 'string') return value.startsWith('{') ? membersOf(parsed(value)) : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Array.isArray(value)) return new Map(Object.entries(value));
  // Of texts and numbers (actions, operations) the whole list says more.
  if (!value.every((one) => typeof one === 'object' && one !== null)) return undefined;
  const elements = value as Record<string, unknown>[];
  const naming = NAMING_MEMBERS.find((name) => namesAll(name, elements));
  return new Map(elements.map((one, index) => [`[${JSON.stringify(naming ? one[naming] : index)}]`, one]));
}

function namesAll(member: string, elements: readonly Record<string, unknown>[]): boolean {
  const names = new Set(elements.map((one) => one[member]));
  return !names.has(undefined) && names.size === elements.length;
}

/** Undefined for what is no JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
