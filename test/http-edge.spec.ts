import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { OPERATION_TABLE } from '#operations/table';
import { MAX_BODY_BYTES } from '#platform/http-edge';
import { presignQuery, type SigningInput, signRequest } from '#sigv4/sign';
import { type KeytrailProcess, startProcess } from './support/processes';

const JSON_TYPE = 'application/x-amz-json-1.1';
const REQUEST_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let dataDir: string;
let server: KeytrailProcess;
let agent: Agent;
let credentials: { accessKeyId: string; secretAccessKey: string };

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-edge-'));
  server = await startProcess(dataDir);
  agent = new Agent({ keepAlive: true });
  credentials = await server.kms.config.credentials();
});

afterAll(async () => {
  agent?.destroy();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

const send = (method: string, path: string, headers: Record<string, string>, body: Uint8Array): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const sent = httpRequest(server.endpoint, { method, path, headers, agent }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.on('error', reject);
      reply.on('end', () =>
        resolve({ status: reply.statusCode!, headers: reply.headers, text: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });

/** All that comes back for these bytes until the server closes the connection. */
const sendRaw = (bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(new URL(server.endpoint).port), '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });

/** A good request, but for what a test changes of it before it is signed. */
const signing = (operation: string, body: string | Uint8Array, changes: Partial<SigningInput> = {}): SigningInput => ({
  ...credentials,
  region: 'us-east-1',
  service: 'kms',
  timeMs: Date.now(),
  method: 'POST',
  path: '/',
  headers: {
    host: new URL(server.endpoint).host,
    'content-type': JSON_TYPE,
    'x-amz-target': `TrentService.${operation}`,
  },
  body: Buffer.from(body),
  ...changes,
});

const sendSigned = (input: SigningInput, changes: Record<string, string> = {}): Promise<Reply> =>
  send(input.method, input.path, { ...signRequest(input), ...changes }, input.body!);

const call = (operation: string, body: string | Uint8Array): Promise<Reply> => sendSigned(signing(operation, body));

/** Every refusal has AWS's form, and tells nothing of the server's insides. */
function expectRefusal(reply: Reply, status: number, code: string | RegExp): string {
  expect(reply.headers['content-type']).toBe(JSON_TYPE);
  expect(reply.headers['x-amzn-requestid']).toMatch(REQUEST_ID);
  expect(reply.text).not.toMatch(/<html|<!doctype|node_modules|\.js:\d+| at .*\(|statusCode/i);
  const { __type, message = '', ...rest } = JSON.parse(reply.text);
  expect(rest).toEqual({});
  expect({ status: reply.status, __type }).toEqual({
    status,
    __type: code instanceof RegExp ? expect.stringMatching(code) : code,
  });
  return message;
}

test('a good request is answered in JSON with a request id of its own', async () => {
  const [first, second] = [await call('GenerateRandom', '{"NumberOfBytes":16}'), await call('ListKeys', '')];
  expect(first.status).toBe(200);
  expect(first.headers['content-type']).toBe(JSON_TYPE);
  expect(Buffer.from(JSON.parse(first.text).Plaintext, 'base64')).toHaveLength(16);
  expect(JSON.parse(second.text)).toEqual({ Keys: [], Truncated: false });
  for (const { headers } of [first, second]) expect(headers['x-amzn-requestid']).toMatch(REQUEST_ID);
  expect(first.headers['x-amzn-requestid']).not.toBe(second.headers['x-amzn-requestid']);
});

test('an operation that returns nothing is answered with an empty body', async () => {
  const { KeyMetadata } = JSON.parse((await call('CreateKey', '{}')).text);
  const reply = await call('DisableKey', JSON.stringify({ KeyId: KeyMetadata.KeyId }));
  expect({ status: reply.status, text: reply.text }).toEqual({ status: 200, text: '' });
  expect(reply.headers).toMatchObject({ 'content-type': JSON_TYPE, 'content-length': '0' });
});

test('an expectation that nobody knows is passed over', async () => {
  const reply = await sendSigned(signing('ListKeys', '{}'), { expect: 'the unexpected' });
  expect({ status: reply.status, text: JSON.parse(reply.text) }).toMatchObject({
    status: 200,
    text: { Truncated: false },
  });
  const { authorization: _, ...unsigned } = signRequest(signing('ListKeys', '{}'));
  const refused = await send('POST', '/', { ...unsigned, expect: 'the unexpected' }, Buffer.from('{}'));
  expectRefusal(refused, 400, 'MissingAuthenticationTokenException');
});

describe('a request that no operation answers', () => {
  test.each(['NoSuchOperation', '', 'constructor', '__proto__', 'createkey', 'CreateKey.'])(
    'names the operation %j',
    async (operation) => {
      expectRefusal(await call(operation, '{}'), 400, 'UnknownOperationException');
    },
  );

  test.each(['AmazonSQS.CreateKey', 'CreateKey', 'trentservice.CreateKey'])('has the target %j', async (target) => {
    const { headers } = signing('CreateKey', '{}');
    const reply = await sendSigned(signing('', '{}', { headers: { ...headers, 'x-amz-target': target } }));
    expectRefusal(reply, 400, 'UnknownOperationException');
  });

  test.each(['text/xml', 'application/x-www-form-urlencoded', 'application/json'])(
    'has the content type %s',
    async (type) => {
      const { headers } = signing('ListKeys', '{}');
      const reply = await sendSigned(signing('ListKeys', '{}', { headers: { ...headers, 'content-type': type } }));
      expectRefusal(reply, 400, 'UnknownOperationException');
    },
  );

  test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE'])('has the method %s', async (method) => {
    expectRefusal(await sendSigned(signing('ListKeys', '', { method })), 400, 'UnknownOperationException');
  });

  test.each(['/', '/index.html', '/kms', '/%00', '/%2e%2e/%2e%2e/etc/passwd', '//', '/a?b=c', `/${'x'.repeat(4000)}`])(
    'is a plain GET of %s',
    async (path) => {
      expectRefusal(await send('GET', path, {}, Buffer.alloc(0)), 400, 'MissingAuthenticationTokenException');
    },
  );
});

test('a path of 4000 characters is like any other', async () => {
  const reply = await send('GET', `/${'x'.repeat(4000)}`, {}, Buffer.alloc(0));
  expectRefusal(reply, 400, 'MissingAuthenticationTokenException');
});

describe('a request that cannot be read', () => {
  test.each(['/%', '/%zz', '/%c3%28'])('has the path %s', async (path) => {
    expectRefusal(await send('GET', path, {}, Buffer.alloc(0)), 400, 'SerializationException');
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['too many headers', `POST / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ])('is %s', async (_what, bytes) => {
    const [head, body] = (await sendRaw(bytes)).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 .*\r\nContent-Type: application\/x-amz-json-1\.1\r\n/);
    expect(head).toMatch(/\r\nx-amzn-RequestId: [0-9a-f-]{36}\r\n/);
    expect(JSON.parse(body!)).toMatchObject({ __type: 'SerializationException' });
  });

  test('is about the whole server, and is refused as any that nobody signed', async () => {
    const [head, body] = (await sendRaw('OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).split(
      '\r\n\r\n',
    );
    expect(head).toMatch(/^HTTP\/1\.1 400 .*\r\nContent-Type: application\/x-amz-json-1\.1\r\n/);
    expect(head).toMatch(/\r\nx-amzn-RequestId: [0-9a-f-]{36}\r\n/);
    expect(JSON.parse(body!)).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
  });

  test('of the method HEAD is refused without a body', async () => {
    const reply = await send('HEAD', '/', {}, Buffer.alloc(0));
    expect(reply).toMatchObject({ status: 400, text: '', headers: { 'content-type': JSON_TYPE } });
  });
});

describe('a body', () => {
  test.each(['{', '{"KeyId":}', 'KeyId=1', '\u0000', '{"KeyId":"a"}x', '"text"', '[]', 'null', '17'])(
    '%j is no JSON object',
    async (body) => {
      expectRefusal(await call('DescribeKey', body), 400, 'SerializationException');
    },
  );

  test.each(['{"KeyId":1}', '{"KeyId":{}}', '{"KeyId":["a"]}', '{"KeyId":true}'])(
    '%s has a member of the wrong type',
    async (body) => {
      expectRefusal(await call('DescribeKey', body), 400, 'SerializationException');
    },
  );

  test('that lacks what is required is told so in one sentence for each', async () => {
    expect(expectRefusal(await call('Encrypt', '{}'), 400, 'ValidationException')).toBe(
      "2 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; " +
        "Value at 'plaintext' failed to satisfy constraint: Member must not be null",
    );
  });

  test('of more than a nats-server would pass on is refused, signed or not', async () => {
    const body = Buffer.alloc(MAX_BODY_BYTES + 1, ' ');
    expectRefusal(await call('ListKeys', body), 413, 'RequestEntityTooLargeException');
    expectRefusal(await send('POST', '/', {}, body), 413, 'RequestEntityTooLargeException');
    expect((await call('ListKeys', body.subarray(1))).text).toMatch(/SerializationException/);
  });
});

describe('a signature', () => {
  test('is required', async () => {
    const { authorization: _, ...headers } = signRequest(signing('ListKeys', '{}'));
    const reply = await send('POST', '/', headers, Buffer.from('{}'));
    expectRefusal(reply, 400, 'MissingAuthenticationTokenException');
  });

  test('must be made with an access key that is known', async () => {
    const reply = await sendSigned(signing('ListKeys', '{}', { accessKeyId: 'AKIANOBODY0000000000' }));
    expectRefusal(reply, 400, 'UnrecognizedClientException');
  });

  test('must be made with the secret of its access key', async () => {
    const reply = await sendSigned(signing('ListKeys', '{}', { secretAccessKey: `${credentials.secretAccessKey}x` }));
    expect(expectRefusal(reply, 400, 'InvalidSignatureException')).toMatch(/does not match the signature you provided/);
  });

  test.each([
    ['the body', (input: SigningInput) => send('POST', '/', signRequest(input), Buffer.from('{ }'))],
    [
      'the operation',
      (input: SigningInput) => sendSigned(input, { 'x-amz-target': 'TrentService.ScheduleKeyDeletion' }),
    ],
    ['the path', (input: SigningInput) => send('POST', '/other', signRequest(input), input.body!)],
    ['the query', (input: SigningInput) => send('POST', '/?a=b', signRequest(input), input.body!)],
  ])('does not hold once %s is changed', async (_what, tamper) => {
    expectRefusal(await tamper(signing('ListKeys', '{}')), 400, 'InvalidSignatureException');
  });

  test.each([
    ['expired', -301_000],
    ['not yet current', 310_000],
  ])('more than five minutes off is %s', async (word, offMs) => {
    const reply = await sendSigned(signing('ListKeys', '{}', { timeMs: Date.now() + offMs }));
    expect(expectRefusal(reply, 400, 'InvalidSignatureException')).toContain(`Signature ${word}: `);
  });

  test.each(['AWS4-HMAC-SHA256', 'Bearer token', 'AWS4-HMAC-SHA256 Credential=a, Signature=b', '%'])(
    'that reads %j is incomplete',
    async (authorization) => {
      const reply = await sendSigned(signing('ListKeys', '{}'), { authorization });
      expectRefusal(reply, 400, 'IncompleteSignatureException');
      expect(reply.text).not.toContain('token');
    },
  );

  test('for another service is refused', async () => {
    expectRefusal(await sendSigned(signing('ListKeys', '{}', { service: 's3' })), 400, 'InvalidSignatureException');
  });

  test.each<[string, (authorization: string) => string, string]>([
    ['cut short', (text) => text.slice(0, -1), 'InvalidSignatureException'],
    ['without its last half', (text) => text.slice(0, -32), 'InvalidSignatureException'],
    ['with nothing in it', (text) => text.replace(/Signature=\w+/, 'Signature='), 'IncompleteSignatureException'],
    ['over headers in another order', (text) => text.replace('content-type;host', 'host;content-type'), 'Incomplete'],
    ['over fewer headers', (text) => text.replace('content-type;', ''), 'InvalidSignatureException'],
    ['for another region', (text) => text.replace('us-east-1', 'eu-central-1'), 'InvalidSignatureException'],
    ['for another day', (text) => text.replace(/\/\d{8}\//, '/20200101/'), 'InvalidSignatureException'],
    ['of another access key', (text) => text.replace(/AKIA\w+/, 'AKIANOBODY0000000000'), 'UnrecognizedClientException'],
  ])('%s is refused, and harms nobody', async (_what, change, code) => {
    const input = signing('ListKeys', '{}');
    const authorization = signRequest(input)['authorization']!;
    const reply = await sendSigned(input, { authorization: change(authorization) });
    expect(change(authorization)).not.toBe(authorization);
    expectRefusal(reply, 400, new RegExp(`^${code}`));
    expect((await call('ListKeys', '{}')).status).toBe(200);
  });

  test('may stand in the query, and is not good for another body', async () => {
    const input = signing('ListKeys', '{}');
    const path = `/?${presignQuery(input, 60)}`;
    expect((await send('POST', path, input.headers, input.body!)).status).toBe(200);
    expectRefusal(await send('POST', path, input.headers, Buffer.from('{ }')), 400, 'InvalidSignatureException');
  });

  test('in the query is good for as long as it says', async () => {
    const input = signing('ListKeys', '{}', { timeMs: Date.now() - 120_000 });
    const reply = await send('POST', `/?${presignQuery(input, 60)}`, input.headers, input.body!);
    expectRefusal(reply, 400, 'InvalidSignatureException');
  });
});

/** Members of the API and values that they may or may not be good for. */
const member = fc.constantFrom(
  ...['KeyId', 'Plaintext', 'CiphertextBlob', 'EncryptionContext', 'Tags', 'TagKeys', 'Limit', 'Marker', 'AliasName'],
  ...[
    'TargetKeyId',
    'NumberOfBytes',
    'KeySpec',
    'Policy',
    'RotationPeriodInDays',
    'GrantTokens',
    '__proto__',
    'toJSON',
  ],
);
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom('alias/x', 'arn:aws:kms:us-east-1:000000000000:key/x', 'AAAA', '.', '*', '>', 'alias/a.b'),
);
const fuzzedBody = fc.oneof(
  fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc
    .array(fc.tuple(member, value), { maxLength: 6 })
    .map((members) => Buffer.from(JSON.stringify(Object.fromEntries(members)))),
);
/** Those that would succeed with any body, or with few members. */
const HARMLESS = ['CreateKey', 'ListKeys', 'ListAliases', 'GenerateRandom', 'DescribeCustomKeyStores'];

test('300 fuzzed bodies are all refused as the fault of the caller', async () => {
  const operations = [...OPERATION_TABLE.keys()].filter((name) => !HARMLESS.includes(name));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...operations), fuzzedBody, async (operation, body) => {
      expectRefusal(await call(operation, body), 400, /^[A-Za-z]+Exception$/);
    }),
    { numRuns: 300, seed: 20261124 },
  );
  expect((await call('ListKeys', '{}')).status).toBe(200);
});
