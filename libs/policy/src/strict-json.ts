/** Deeper than any policy needs (Condition values sit at depth 6), shallow enough that no reader recurses far. */
export const MAX_JSON_DEPTH = 16;

export type StrictJson = { value: unknown } | { reason: string };

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g;

/**
 * JSON as policies need it: RFC 8259 syntax, no object with one name twice (JSON.parse would silently keep the last,
 * so that a reader and an evaluator could see different policies), and bounded depth.
 */
export function parseStrictJson(text: string): StrictJson {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { reason: 'The policy is not valid JSON.' };
  }
  const reason = structuralFault(text);
  return reason === undefined ? { value } : { reason };
}

/** `text` is known to be JSON: only strings and structure matter here. */
function structuralFault(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = [];
  let name: string | undefined;
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined);
      if (open.length > MAX_JSON_DEPTH) return `The policy is nested deeper than ${MAX_JSON_DEPTH} levels.`;
    } else if (token === '}' || token === ']') {
      open.pop();
    } else if (token === ':') {
      // Names are compared decoded: "\u0041ction" is "Action".
      const decoded = JSON.parse(name!) as string;
      const names = open.at(-1)!;
      if (names.has(decoded)) return `Element ${JSON.stringify(decoded.slice(0, 64))} appears more than once.`;
      names.add(decoded);
    } else if (token !== ',') {
      name = token;
    }
  }
  return undefined;
}
