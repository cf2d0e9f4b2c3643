import { formatAmzDate } from './amz-date';
import {
  ALGORITHM,
  canonicalRequest,
  hashOfBody,
  parseQuery,
  SIGNATURE_PARAMETER,
  signatureOf,
  TERMINATOR,
} from './canonical-request';
import { deriveSigningKey } from './signing-key';
import { uriEncode } from './uri-encoding';

/** A request to sign, and with what. Strings are byte strings: encode what is not ASCII before. */
export interface SigningInput {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  region: string;
  service: string;
  /** Time of signing, milliseconds since 1970. */
  timeMs: number;
  method: string;
  /** As it will stand on the request line, without the query. */
  path: string;
  /** As it will stand on the request line, without the `?`. */
  query?: string;
  /** By lower-cased name, with `host`. All of them are signed. */
  headers: Record<string, string>;
  body?: Uint8Array;
  /** What `deriveSigningKey` gives for this secret, day, region and service, for callers who sign much. */
  signingKey?: Uint8Array;
}

const NO_BODY = new Uint8Array(0);

/** The headers to send: those given, with x-amz-date, x-amz-security-token where there is one, and authorization. */
export function signRequest(input: SigningInput): Record<string, string> {
  const amzDate = formatAmzDate(input.timeMs);
  const headers: Record<string, string> = { ...input.headers, 'x-amz-date': amzDate };
  if (input.sessionToken !== undefined) headers['x-amz-security-token'] = input.sessionToken;
  const signedHeaders = Object.keys(headers).sort();
  const signature = sign(input, amzDate, input.query ?? '', headers, signedHeaders);
  headers['authorization'] =
    `${ALGORITHM} Credential=${input.accessKeyId}/${scopeOf(input, amzDate)}, ` +
    `SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`;
  return headers;
}

/** The query string of the same request in presigned form, good for `expiresSeconds`. Send `input.headers` with it. */
export function presignQuery(input: SigningInput, expiresSeconds: number): string {
  const amzDate = formatAmzDate(input.timeMs);
  const signedHeaders = Object.keys(input.headers).sort();
  const parameters: [string, string][] = [
    ['X-Amz-Algorithm', ALGORITHM],
    ['X-Amz-Credential', `${input.accessKeyId}/${scopeOf(input, amzDate)}`],
    ['X-Amz-Date', amzDate],
    ['X-Amz-Expires', String(expiresSeconds)],
    ['X-Amz-SignedHeaders', signedHeaders.join(';')],
  ];
  if (input.sessionToken !== undefined) parameters.push(['X-Amz-Security-Token', input.sessionToken]);
  const own = parameters.map(([name, value]) => `${name}=${uriEncode(value)}`).join('&');
  const query = input.query ? `${input.query}&${own}` : own;
  return `${query}&${SIGNATURE_PARAMETER}=${sign(input, amzDate, query, input.headers, signedHeaders)}`;
}

function sign(
  input: SigningInput,
  amzDate: string,
  query: string,
  headers: Record<string, string>,
  signedHeaders: readonly string[],
): string {
  const { secretAccessKey, region, service, method, path } = input;
  const key = input.signingKey ?? deriveSigningKey(secretAccessKey, amzDate.slice(0, 8), region, service);
  const bodyHash = hashOfBody(input.body ?? NO_BODY);
  const canonical = canonicalRequest({ method, path, parameters: parseQuery(query), headers, signedHeaders, bodyHash });
  return signatureOf(canonical, amzDate, scopeOf(input, amzDate), key);
}

const scopeOf = ({ region, service }: SigningInput, amzDate: string): string =>
  `${amzDate.slice(0, 8)}/${region}/${service}/${TERMINATOR}`;
