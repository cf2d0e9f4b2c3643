import { isUtf8 } from 'node:buffer';

export type JsonObject = Record<string, unknown>;

/** Far more than any message of this API has. */
const MAX_DEPTH = 16;

/**
 * The JSON object in these bytes, or what is wrong with them. An object that has a member twice is refused: two readers could take
 * it for two requests (RFC 8259, section 4).
 */
export function parseStrictly(body: Uint8Array): JsonObject | string {
  if (!isUtf8(body)) return 'is not UTF-8';
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'is not well-formed JSON';
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'is not a JSON object';
  return faultOf(text) ?? (json as JsonObject);
}

/** Of text that is well-formed JSON. */
function faultOf(text: string): string | undefined {
  /** Names of the members so far of each object that is open; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '{' || character === '[') {
      if (open.push(character === '{' ? new Set() : undefined) > MAX_DEPTH) return 'is nested too deep';
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = endOfString(text, at);
      const names = open.at(-1);
      if (names && isName(text, end)) {
        // Escaped or not, it is the same name.
        const name = JSON.parse(text.slice(at, end)) as string;
        if (names.has(name)) return 'has a member more than once';
        names.add(name);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Where the string that begins at `start` has ended. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
}

function isName(text: string, end: number): boolean {
  let at = end;
  while (text[at] === ' ' || text[at] === '\t' || text[at] === '\n' || text[at] === '\r') at++;
  return text[at] === ':';
}
