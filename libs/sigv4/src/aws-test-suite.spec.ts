import { parseClaim, type SignedRequest } from './claim';
import { signRequest } from './sign';
import { deriveSigningKey } from './signing-key';
import { verifySignature } from './verify';

/*
 * AWS's published vectors: the Signature Version 4 test suite (aws-sig-v4-test-suite, as kept in awslabs/aws-c-auth under
 * tests/aws-signing-test-suite/v4, Apache-2.0), its 2011 predecessor for the Date header, and the worked example of the
 * AWS IAM User Guide, "Create a signed AWS API request".
 */

const ACCESS_KEY = 'AKIDEXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const SUITE_TIME = '20150830T123600Z';
const SUITE_SCOPE = '20150830/us-east-1/service/aws4_request';
const SUITE_KEY = deriveSigningKey(SECRET, '20150830', 'us-east-1', 'service');

/** What node:http makes of UTF-8 on the wire. */
const wire = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

interface Vector {
  name: string;
  method?: string;
  path?: string;
  query?: string;
  headers?: Record<string, string | string[]>;
  body?: string;
  signed?: string;
  signature: string;
}

const STS_TOKEN =
  'AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/' +
  'qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38' +
  'xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==';
const VANILLA = '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';
const POST_VANILLA = '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b';
const UNRESERVED = '-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const VECTORS: Vector[] = [
  { name: 'get-vanilla', signature: VANILLA },
  { name: 'get-vanilla-query', query: '', signature: VANILLA },
  {
    name: 'get-header-key-duplicate',
    headers: { 'my-header1': ['value2', 'value2', 'value1'] },
    signature: 'c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea',
  },
  {
    name: 'get-header-value-multiline',
    headers: { 'my-header1': ['value1', '  value2', '     value3'] },
    signature: 'ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790',
  },
  {
    name: 'get-header-value-order',
    headers: { 'my-header1': ['value4', 'value1', 'value3', 'value2'] },
    signature: '08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01',
  },
  {
    name: 'get-header-value-trim',
    headers: { 'my-header1': ' value1', 'my-header2': ' "a   b   c"' },
    signature: 'acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736',
  },
  {
    name: 'get-unreserved',
    path: `/${UNRESERVED}`,
    signature: '07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f',
  },
  {
    name: 'get-utf8',
    path: wire('/ሴ'),
    signature: '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
  },
  {
    name: 'get-vanilla-empty-query-key',
    query: 'Param1=value1',
    signature: 'a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb',
  },
  {
    name: 'get-vanilla-query-order-key-case',
    query: 'Param2=value2&Param1=value1',
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  },
  {
    name: 'get-vanilla-query-order-encoded',
    query: 'Param-3=Value3&Param=Value2&%E1%88%B4=Value1',
    signature: '371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac',
  },
  {
    name: 'get-vanilla-query-unreserved',
    query: `${UNRESERVED}=${UNRESERVED}`,
    signature: '9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197',
  },
  {
    name: 'get-vanilla-utf8-query',
    query: wire('ሴ=bar'),
    signature: '2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04',
  },
  {
    name: 'get-vanilla-with-session-token',
    headers: { 'x-amz-security-token': '6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267' },
    signed: 'host;x-amz-date;x-amz-security-token',
    signature: '07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8',
  },
  { name: 'normalize-path/get-relative', path: '/example/..', signature: VANILLA },
  { name: 'normalize-path/get-relative-relative', path: '/example1/example2/../..', signature: VANILLA },
  { name: 'normalize-path/get-slash', path: '//', signature: VANILLA },
  { name: 'normalize-path/get-slash-dot-slash', path: '/./', signature: VANILLA },
  {
    name: 'normalize-path/get-slash-pointless-dot',
    path: '/./example',
    signature: 'ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5',
  },
  {
    name: 'normalize-path/get-slashes',
    path: '//example//',
    signature: '9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84',
  },
  {
    name: 'normalize-path/get-space',
    path: '/example space/',
    signature: '652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741',
  },
  { name: 'post-vanilla', method: 'POST', signature: POST_VANILLA },
  { name: 'post-header-key-case', method: 'POST', signature: POST_VANILLA },
  {
    name: 'post-header-key-sort',
    method: 'POST',
    headers: { 'my-header1': 'value1' },
    signature: 'c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c',
  },
  {
    name: 'post-header-value-case',
    method: 'POST',
    headers: { 'my-header1': 'VALUE1' },
    signature: 'cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d',
  },
  {
    name: 'post-sts-token/post-sts-header-before',
    method: 'POST',
    headers: { 'x-amz-security-token': STS_TOKEN },
    signature: '85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead',
  },
  {
    name: 'post-vanilla-query',
    method: 'POST',
    query: 'Param1=value1',
    signature: '28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11',
  },
  {
    name: 'post-vanilla-query-nonunreserved',
    method: 'POST',
    query: '%40%23%24%25%5E=&%2B=%2F%2C%3F%3E%3C%60%22%3B%3A%5C%7C%5D%5B%7B%7D',
    signature: '66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e',
  },
  {
    name: 'post-vanilla-query-space',
    method: 'POST',
    query: 'p=',
    signature: 'e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b',
  },
  {
    name: 'post-x-www-form-urlencoded',
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'Param1=value1',
    signature: 'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  },
  {
    name: 'post-x-www-form-urlencoded-parameters',
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf8' },
    body: 'Param1=value1',
    signature: '1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe',
  },
];

