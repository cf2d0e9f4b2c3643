import { hashedAuthorization, incomplete } from './authentication-errors';

/** The parts of `<algorithm> Credential=..., SignedHeaders=..., Signature=...` that were there. */
export interface Authorization {
  algorithm: string;
  credential: string | undefined;
  signedHeaders: string | undefined;
  signature: string | undefined;
}

const COMMA = 0x2c;
const SPACE = 0x20;
const TAB = 0x09;

/** Throws IncompleteSignatureException for a part that is no key=value pair, or that comes twice. */
export function parseAuthorization(header: string): Authorization {
  const text = header.trim();
  const end = nextSeparator(text, 0);
  const authorization: Authorization = {
    algorithm: text.slice(0, end),
    credential: undefined,
    signedHeaders: undefined,
    signature: undefined,
  };
  for (let from = end + 1; from < text.length; ) {
    const to = nextSeparator(text, from);
    if (to > from) readPair(text.slice(from, to), authorization, header);
    from = to + 1;
  }
  return authorization;
}

const FIELDS: ReadonlyMap<string, 'credential' | 'signedHeaders' | 'signature'> = new Map([
  ['Credential', 'credential'],
  ['SignedHeaders', 'signedHeaders'],
  ['Signature', 'signature'],
]);

function readPair(pair: string, authorization: Authorization, header: string): void {
  const equals = pair.indexOf('=');
  if (equals < 0) {
    throw incomplete(
      'Invalid key=value pair (missing equal-sign) in Authorization header ' +
        `(hashed with SHA-256 and encoded with Base64): '${hashedAuthorization(header)}'.`,
    );
  }
  const key = pair.slice(0, equals);
  const field = FIELDS.get(key);
  if (field === undefined) return;
  if (authorization[field] !== undefined) throw incomplete(`Authorization header must not repeat '${key}' parameter.`);
  authorization[field] = pair.slice(equals + 1);
}

/** Pairs are parted by commas, spaces or both. */
function nextSeparator(text: string, from: number): number {
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === COMMA || code === SPACE || code === TAB) return i;
  }
  return text.length;
}
