import { amzDateOfHttpDate, parseAmzDate } from './amz-date';
import { hashedAuthorization, incomplete, invalid, missingToken, quoted } from './authentication-errors';
import { parseAuthorization } from './authorization-header';
import {
  ALGORITHM,
  parseQuery,
  type QueryParameter,
  type RequestHeaders,
  SIGNATURE_PARAMETER,
} from './canonical-request';
import { decodeComponent } from './uri-encoding';

/** A request as it came over the wire. Strings are byte strings, one character a byte, as node:http hands them over. */
export interface SignedRequest {
  method: string;
  /** Raw, undecoded, as on the request line, without the query. */
  path: string;
  /** Raw, without the `?`. */
  query: string;
  /** By lower-cased name. */
  headers: RequestHeaders;
  body: Uint8Array;
}

/** Who a request says it is from and what it says it signed. Nothing of it is true until `verifySignature` returns. */
export interface SignatureClaim {
  accessKeyId: string;
  /** yyyymmdd */
  date: string;
  region: string;
  service: string;
  /** date/region/service/terminator */
  scope: string;
  /** Lower-cased, ascending, with `host` and every x-amz-* header of the request among them. */
  signedHeaders: readonly string[];
  /** Hex, as sent. */
  signature: string;
  /** yyyymmddThhmmssZ, a real moment. */
  amzDate: string;
  presigned: boolean;
  /** Only of a presigned request; its bounds are checked by `checkFreshness`. */
  expiresSeconds?: number;
  sessionToken?: string;
}

/**
 * Reads the Authorization header or, where the query has X-Amz-Algorithm, the presigned form.
 * Throws MissingAuthenticationTokenException, IncompleteSignatureException or InvalidSignatureException.
 */
export function parseClaim(request: SignedRequest): SignatureClaim {
  const authorization = single(request.headers, 'authorization');
  const parameters = request.query.includes('X-Amz-') ? parseQuery(request.query) : [];
  const presigned = parameters.some(({ name }) => name === 'X-Amz-Algorithm');
  if (authorization && presigned) {
    throw invalid("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.");
  }
  if (presigned) return presignedClaim(parameters, request.headers);
  if (authorization) return headerClaim(authorization, request.headers);
  throw missingToken();
}

function headerClaim(header: string, headers: RequestHeaders): SignatureClaim {
  const { algorithm, credential, signedHeaders, signature } = parseAuthorization(header);
  const dateHeader = headers['x-amz-date'] === undefined ? 'date' : 'x-amz-date';
  const date = single(headers, dateHeader);
  if (!credential || !signature || signedHeaders === undefined || !date) {
    const missing: string[] = [];
    if (!credential) missing.push("Authorization header requires 'Credential' parameter.");
    if (!signature) missing.push("Authorization header requires 'Signature' parameter.");
    if (signedHeaders === undefined) missing.push("Authorization header requires 'SignedHeaders' parameter.");
    if (!date) {
      missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
    }
    throw incomplete(
      `${missing.join(' ')} (Hashed with SHA-256 and encoded with Base64) Authorization=${hashedAuthorization(header)}`,
    );
  }
  checkAlgorithm(algorithm);
  const amzDate = amzDateOf(date, dateHeader === 'date');
  const names = signedNames(signedHeaders, headers);
  if (!names.includes(dateHeader)) throw unsigned(dateHeader);
  const claim = signatureClaim(credential, names, signature, amzDate, false);
  claim.sessionToken = single(headers, 'x-amz-security-token');
  return claim;
}

const REQUIRED_PARAMETERS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  SIGNATURE_PARAMETER,
  'X-Amz-SignedHeaders',
  'X-Amz-Date',
] as const;
const REEXAMINE = 'Re-examine the query-string parameters.';

function presignedClaim(parameters: readonly QueryParameter[], headers: RequestHeaders): SignatureClaim {
  const found = new Map<string, string>();
  for (const { name, value } of parameters) {
    if (!name.startsWith('X-Amz-')) continue;
    if (found.has(name)) throw incomplete(`AWS query-string parameters must not repeat ${quoted(name)}. ${REEXAMINE}`);
    found.set(name, decodeComponent(value));
  }
  const missing = REQUIRED_PARAMETERS.filter((name) => !found.get(name));
  if (missing.length > 0) {
    const sentences = missing.map((name) => `AWS query-string parameters must include '${name}'.`);
    throw incomplete(`${sentences.join(' ')} ${REEXAMINE}`);
  }
  checkAlgorithm(found.get('X-Amz-Algorithm')!);
  const amzDate = amzDateOf(found.get('X-Amz-Date')!, false);
  const names = signedNames(found.get('X-Amz-SignedHeaders')!, headers);
  const claim = signatureClaim(found.get('X-Amz-Credential')!, names, found.get(SIGNATURE_PARAMETER)!, amzDate, true);
  const expires = found.get('X-Amz-Expires');
  claim.expiresSeconds = expires === undefined ? undefined : secondsOf(expires);
  claim.sessionToken = found.get('X-Amz-Security-Token');
  return claim;
}