function requestOf(vector: Vector): SignedRequest {
  const headers = { host: 'example.amazonaws.com', 'x-amz-date': SUITE_TIME, ...vector.headers };
  const signed = Object.keys(headers).sort().join(';');
  return {
    method: vector.method ?? 'GET',
    path: vector.path ?? '/',
    query: vector.query ?? '',
    headers: {
      ...headers,
      authorization: `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY}/${SUITE_SCOPE}, SignedHeaders=${signed}, Signature=${vector.signature}`,
    },
    body: Buffer.from(vector.body ?? ''),
  };
}

describe('the AWS Signature Version 4 test suite', () => {
  it.each(VECTORS)('$name verifies', (vector) => {
    const request = requestOf(vector);
    const claim = parseClaim(request);
    expect(claim).toMatchObject({ accessKeyId: ACCESS_KEY, scope: SUITE_SCOPE, amzDate: SUITE_TIME, presigned: false });
    expect(() => verifySignature(claim, request, SUITE_KEY)).not.toThrow();
    const otherBody = { ...request, body: Buffer.from(`${vector.body ?? ''}x`) };
    expect(() => verifySignature(claim, otherBody, SUITE_KEY)).toThrow('does not match the signature you provided');
  });

  const singleValued = VECTORS.filter(({ headers }) => !Object.values(headers ?? {}).some(Array.isArray));
  it.each(singleValued)('$name is signed with the published Authorization header', (vector) => {
    const request = requestOf(vector);
    const { authorization: _, 'x-amz-date': __, ...given } = request.headers as Record<string, string>;
    const headers = signRequest({
      accessKeyId: ACCESS_KEY,
      secretAccessKey: SECRET,
      region: 'us-east-1',
      service: 'service',
      timeMs: Date.UTC(2015, 7, 30, 12, 36),
      method: request.method,
      path: request.path,
      query: request.query,
      headers: given,
      body: request.body,
    });
    expect(headers).toEqual(request.headers);
  });

  const PRESIGNED =
    'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request' +
    '&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600';

  it.each([
    {
      name: 'get-vanilla-empty-query-key',
      path: '/',
      query: `Param1=value1&${PRESIGNED}&X-Amz-Signature=49096700cbbaa5753443850f40df10f904fc2fdb544dc9512203cc77c471a9de`,
    },
    {
      name: 'get-slash-pointless-dot-normalized',
      path: '/./example',
      query: `${PRESIGNED}&X-Amz-Signature=35034b1a0bdd969f346975386daf8aedfd4976573b8348cf4f67eaa41c5857de`,
    },
    {
      name: 'get-vanilla-utf8-query',
      path: '/',
      query: `${wire('ሴ')}=bar&${PRESIGNED}&X-Amz-Signature=0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600`,
    },
    {
      name: 'get-vanilla-with-session-token',
      path: '/',
      query:
        `${PRESIGNED}&X-Amz-Security-Token=6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267` +
        '&X-Amz-Signature=7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c',
      sessionToken: '6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267',
    },
  ])('presigned $name verifies', ({ path, query, sessionToken }) => {
    const request: SignedRequest = {
      method: 'GET',
      path,
      query,
      headers: { host: 'example.amazonaws.com' },
      body: Buffer.alloc(0),
    };
    const claim = parseClaim(request);
    expect(claim).toMatchObject({ presigned: true, expiresSeconds: 3600, scope: SUITE_SCOPE });
    expect(claim.sessionToken).toBe(sessionToken);
    expect(() => verifySignature(claim, request, SUITE_KEY)).not.toThrow();
    expect(() => verifySignature(claim, { ...request, path: `${path}x` }, SUITE_KEY)).toThrow('does not match');
  });

  it('verifies a request that is dated by its Date header (2011 suite, get-vanilla)', () => {
    const request: SignedRequest = {
      method: 'GET',
      path: '/',
      query: '',
      headers: {
        host: 'host.foo.com',
        date: 'Mon, 09 Sep 2011 23:36:00 GMT',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20110909/us-east-1/host/aws4_request, SignedHeaders=date;host, ' +
          'Signature=b27ccfbfa7df52a200ff74193ca6e32d4b48b8856fab7ebf1c595d0670a7e470',
      },
      body: Buffer.alloc(0),
    };
    const claim = parseClaim(request);
    expect(claim.amzDate).toBe('20110909T233600Z');
    expect(() =>
      verifySignature(claim, request, deriveSigningKey(SECRET, '20110909', 'us-east-1', 'host')),
    ).not.toThrow();
  });
});

describe('the worked example of the IAM User Guide', () => {
  it('derives the published signing key', () => {
    expect(deriveSigningKey(SECRET, '20150830', 'us-east-1', 'iam').toString('hex')).toBe(
      'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9',
    );
  });

  it('signs ListUsers as published', () => {
    const headers = signRequest({
      accessKeyId: ACCESS_KEY,
      secretAccessKey: SECRET,
      region: 'us-east-1',
      service: 'iam',
      timeMs: Date.UTC(2015, 7, 30, 12, 36),
      method: 'GET',
      path: '/',
      query: 'Action=ListUsers&Version=2010-05-08',
      headers: { host: 'iam.amazonaws.com', 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    });
    expect(headers['authorization']).toBe(
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, ' +
        'SignedHeaders=content-type;host;x-amz-date, ' +
        'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
    );
  });
});
