import { createHash } from 'node:crypto';
import { KmsError } from '#domain/errors';
import { parseClaim, type SignedRequest } from './claim';

const CREDENTIAL = 'AKIDEXAMPLE/20150830/us-east-1/kms/aws4_request';
const SIGNATURE = 'ab'.repeat(32);
const AUTHORIZATION = `AWS4-HMAC-SHA256 Credential=${CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=${SIGNATURE}`;
const HEADERS = { host: 'localhost', 'x-amz-date': '20150830T123600Z', authorization: AUTHORIZATION };
const QUERY = {
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
  'X-Amz-Credential': CREDENTIAL,
  'X-Amz-Date': '20150830T123600Z',
  'X-Amz-Expires': '60',
  'X-Amz-SignedHeaders': 'host',
  'X-Amz-Signature': SIGNATURE,
};

const request = (headers: SignedRequest['headers'], query = ''): SignedRequest => ({
  method: 'POST',
  path: '/',
  query,
  headers,
  body: new Uint8Array(0),
});
const withHeaders = (changes: SignedRequest['headers']) => request({ ...HEADERS, ...changes });
const presigned = (changes: Record<string, string | undefined>, headers: SignedRequest['headers'] = {}) => {
  const pairs = Object.entries({ ...QUERY, ...changes }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  const query = pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return request({ host: 'localhost', ...headers }, query);
};

function errorOf(signed: SignedRequest): { code: string; message: string } {
  try {
    parseClaim(signed);
  } catch (error) {
    if (error instanceof KmsError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('expected a KmsError');
}

const hashed = (text: string) => createHash('sha256').update(text).digest('base64');

describe('a claim in the Authorization header', () => {
  it('is read with all its parts', () => {
    expect(parseClaim(withHeaders({}))).toEqual({
      accessKeyId: 'AKIDEXAMPLE',
      date: '20150830',
      region: 'us-east-1',
      service: 'kms',
      scope: '20150830/us-east-1/kms/aws4_request',
      signedHeaders: ['host', 'x-amz-date'],
      signature: SIGNATURE,
      amzDate: '20150830T123600Z',
      presigned: false,
    });
  });

  it.each([
    ['commas without spaces', AUTHORIZATION.replaceAll(', ', ',')],
    ['spaces without commas', AUTHORIZATION.replaceAll(', ', ' ')],
    ['runs of both', `  ${AUTHORIZATION.replaceAll(', ', ' ,\t, ')} ,`],
    [
      'parts in another order',
      `AWS4-HMAC-SHA256 Signature=${SIGNATURE}, SignedHeaders=host;x-amz-date, Credential=${CREDENTIAL}`,
    ],
  ])('may part its pairs by %s', (_, authorization) => {
    expect(parseClaim(withHeaders({ authorization }))).toEqual(parseClaim(withHeaders({})));
  });

  it('carries the session token, which must be signed', () => {
    const authorization = AUTHORIZATION.replace('x-amz-date', 'x-amz-date;x-amz-security-token');
    expect(parseClaim(withHeaders({ authorization, 'x-amz-security-token': 'token' })).sessionToken).toBe('token');
    expect(errorOf(withHeaders({ 'x-amz-security-token': 'token' })).code).toBe('InvalidSignatureException');
  });

  it('prefers x-amz-date to Date', () => {
    const date = 'Mon, 31 Aug 2015 00:00:00 GMT';
    expect(parseClaim(withHeaders({ date })).amzDate).toBe('20150830T123600Z');
  });

  it.each(['Sun, 30 Aug 2015 12:36:00 GMT', 'Sun, 30 Aug 2015 12:36:00 -0000', '20150830T123600Z'])(
    'takes the Date header %s where there is no x-amz-date',
    (date) => {
      const authorization = AUTHORIZATION.replace('host;x-amz-date', 'date;host');
      expect(parseClaim(request({ host: 'localhost', date, authorization })).amzDate).toBe('20150830T123600Z');
    },
  );
});

describe('a presigned claim', () => {
  it('is read with all its parts', () => {
    expect(parseClaim(presigned({ 'X-Amz-Security-Token': 'a+/=' }))).toEqual({
      accessKeyId: 'AKIDEXAMPLE',
      date: '20150830',
      region: 'us-east-1',
      service: 'kms',
      scope: '20150830/us-east-1/kms/aws4_request',
      signedHeaders: ['host'],
      signature: SIGNATURE,
      amzDate: '20150830T123600Z',
      presigned: true,
      expiresSeconds: 60,
      sessionToken: 'a+/=',
    });
  });

  it('may leave X-Amz-Expires out', () => {
    expect(parseClaim(presigned({ 'X-Amz-Expires': undefined })).expiresSeconds).toBeUndefined();
  });
});

const INCOMPLETE = 'IncompleteSignatureException';
const INVALID = 'InvalidSignatureException';
const badDate = (date: string) =>
  `Date must be in ISO-8601 'basic format'. Got '${date}'. See http://en.wikipedia.org/wiki/ISO_8601`;
const badPair = (header: string) =>
  'Invalid key=value pair (missing equal-sign) in Authorization header ' +
  `(hashed with SHA-256 and encoded with Base64): '${hashed(header)}'.`;
const lacking = (header: string, ...sentences: string[]) =>
  `${sentences.join(' ')} (Hashed with SHA-256 and encoded with Base64) Authorization=${hashed(header)}`;
const NEEDS = {
  credential: "Authorization header requires 'Credential' parameter.",
  signature: "Authorization header requires 'Signature' parameter.",
  signedHeaders: "Authorization header requires 'SignedHeaders' parameter.",
  date: "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
};
const must = (name: string) => `'${name}' must be a 'SignedHeader' in the AWS Authorization.`;
const signing = (names: string) => withHeaders({ authorization: AUTHORIZATION.replace('host;x-amz-date', names) });
const credential = (text: string) => withHeaders({ authorization: AUTHORIZATION.replace(CREDENTIAL, text) });
const authorized = (authorization: string) => withHeaders({ authorization });
const badOrder = (names: string) =>
  `SignedHeaders must be lower-cased header names in ascending order, got '${names}'.`;
const badCredential = (text: string) =>
  `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${text}'`;

describe('a request is refused', () => {
  const cases: [string, SignedRequest, string, string][] = [
    [
      'with no authentication',
      request({ host: 'a' }),
      'MissingAuthenticationTokenException',
      'Missing Authentication Token',
    ],
    ['with an empty header', authorized(''), 'MissingAuthenticationTokenException', 'Missing Authentication Token'],
    [
      'with both forms',
      request(HEADERS, 'X-Amz-Algorithm'),
      INVALID,
      "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    ],
    [
      'with nothing but a word',
      request({ authorization: 'a' }),
      INCOMPLETE,
      lacking('a', NEEDS.credential, NEEDS.signature, NEEDS.signedHeaders, NEEDS.date),
    ],
    [
      'without Signature',
      authorized(`AWS4-HMAC-SHA256 Credential=${CREDENTIAL}, SignedHeaders=host`),
      INCOMPLETE,
      lacking(`AWS4-HMAC-SHA256 Credential=${CREDENTIAL}, SignedHeaders=host`, NEEDS.signature),
    ],
    [
      'without Credential',
      authorized(AUTHORIZATION.replace(`Credential=${CREDENTIAL}, `, '')),
      INCOMPLETE,
      lacking(AUTHORIZATION.replace(`Credential=${CREDENTIAL}, `, ''), NEEDS.credential),
    ],
    ['without a date', withHeaders({ 'x-amz-date': undefined }), INCOMPLETE, lacking(AUTHORIZATION, NEEDS.date)],
    ['with another scheme', authorized('Bearer secret'), INCOMPLETE, badPair('Bearer secret')],
    [
      'with a part that comes twice',
      authorized(`${AUTHORIZATION}, Signature=${SIGNATURE}`),
      INCOMPLETE,
      "Authorization header must not repeat 'Signature' parameter.",
    ],
    [
      'with two Authorization headers',
      withHeaders({ authorization: [AUTHORIZATION, AUTHORIZATION] }),
      INCOMPLETE,
      "The request must not repeat the 'authorization' header.",
    ],
    [
      'with another algorithm',
      authorized(AUTHORIZATION.replace('SHA256', 'SHA25')),
      INCOMPLETE,
      "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now).",
    ],
    ['with a short date', withHeaders({ 'x-amz-date': '201' }), INCOMPLETE, badDate('201')],
    [
      'with a day that is none',
      withHeaders({ 'x-amz-date': '20150230T123600Z' }),
      INCOMPLETE,
      badDate('20150230T123600Z'),
    ],
    [
      'with an HTTP date as x-amz-date',
      withHeaders({ 'x-amz-date': 'Sun, 30 Aug 2015 12:36:00 GMT' }),
      INCOMPLETE,
      badDate('Sun, 30 Aug 2015 12:36:00 GMT'),
    ],
    ['with four elements of credential', credential('a/b/c/d'), INCOMPLETE, badCredential('a/b/c/d')],
    ['with six elements of credential', credential('a/b/c/d/e/f'), INCOMPLETE, badCredential('a/b/c/d/e/f')],
    [
      'with an access key longer than any',
      credential(`${'A'.repeat(129)}/b/c/d/e`),
      INCOMPLETE,
      'Credential must name an access key of at most 128 characters.',
    ],
    ['with an empty access key', credential('/b/c/d/e'), INCOMPLETE, badCredential('/b/c/d/e')],
    [
      'without host signed',
      signing('x-amz-date'),
      INVALID,
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    ['without its date signed', signing('host'), INVALID, must('x-amz-date')],
    [
      'without its Date header signed',
      request({ host: 'a', date: '20150830T123600Z', authorization: AUTHORIZATION }),
      INVALID,
      must('date'),
    ],
    [
      'without its operation signed',
      withHeaders({ 'x-amz-target': 'TrentService.Encrypt' }),
      INVALID,
      must('x-amz-target'),
    ],
    ['with signed headers out of order', signing('x-amz-date;host'), INCOMPLETE, badOrder('x-amz-date;host')],
    ['with a signed header twice', signing('host;host;x-amz-date'), INCOMPLETE, badOrder('host;host;x-amz-date')],
    ['with a signed header in upper case', signing('Host;x-amz-date'), INCOMPLETE, badOrder('Host;x-amz-date')],
    ['with an empty name among them', signing('host;;x-amz-date'), INCOMPLETE, badOrder('host;;x-amz-date')],
    [
      'with too many signed headers',
      signing(Array.from({ length: 101 }, (_, i) => `h${i + 100}`).join(';')),
      INCOMPLETE,
      'SignedHeaders must not have more than 100 elements.',
    ],
    [
      'presigned with nothing but the algorithm',
      request({ host: 'a' }, 'X-Amz-Algorithm'),
      INCOMPLETE,
      "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query-string parameters must include 'X-Amz-Credential'. " +
        "AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include " +
        "'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.",
    ],
    [
      'presigned with a parameter twice',
      request({ host: 'a' }, 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=1&X-Amz-Date=2'),
      INCOMPLETE,
      "AWS query-string parameters must not repeat 'X-Amz-Date'. Re-examine the query-string parameters.",
    ],
    [
      'presigned with a broken escape',
      request({ host: 'a' }, 'X-Amz-Algorithm=AWS4-HMAC-SHA256&a=%zz'),
      INCOMPLETE,
      "Illegal hex character in escape % pattern: '%zz'",
    ],
    [
      'presigned with an escape cut off',
      request({ host: 'a' }, 'X-Amz-Algorithm=AWS4-HMAC-SHA256&a=%2'),
      INCOMPLETE,
      "Illegal hex character in escape % pattern: '%2'",
    ],
    [
      'presigned with another algorithm',
      presigned({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }),
      INCOMPLETE,
      "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now).",
    ],
    [
      'presigned without host signed',
      presigned({ 'X-Amz-SignedHeaders': 'x-amz-target' }, { 'x-amz-target': 'a' }),
      INVALID,
      "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    ],
    ['presigned without its operation signed', presigned({}, { 'x-amz-target': 'a' }), INVALID, must('x-amz-target')],
    ['presigned with an HTTP date', presigned({ 'X-Amz-Date': 'Sun' }), INCOMPLETE, badDate('Sun')],
    ['presigned for a word', presigned({ 'X-Amz-Expires': 'soon' }), INCOMPLETE, 'X-Amz-Expires should be a number'],
    ['presigned for a fraction', presigned({ 'X-Amz-Expires': '1.5' }), INCOMPLETE, 'X-Amz-Expires should be a number'],
  ];

  it.each(cases)('%s', (_, signed, code, message) => {
    expect(errorOf(signed)).toEqual({ code, message });
  });

  it('without a word of what another scheme put into Authorization', () => {
    expect(errorOf(authorized('Basic cm9vdDpodW50ZXIy')).message).not.toContain('cm9vd');
    expect(errorOf(authorized('cm9vdDpodW50ZXIy')).message).not.toContain('cm9vd');
  });

  it('with what it sent cut where it is absurdly long', () => {
    const { code, message } = errorOf(credential('x'.repeat(60_000)));
    expect(code).toBe(INCOMPLETE);
    expect(message.length).toBeLessThan(300);
  });
});