function checkAlgorithm(algorithm: string): void {
  if (algorithm === ALGORITHM) return;
  throw incomplete(`Unsupported AWS 'algorithm': ${quoted(algorithm)} (only ${ALGORITHM} for now).`);
}

function amzDateOf(text: string, httpDateAllowed: boolean): string {
  const amzDate = parseAmzDate(text) === undefined ? httpDateAllowed && amzDateOfHttpDate(text) : text;
  if (amzDate) return amzDate;
  throw incomplete(
    `Date must be in ISO-8601 'basic format'. Got ${quoted(text)}. See http://en.wikipedia.org/wiki/ISO_8601`,
  );
}

/** IAM's bound (AccessKey, AccessKeyId); what is longer is nobody's, so it is not even looked up. */
const LONGEST_ACCESS_KEY_ID = 128;

// A plain literal: object spread here was a tenth of the whole verification.
function signatureClaim(
  credential: string,
  signedHeaders: readonly string[],
  signature: string,
  amzDate: string,
  presigned: boolean,
): SignatureClaim {
  const parts = credential.split('/');
  if (parts.length !== 5 || parts.includes('')) {
    throw incomplete(
      'Credential must have exactly 5 slash-delimited elements, ' +
        `e.g. keyid/date/region/service/term, got ${quoted(credential)}`,
    );
  }
  if (parts[0]!.length > LONGEST_ACCESS_KEY_ID) {
    throw incomplete(`Credential must name an access key of at most ${LONGEST_ACCESS_KEY_ID} characters.`);
  }
  return {
    accessKeyId: parts[0]!,
    date: parts[1]!,
    region: parts[2]!,
    service: parts[3]!,
    scope: credential.slice(parts[0]!.length + 1),
    signedHeaders,
    signature,
    amzDate,
    presigned,
    expiresSeconds: undefined,
    sessionToken: undefined,
  };
}

/** Keep the checks below cheap whatever a caller sends; the SDKs sign about ten headers. */
const MAX_SIGNED_HEADERS = 100;
const LONGEST_SIGNED_HEADERS = 4_096;
const HEADER_NAMES = /^(?:[a-z0-9!#$%&'*+.^_`|~-]+(?:;[a-z0-9!#$%&'*+.^_`|~-]+)*)?$/;

function signedNames(text: string, headers: RequestHeaders): string[] {
  const names = text.length > LONGEST_SIGNED_HEADERS ? [] : text.split(';');
  if (names.length === 0 || names.length > MAX_SIGNED_HEADERS) {
    throw incomplete(`SignedHeaders must not have more than ${MAX_SIGNED_HEADERS} elements.`);
  }
  let isOrdered = HEADER_NAMES.test(text);
  for (let i = 1; isOrdered && i < names.length; i++) isOrdered = names[i - 1]! < names[i]!;
  if (!isOrdered) {
    throw incomplete(`SignedHeaders must be lower-cased header names in ascending order, got ${quoted(text)}.`);
  }
  if (!names.includes('host'))
    throw invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  // These headers steer the service (x-amz-target names the operation), so none may be added or changed on the way.
  for (const name in headers) {
    if (name.startsWith('x-amz-') && headers[name] !== undefined && !names.includes(name)) throw unsigned(name);
  }
  return names;
}

const unsigned = (name: string) => invalid(`${quoted(name)} must be a 'SignedHeader' in the AWS Authorization.`);

const SECONDS = /^-?[0-9]{1,15}$/;

function secondsOf(text: string): number {
  if (!SECONDS.test(text)) throw incomplete('X-Amz-Expires should be a number');
  return Number(text);
}

/** A header that means nothing when it comes twice. */
function single(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  if (!Array.isArray(value)) return value;
  if (value.length > 1) throw incomplete(`The request must not repeat the ${quoted(name)} header.`);
  return value[0];
}
