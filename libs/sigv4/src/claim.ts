import { isRegionName } from '#domain/arn';
import { KmsError } from '#domain/errors';

/** A request as it came over the wire. `path` and `query` are raw; header names are in lower case. */
export interface SignedRequest {
  method: string;
  path: string;
  query: string;
  headers: Record<string, string | string[] | undefined>;
  body: Uint8Array;
}

/** What a request claims about its signature, taken apart but not yet believed. */
export interface Claim {
  accessKeyId: string;
  /** yyyymmdd */
  date: string;
  region: string;
  service: string;
  /** `date/region/service/aws4_request` */
  scope: string;
  signedHeaders: readonly string[];
  signature: string;
  /** yyyymmddThhmmssZ */
  amzDate: string;
  presigned: boolean;
  expiresSeconds?: number;
  sessionToken?: string;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const MAX_HEADER = 8_192;

const incomplete = (message: string): KmsError => new KmsError('IncompleteSignatureException', message);

/** Reads the Authorization header or the presigned query. Throws Missing... or IncompleteSignatureException. */
export function parseClaim(request: SignedRequest): Claim {
  const authorization = single(request, 'authorization');
  if (authorization !== undefined) return fromHeader(authorization, request);
  if (request.query.includes('X-Amz-Algorithm=')) return fromQuery(request);
  throw new KmsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
}

function single(request: SignedRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

function fromHeader(authorization: string, request: SignedRequest): Claim {
  if (authorization.length > MAX_HEADER) throw incomplete('The Authorization header is too long.');
  if (!authorization.startsWith(`${ALGORITHM} `)) {
    throw incomplete(`Unsupported AWS 'algorithm': '${authorization.split(' ', 1)[0]!.slice(0, 64)}'`);
  }
  const parts = new Map<string, string>();
  for (const part of authorization.slice(ALGORITHM.length + 1).split(',')) {
    const equals = part.indexOf('=');
    if (equals > 0) parts.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const missing = ['Credential', 'Signature', 'SignedHeaders']
    .filter((name) => !parts.get(name))
    .map((name) => `Authorization header requires '${name}' parameter.`);
  const amzDate = single(request, 'x-amz-date') ?? fromHttpDate(single(request, 'date'));
  if (amzDate === undefined) {
    missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  if (missing.length > 0) throw incomplete(`${missing.join(' ')} Authorization=${ALGORITHM}`);
  const sessionToken = single(request, 'x-amz-security-token');
  return {
    ...credential(parts.get('Credential')!),
    signedHeaders: signedHeaders(parts.get('SignedHeaders')!, request),
    signature: parts.get('Signature')!,
    amzDate: checkedDate(amzDate!),
    presigned: false,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
}

function fromQuery(request: SignedRequest): Claim {
  if (request.query.length > 16_384) throw incomplete('The query string is too long.');
  const query = new URLSearchParams(request.query);
  const missing = ['X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders', 'X-Amz-Date', 'X-Amz-Expires']
    .filter((name) => !query.get(name))
    .map((name) => `AWS query-string parameters must include '${name}'.`);
  if (missing.length > 0) throw incomplete(missing.join(' '));
  if (query.get('X-Amz-Algorithm') !== ALGORITHM) throw incomplete("Unsupported AWS 'algorithm'.");
  const expires = query.get('X-Amz-Expires')!;
  if (!/^\d{1,6}$/.test(expires) || Number(expires) < 1 || Number(expires) > 604_800) {
    throw incomplete("AWS query-string parameter 'X-Amz-Expires' must be from 1 to 604800 seconds.");
  }
  const sessionToken = query.get('X-Amz-Security-Token');
  return {
    ...credential(query.get('X-Amz-Credential')!),
    signedHeaders: signedHeaders(query.get('X-Amz-SignedHeaders')!, request),
    signature: query.get('X-Amz-Signature')!,
    amzDate: checkedDate(query.get('X-Amz-Date')!),
    presigned: true,
    expiresSeconds: Number(expires),
    ...(sessionToken === null ? {} : { sessionToken }),
  };
}

function credential(text: string): Pick<Claim, 'accessKeyId' | 'date' | 'region' | 'service' | 'scope'> {
  const parts = text.split('/');
  const [accessKeyId, date, region, service, terminator] = parts;
  if (parts.length !== 5 || !accessKeyId || accessKeyId.length > 128 || terminator !== 'aws4_request') {
    throw incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.");
  }
  if (!/^\d{8}$/.test(date!) || !isRegionName(region!)) {
    throw new KmsError('InvalidSignatureException', 'Credential should be scoped to a valid date and region.');
  }
  return { accessKeyId, date: date!, region: region!, service: service!, scope: `${date}/${region}/${service}/aws4_request` };
}

/** Host, and every x-amz- header that is there, must be under the signature. */
function signedHeaders(text: string, request: SignedRequest): readonly string[] {
  const names = text.split(';');
  const signed = new Set(names);
  if (!signed.has('host') && !signed.has(':authority')) {
    throw new KmsError('InvalidSignatureException', "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const name in request.headers) {
    if (name.startsWith('x-amz-') && !signed.has(name)) {
      throw new KmsError('InvalidSignatureException', `'${name}' must be a 'SignedHeader' in the AWS Authorization.`);
    }
  }
  return names;
}

function checkedDate(amzDate: string): string {
  if (/^\d{8}T\d{6}Z$/.test(amzDate)) return amzDate;
  throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${amzDate.slice(0, 64)}'. See http://en.wikipedia.org/wiki/ISO_8601`);
}

function fromHttpDate(date: string | undefined): string | undefined {
  if (date === undefined || /^\d{8}T/.test(date)) return date;
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? date : new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '');
}
