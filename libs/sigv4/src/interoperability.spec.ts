import { spawnSync } from 'node:child_process';
import { DescribeKeyCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms';
import { parseClaim, type SignatureClaim, type SignedRequest } from './claim';
import { deriveSigningKey } from './signing-key';
import { checkFreshness, checkScope, verifySignature } from './verify';

/* Requests signed by AWS's own signers, JavaScript and Python, must verify here. */

const ACCESS_KEY = 'AKIDEXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';

function authenticate(request: SignedRequest, nowMs: number): SignatureClaim {
  const claim = parseClaim(request);
  checkScope(claim, ['kms']);
  checkFreshness(claim, nowMs);
  verifySignature(claim, request, deriveSigningKey(SECRET, claim.date, claim.region, claim.service));
  return claim;
}

function tamperedWith(request: SignedRequest): SignedRequest {
  return { ...request, body: Buffer.concat([request.body, Buffer.from(' ')]) };
}

describe('the AWS SDK for JavaScript', () => {
  interface SdkRequest {
    method: string;
    path: string;
    headers: Record<string, string>;
    body?: string | Uint8Array;
  }

  async function captured(sessionToken: string | undefined, send: (client: KMSClient) => Promise<unknown>) {
    let request: SdkRequest | undefined;
    const client = new KMSClient({
      region: 'eu-west-1',
      endpoint: 'http://127.0.0.1:4599',
      credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET, sessionToken },
      maxAttempts: 1,
      requestHandler: {
        handle: async (sent: SdkRequest) => {
          request = sent;
          throw new Error('captured, not sent');
        },
      } as never,
    });
    await expect(send(client)).rejects.toThrow('captured, not sent');
    const { method, path, headers, body } = request!;
    const lowerCased = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    return {
      method,
      path,
      query: '',
      headers: lowerCased,
      body: typeof body === 'string' ? Buffer.from(body) : Buffer.from(Uint8Array.from(body ?? [])),
    };
  }

  it.each([undefined, 'session/token+='])('signs what verifies (session token %s)', async (sessionToken) => {
    for (const command of [
      new EncryptCommand({ KeyId: 'alias/a', Plaintext: Buffer.from('plain'), EncryptionContext: { é: 'ü' } }),
      new DescribeKeyCommand({ KeyId: 'alias/a' }),
    ]) {
      const request = await captured(sessionToken, (client) => client.send(command as EncryptCommand));
      const claim = authenticate(request, Date.now());
      expect(claim).toMatchObject({ accessKeyId: ACCESS_KEY, region: 'eu-west-1', service: 'kms', presigned: false });
      expect(claim.sessionToken).toBe(sessionToken);
      expect(() => authenticate(tamperedWith(request), Date.now())).toThrow('does not match');
    }
  });
});

const SIGN_WITH_BOTOCORE = `
import base64, json
from urllib.parse import urlsplit
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

BASE = 'http://localhost:4599'
JSON_HEADERS = {'Content-Type': 'application/x-amz-json-1.1', 'X-Amz-Target': 'TrentService.Encrypt'}
CASES = [
    ('POST', '/', JSON_HEADERS, b'{"KeyId":"alias/a"}', None),
    ('POST', '/', JSON_HEADERS, b'{"KeyId":"alias/a"}', 'session/token+='),
    ('POST', '/', JSON_HEADERS, b'', None),
    ('POST', '/', JSON_HEADERS, bytes(range(256)), None),
    ('GET', '/', {}, b'', None),
    ('GET', '/a/./b/../c//d/', {}, b'', None),
    ('GET', '/a%20b/%E1%88%B4/~x', {}, b'', None),
    ('GET', '/?b=2&a=1&a-b=3&empty=&c=%2Fx%20y', {}, b'', None),
    ('GET', '/', {'X-Amz-Spaces': 'a   b', 'My-Header': ' x  y  '}, b'', None),
    ('POST', '/', {**JSON_HEADERS, 'Date': 'now'}, b'{}', None),
]
out = []
for method, target, headers, body, token in CASES:
    for presign in (False, True):
        if presign and body or presign and 'Date' in headers:
            continue
        credentials = Credentials('${ACCESS_KEY}', '${SECRET}', token)
        request = AWSRequest(method=method, url=BASE + target, headers=dict(headers), data=body)
        request.headers['Host'] = 'localhost:4599'
        if presign:
            SigV4QueryAuth(credentials, 'kms', 'us-west-2', expires=120).add_auth(request)
        else:
            SigV4Auth(credentials, 'kms', 'us-west-2').add_auth(request)
        url = urlsplit(request.url)
        if presign:
            for name in ('X-Amz-Date', 'X-Amz-Security-Token'):
                assert name not in request.headers
        out.append({
            'method': method, 'path': url.path, 'query': url.query,
            'headers': {k.lower(): v for k, v in request.headers.items()},
            'body': base64.b64encode(body).decode(), 'presigned': presign, 'token': token,
        })
print(json.dumps(out))
`;

const hasBotocore = spawnSync('python3', ['-c', 'import botocore.auth']).status === 0;
if (!hasBotocore)
  console.warn('SKIPPED: python3 with botocore is not on PATH, so its signatures are not checked here.');

(hasBotocore ? describe : describe.skip)('botocore', () => {
  it('signs what verifies, in both forms', () => {
    const run = spawnSync('python3', ['-c', SIGN_WITH_BOTOCORE], { encoding: 'utf8' });
    expect(run.stderr).toBe('');
    type Case = Omit<SignedRequest, 'body'> & { body: string; presigned: boolean; token: string | null };
    const cases = JSON.parse(run.stdout) as Case[];
    expect(cases.filter(({ presigned }) => presigned).length).toBeGreaterThan(4);
    for (const { presigned, token, body, ...rest } of cases) {
      const request: SignedRequest = { ...rest, body: Buffer.from(body, 'base64') };
      const claim = authenticate(request, Date.now());
      expect(claim).toMatchObject({ accessKeyId: ACCESS_KEY, region: 'us-west-2', service: 'kms', presigned });
      expect(claim.sessionToken).toBe(token ?? undefined);
      expect(claim.expiresSeconds).toBe(presigned ? 120 : undefined);
      expect(() => authenticate(tamperedWith(request), Date.now())).toThrow('does not match');
      expect(() => authenticate({ ...request, path: '/other' }, Date.now())).toThrow('does not match');
    }
  });
});
