import { incomplete, quoted } from './authentication-errors';

/*
 * URI encoding as SigV4 wants it: every byte but A-Z a-z 0-9 - . _ ~ becomes %XX in upper case.
 * Strings here are byte strings, one character a byte, as node:http hands over the request line.
 */

const UNRESERVED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~';
const PERCENT = 0x25;

const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return UNRESERVED.includes(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});

/** Encodes every byte of `text`, a `%` of an earlier encoding included. */
export function uriEncode(text: string): string {
  let encoded = '';
  for (let i = 0; i < text.length; i++) encoded += escapeOf(text.charCodeAt(i));
  return encoded;
}

/**
 * The one canonical form of a query component, however its client chose to escape it.
 * A `+` is a plus sign, not a space (RFC 3986). Throws IncompleteSignatureException for a broken escape.
 */
export function canonicalComponent(raw: string): string {
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    // Of the unreserved characters each stands for itself; at the first other one the text must be rewritten.
    if (ESCAPES[code]?.length !== 1) return rewrite(raw, i);
  }
  return raw;
}

function rewrite(raw: string, from: number): string {
  let canonical = raw.slice(0, from);
  for (let i = from; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if (code !== PERCENT) {
      canonical += escapeOf(code);
      continue;
    }
    const byte = escapedByte(raw, i);
    if (byte < 0) throw incomplete(`Illegal hex character in escape % pattern: ${quoted(raw.slice(i, i + 3))}`);
    canonical += ESCAPES[byte];
    i += 2;
  }
  return canonical;
}

/** Undoes `canonicalComponent`. */
export function decodeComponent(canonical: string): string {
  if (!canonical.includes('%')) return canonical;
  let decoded = '';
  for (let i = 0; i < canonical.length; i++) {
    const code = canonical.charCodeAt(i);
    if (code === PERCENT) {
      decoded += String.fromCharCode(escapedByte(canonical, i));
      i += 2;
    } else {
      decoded += canonical[i];
    }
  }
  return decoded;
}

function escapeOf(code: number): string {
  const escaped = ESCAPES[code];
  if (escaped === undefined) throw incomplete('The request line holds a character that is not a byte.');
  return escaped;
}

function escapedByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at + 1));
  const low = hexDigit(text.charCodeAt(at + 2));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
