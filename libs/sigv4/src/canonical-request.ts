import { createHash, createHmac } from 'node:crypto';
import { mismatch } from './authentication-errors';
import { canonicalComponent, uriEncode } from './uri-encoding';

/*
 * The canonical request and the string to sign.
 * Source: AWS IAM User Guide, "Create a signed AWS API request". Services other than S3 normalise the path and
 * encode it once more than the client did; KMS is one of them.
 */

export const ALGORITHM = 'AWS4-HMAC-SHA256';
export const TERMINATOR = 'aws4_request';
export const SIGNATURE_PARAMETER = 'X-Amz-Signature';

/** Header values by lower-cased name, as node:http has them. A list is a header that was sent more than once. */
export type RequestHeaders = Record<string, string | string[] | undefined>;

/** Name and value are in canonical form: URI-encoded. */
export interface QueryParameter {
  name: string;
  value: string;
}

/** What of a request a signature covers. */
export interface CanonicalParts {
  method: string;
  path: string;
  parameters: readonly QueryParameter[];
  headers: RequestHeaders;
  signedHeaders: readonly string[];
  bodyHash: string;
}

/** Throws InvalidSignatureException where a signed header is missing, or holds what no HTTP header can. */
export function canonicalRequest(parts: CanonicalParts): string {
  const { method, path, parameters, headers, signedHeaders, bodyHash } = parts;
  if (NOT_FIELD_TEXT.test(method)) throw mismatch();
  let text = `${method}\n${canonicalPath(path)}\n${canonicalQuery(parameters)}\n`;
  for (const name of signedHeaders) text += `${name}:${canonicalHeaderValue(headers[name])}\n`;
  return `${text}\n${signedHeaders.join(';')}\n${bodyHash}`;
}

/** Hex signature of a canonical request. `scope` is date/region/service/aws4_request. */
export function signatureOf(canonical: string, amzDate: string, scope: string, signingKey: Uint8Array): string {
  const hash = createHash('sha256').update(canonical, 'latin1').digest('hex');
  return createHmac('sha256', signingKey).update(`${ALGORITHM}\n${amzDate}\n${scope}\n${hash}`, 'latin1').digest('hex');
}

const EMPTY_BODY_HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Hex SHA-256. */
export const hashOfBody = (body: Uint8Array): string =>
  body.length === 0 ? EMPTY_BODY_HASH : createHash('sha256').update(body).digest('hex');

/** Removes empty and dot segments (RFC 3986 section 5.2.4, runs of slashes as one), then encodes. */
export function canonicalPath(path: string): string {
  if (path === '/' || path === '') return '/';
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') kept.pop();
    else kept.push(uriEncode(segment));
  }
  if (kept.length === 0) return '/';
  return `/${kept.join('/')}${path.endsWith('/') ? '/' : ''}`;
}

/** The parameters of a raw query string in the order they came. Throws IncompleteSignatureException for a broken escape. */
export function parseQuery(query: string): QueryParameter[] {
  if (query === '') return [];
  return query.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    return equals < 0
      ? { name: canonicalComponent(pair), value: '' }
      : { name: canonicalComponent(pair.slice(0, equals)), value: canonicalComponent(pair.slice(equals + 1)) };
  });
}

/** Sorted by name, then value, after encoding; everything but the signature itself. */
export function canonicalQuery(parameters: readonly QueryParameter[]): string {
  if (parameters.length === 0) return '';
  return parameters
    .filter(({ name }) => name !== SIGNATURE_PARAMETER)
    .sort((a, b) => compareText(a.name, b.name) || compareText(a.value, b.value))
    .map(({ name, value }) => `${name}=${value}`)
    .join('&');
}

// Canonical components are ASCII, so comparing code units is comparing code points.
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Anything a header value or method cannot hold: a line break here could pass one canonical line off as two. */
const NOT_FIELD_TEXT = /[^\t\x20-\x7e\x80-\xff]/;
const SPACES = /[ \t]+/;

function canonicalHeaderValue(value: string | string[] | undefined): string {
  if (typeof value === 'string') return trimmed(value);
  if (Array.isArray(value)) return value.map(trimmed).join(',');
  throw mismatch();
}

/** Without outer white space, and with each inner run of it as one space. */
function trimmed(value: string): string {
  if (NOT_FIELD_TEXT.test(value)) throw mismatch();
  const isTrim = !value.startsWith(' ') && !value.endsWith(' ') && !value.includes('  ') && !value.includes('\t');
  if (isTrim) return value;
  return value
    .split(SPACES)
    .filter((word) => word !== '')
    .join(' ');
}
