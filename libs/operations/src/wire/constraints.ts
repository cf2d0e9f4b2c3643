/** What a text must be: `source` is as messages show it. A RegExp is one. */
export interface Pattern {
  readonly source: string;
  test(text: string): boolean;
}

/** A pattern of the API model, shown as it is there: AWS holds the whole text against it, whether or not it has anchors. */
export function wholly(source: string): Pattern {
  const anchored = new RegExp(`^(?:${source})$`);
  return { source, test: (text) => anchored.test(text) };
}

/** Bounds of one member of a request. */
export type Constraint =
  | { kind: 'string'; min?: number; max?: number; pattern?: Pattern; sensitive?: boolean }
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
  /** Lists of texts by name; `maxBytes`: of all names and texts together. */
  | { kind: 'stringLists'; max: number; maxBytes: number }
  | { kind: 'structures'; max?: number; members: Readonly<Record<string, MemberRule>> }
  /** Without `members` it is taken as it is. */
  | { kind: 'structure'; members?: Readonly<Record<string, MemberRule>> };

export interface MemberRule {
  constraint: Constraint;
  required: boolean;
}

/** AWS names members in messages with a small first letter. */
export const memberPath = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);
