import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { SignedRequest } from './claim';

const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;

/** RFC 3986 percent-encoding, as SigV4 wants it: everything but unreserved characters. */
const encode = (text: string): string =>
  UNRESERVED.test(text)
    ? text
    : encodeURIComponent(text).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);

/** The path is normalised and encoded once more, as every service but S3 does. */
function canonicalPath(path: string): string {
  if (path === '/' || path === '') return '/';
  let normal = posix.normalize(path);
  if (!normal.startsWith('/')) normal = `/${normal}`;
  return normal.split('/').map(encode).join('/');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function canonicalQuery(query: string, presigned: boolean): string {
  if (query === '') return '';
  const pairs: [string, string][] = [];
  for (const part of query.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decoded(equals < 0 ? part : part.slice(0, equals));
    if (presigned && name === 'X-Amz-Signature') continue;
    pairs.push([encode(name), encode(equals < 0 ? '' : decoded(part.slice(equals + 1)))]);
  }
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

const trimmed = (value: string): string => value.trim().replace(/ {2,}/g, ' ');

export const sha256Hex = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** The canonical request of AWS Signature Version 4. */
export function canonicalRequest(
  request: SignedRequest,
  signedHeaders: readonly string[],
  presigned: boolean,
  payloadHash: string,
): string {
  let headers = '';
  for (const name of signedHeaders) {
    const value = request.headers[name];
    headers += `${name}:${Array.isArray(value) ? value.map(trimmed).join(',') : trimmed(value ?? '')}\n`;
  }
  return `${request.method}\n${canonicalPath(request.path)}\n${canonicalQuery(request.query, presigned)}\n${headers}\n${signedHeaders.join(';')}\n${payloadHash}`;
}
