import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseClaim } from '#sigv4/claim';
import { deriveSigningKey } from '#sigv4/signing-key';
import { checkFreshness, checkScope, verifySignature } from '#sigv4/verify';
import { PROXY_ERRORS, type ProxyErrorName } from '#xks/proxy-error';
import { findOpenssl, TestAuthority } from '../../../../test/support/certificates';
import {
  type Answer,
  answering,
  encryptReply,
  MisbehavingProxy,
  type Received,
  wellBehaved,
} from '../../../../test/support/misbehaving-proxy';
import { until } from '../../../../test/support/nats-server';
import type { StoreFailure } from '../key-store/store-connection';
import { type HealthOutcome, pollHealth } from './health-poll';
import { isAllowedAddress } from './proxy-link';
import { checkXks, connectXks, type XksProxyConnection, type XksProxyOptions } from './xks-connection';

const CREDENTIAL = { accessKeyId: 'ABCDEFGHIJKLMNOPQRST', secretAccessKey: 'A'.repeat(43) };
const OTHER = { accessKeyId: 'TSRQPONMLKJIHGFEDCBA', secretAccessKey: 'B'.repeat(43) };
const PREFIX = '/some/prefix/kms/xks/v1';
const KEY = 'key-1';
const aad = Buffer.from('bound to it');
const plaintext = Buffer.from('encrypted by KMS already');
const CALL = {
  principalArn: 'arn:aws:iam::111122223333:user/ann',
  keyArn: 'arn:aws:kms:eu-central-1:111122223333:key/one',
  operation: 'GenerateDataKey',
  requestId: 'request-1',
};

let proxy: MisbehavingProxy;
let options: XksProxyOptions;
let connection: XksProxyConnection;

beforeEach(async () => {
  proxy = await MisbehavingProxy.start();
  options = {
    uriEndpoint: proxy.endpoint,
    uriPath: PREFIX,
    ...CREDENTIAL,
    region: 'eu-central-1',
    allowLoopback: true,
    // Only where it is the point may a slow machine be told from a proxy that hangs.
    requestTimeoutMs: 20_000,
  };
  connection = await connectXks(options);
});

afterEach(async () => {
  await connection?.close();
  await proxy.stop();
});

const failureOf = (outcome: Promise<unknown>): Promise<StoreFailure | 'none'> =>
  outcome.then(
    () => 'none' as const,
    (error: { failure: StoreFailure }) => error.failure,
  );
const last = (): Received => proxy.received.at(-1)!;
const bodyOf = ({ body }: Received) => JSON.parse(body.toString()) as Record<string, Record<string, string>>;

describe('an external key, through a proxy that behaves', () => {
  test('encrypts and decrypts, whatever is bound to it', async () => {
    for (const bound of [Buffer.alloc(0), aad, randomBytes(8191), randomBytes(8192), randomBytes(20_000)]) {
      const sealed = await connection.encrypt(KEY, plaintext, bound);
      expect(await connection.decrypt(KEY, sealed, bound)).toEqual(plaintext);
      expect(await failureOf(connection.decrypt(KEY, sealed, Buffer.concat([bound, Buffer.of(0)])))).toBe(
        'invalid-ciphertext',
      );
    }
  });

  test('does not decrypt what was altered, at any byte', async () => {
    const sealed = await connection.encrypt(KEY, Buffer.from('four'), aad);
    for (let at = 0; at < sealed.length; at++) {
      const altered = Buffer.from(sealed);
      altered[at]! ^= 1;
      expect(await failureOf(connection.decrypt(KEY, altered, aad))).toBe('invalid-ciphertext');
    }
    expect(await failureOf(connection.decrypt(KEY, Buffer.alloc(0), aad))).toBe('invalid-ciphertext');
  });

  test('says who asked, for which key, and asks for the integrity value', async () => {
    await connection.encrypt(KEY, plaintext, aad, CALL);
    expect(last().path).toBe(`${PREFIX}/keys/${KEY}/encrypt`);
    expect(bodyOf(last())).toMatchObject({
      encryptionAlgorithm: 'AES_GCM',
      ciphertextDataIntegrityValueAlgorithm: 'SHA_256',
      requestMetadata: {
        awsPrincipalArn: CALL.principalArn,
        kmsKeyArn: CALL.keyArn,
        kmsOperation: 'GenerateDataKey',
        kmsRequestId: 'request-1',
      },
    });
    await connection.keyMetadata(KEY);
    expect(bodyOf(last())['requestMetadata']).toMatchObject({
      kmsOperation: 'DescribeKey',
      awsPrincipalArn: 'AWS Internal',
    });
  });

  test('is asked in requests signed as AWS KMS signs them', async () => {
    const nowMs = Date.parse('2026-11-30T23:59:59Z');
    const dated = await connectXks({ ...options, now: () => nowMs });
    await dated.keyMetadata(KEY);
    const { path, headers, body } = last();
    const request = { method: 'POST', path, query: '', headers, body };
    const claim = parseClaim(request);
    checkFreshness(claim, nowMs);
    checkScope(claim, ['kms-xks-proxy']);
    expect(claim).toMatchObject({ accessKeyId: CREDENTIAL.accessKeyId, signedHeaders: ['host', 'x-amz-date'] });
    const key = deriveSigningKey(CREDENTIAL.secretAccessKey, '20261130', 'eu-central-1', 'kms-xks-proxy');
    verifySignature(claim, request, key);
    await dated.close();
  });

  test('gives its metadata', async () => {
    expect(await connection.keyMetadata(KEY)).toEqual({
      keySpec: 'AES_256',
      keyUsage: ['ENCRYPT', 'DECRYPT'],
      keyStatus: 'ENABLED',
    });
  });

  test('is asked for nothing that the API does not take', async () => {
    const before = proxy.received.length;
    expect(await failureOf(connection.encrypt(KEY, Buffer.alloc(4301), aad))).toBe('unsupported');
    expect(await failureOf(connection.encrypt(KEY, Buffer.alloc(0), aad))).toBe('unsupported');
    expect(await failureOf(connection.keyMetadata('../health'))).toBe('key-not-found');
    expect(proxy.received).toHaveLength(before);
    await connection.encrypt(KEY, Buffer.alloc(4300), aad);
  });

  test('keeps one connection for one call after another, and a new one once that was closed', async () => {
    for (let n = 0; n < 5; n++) await connection.keyMetadata(KEY);
    expect(proxy.connections).toBe(1);
    const before = proxy.received.length;
    proxy.dropConnections();
    await connection.keyMetadata(KEY);
    expect(proxy.received).toHaveLength(before + 1);
  });

  test('is not asked any more once the connection is given back', async () => {
    await connection.close();
    expect(await failureOf(connection.keyMetadata(KEY))).toBe('unreachable');
  });
});

describe('a proxy that misbehaves', () => {
  const spoilt = (change: (reply: Record<string, unknown>) => void): Answer => {
    return (response, received) => {
      const reply: Record<string, unknown> = encryptReply(received.body);
      change(reply);
      answering(200, reply)(response, received);
    };
  };
  const base64 = (length: number): string => Buffer.alloc(length).toString('base64');

  test.each<[string, Answer]>([
    [
      'a reply in two halves of which one never comes',
      (response) =>
        void response
          .writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 100 })
          .write('{"a":', () => response.destroy()),
    ],
    [
      'more than 64 KiB',
      spoilt((reply) => {
        reply['more'] = 'A'.repeat(70_000);
      }),
    ],
    ['no JSON', answering(200, '<html>')],
    ['JSON of another type', answering(200, '[]')],
    ['another content type', answering(200, '{}', 'text/html')],
    [
      'a redirect',
      (response) =>
        void response.writeHead(302, { Location: 'http://127.0.0.1/', 'Content-Type': 'application/json' }).end('{}'),
    ],
    ['an error without JSON', answering(502, 'Bad Gateway', 'text/plain')],
    ['an error that the API has not', answering(500, { errorName: 'OutOfPaperException' })],
    ['an error without a name', answering(400, { errorMessage: 'no' })],
    ['no ciphertext', spoilt((reply) => delete reply['ciphertext'])],
    [
      'a shorter ciphertext',
      spoilt((reply) => {
        reply['ciphertext'] = base64(3);
      }),
    ],
    [
      'an IV of 8 bytes',
      spoilt((reply) => {
        reply['initializationVector'] = base64(8);
      }),
    ],
    [
      'a tag of 12 bytes',
      spoilt((reply) => {
        reply['authenticationTag'] = base64(12);
      }),
    ],
    [
      'another tag than the integrity value is of',
      spoilt((reply) => {
        reply['authenticationTag'] = base64(16);
      }),
    ],
    ['no integrity value', spoilt((reply) => delete reply['ciphertextDataIntegrityValue'])],
    [
      'another integrity value',
      spoilt((reply) => {
        reply['ciphertextDataIntegrityValue'] = base64(32);
      }),
    ],
    [
      '21 bytes of metadata',
      spoilt((reply) => {
        reply['ciphertextMetadata'] = base64(21);
      }),
    ],
    [
      'a ciphertext that is no Base64',
      spoilt((reply) => {
        reply['ciphertext'] = '!!!!';
      }),
    ],
    [
      'a member twice',
      (response, received) =>
        answering(200, JSON.stringify(encryptReply(received.body)).replace('{', '{"ciphertext":"AAAA",'))(
          response,
          received,
        ),
    ],
    ['what is no HTTP', (response) => void response.socket!.end('SSH-2.0-OpenSSH\r\n\r\n')],
  ])('that answers Encrypt with %s is not understood', async (_what, answer) => {
    proxy.answer = answer;
    const error = await connection.encrypt(KEY, plaintext, aad).catch((caught: Error) => caught);
    expect(error).toMatchObject({
      name: 'StoreError',
      failure: 'invalid-response',
      connectionErrorCode: 'XKS_PROXY_INVALID_RESPONSE',
    });
    proxy.answer = wellBehaved;
    await connection.encrypt(KEY, plaintext, aad);
  });

  test.each<[string, object]>([
    ['a longer plaintext', { plaintext: base64(100) }],
    ['no plaintext', {}],
  ])('that answers Decrypt with %s is not understood', async (_what, reply) => {
    const sealed = await connection.encrypt(KEY, plaintext, aad);
    proxy.answer = answering(200, reply);
    expect(await failureOf(connection.decrypt(KEY, sealed, aad))).toBe('invalid-response');
  });

  test.each<[string, object]>([
    ['no key spec', { keyUsage: [], keyStatus: 'ENABLED' }],
    ['eleven usages', { keySpec: 'AES_256', keyUsage: Array(11).fill('SIGN'), keyStatus: 'ENABLED' }],
    ['another status', { keySpec: 'AES_256', keyUsage: [], keyStatus: 'SLEEPING' }],
  ])('that answers GetKeyMetadata with %s is not understood', async (_what, reply) => {
    proxy.answer = answering(200, reply);
    expect(await failureOf(connection.keyMetadata(KEY))).toBe('invalid-response');
  });

  const FAILURES: Record<ProxyErrorName, StoreFailure> = {
    ValidationException: 'invalid-response',
    InvalidStateException: 'key-state',
    InvalidCiphertextException: 'invalid-ciphertext',
    InvalidKeyUsageException: 'key-usage',
    AuthenticationFailedException: 'authentication',
    AccessDeniedException: 'access-denied',
    KeyNotFoundException: 'key-not-found',
    InvalidUriPathException: 'invalid-configuration',
    ThrottlingException: 'throttled',
    InternalException: 'internal',
    UnsupportedOperationException: 'unsupported',
    DependencyTimeoutException: 'timeout',
  };

  test.each(Object.entries(FAILURES))(
    'that answers %s means: %s, and its own message is not passed on',
    async (errorName, failure) => {
      proxy.answer = answering(PROXY_ERRORS[errorName as ProxyErrorName], {
        errorName,
        errorMessage: 'of the proxy\n',
      });
      const error = await connection.encrypt(KEY, plaintext, aad).catch((caught: Error) => caught);
      expect(error).toMatchObject({ name: 'StoreError', failure });
      expect((error as Error).message).not.toContain('of the proxy');
      // Whoever runs KMS may want to know.
      expect((error as Error).cause).toMatchObject({ message: 'the proxy says: of the proxy?' });
    },
  );

  test('that hangs is given up after the time limit, and so is one that stops in the middle of a reply', async () => {
    const short = { ...options, requestTimeoutMs: 500 };
    for (const answer of [
      () => {},
      (response) => void response.writeHead(200, { 'Content-Type': 'application/json' }).write('{'),
    ] as Answer[]) {
      proxy.answer = answer;
      const before = proxy.received.length;
      expect(await failureOf(checkXks(short, 'CreateCustomKeyStore'))).toBe('timeout');
      // It has been asked once: a proxy that is slow is not asked twice as much.
      expect(proxy.received).toHaveLength(before + 1);
    }
  });

  test('that closes each connection on which it is asked is asked no more than twice', async () => {
    proxy.answer = (response) => void response.socket!.destroy();
    const before = proxy.received.length;
    expect(await failureOf(connection.keyMetadata(KEY))).toBe('unreachable');
    expect(proxy.received).toHaveLength(before + 2);
  });
});

describe('health', () => {
  const health = (...statuses: string[]) => ({
    xksProxyFleetSize: 1,
    xksProxyVendor: 'v',
    xksProxyModel: 'm',
    ekmVendor: 'e',
    ekmFleetDetails: statuses.map((healthStatus, at) => ({ id: `hsm-${at}`, model: 'm', healthStatus })),
  });

  test('is good where one of the HSMs can be used, and says why it was asked', async () => {
    proxy.answer = answering(200, health('UNAVAILABLE', 'DEGRADED'));
    expect((await connection.health()).ekmFleetDetails).toHaveLength(2);
    expect(last().path).toBe(`${PREFIX}/health`);
    expect(bodyOf(last())['requestMetadata']).toMatchObject({ kmsOperation: 'KmsHealthCheck' });
  });

  test('is bad where none can', async () => {
    proxy.answer = answering(200, health('UNAVAILABLE', 'UNAVAILABLE'));
    expect(await failureOf(connection.health())).toBe('unreachable');
  });

  test.each([['none'], ['eleven', ...Array<string>(11).fill('ACTIVE')], ['strange', 'RESTING']])(
    'is not understood with %s',
    async (_what, ...statuses) => {
      proxy.answer = answering(200, health(...statuses));
      expect(await failureOf(connection.health())).toBe('invalid-response');
    },
  );
});

describe('health that is polled', () => {
  test('is told each time, whether it is good or not, until that is ended', async () => {
    const told: HealthOutcome[] = [];
    const tell = (outcome: HealthOutcome): void => {
      told.push(outcome);
      // The proxy's HSM is gone for every second question.
      proxy.answer = told.length % 2 === 1 ? answering(500, { errorName: 'InternalException' }) : wellBehaved;
    };
    const end = pollHealth(connection, 0, tell);
    await until(() => told.length >= 4, 'health was not told four times');
    end();
    const { length } = told;
    expect(told.slice(0, 4)).toMatchObject([
      { health: { xksProxyFleetSize: 1 } },
      { error: { failure: 'internal' } },
      { health: { xksProxyFleetSize: 1 } },
      { error: { failure: 'internal' } },
    ]);
    await connection.close();
    expect(told).toHaveLength(length);
  });
});

describe('a credential', () => {
  const keyIdOf = ({ headers }: Received): string => /Credential=([A-Z2-7]+)\//.exec(headers.authorization!)![1]!;

  test('is exchanged for another without a call that fails', async () => {
    const calls = Array.from({ length: 20 }, () => connection.encrypt(KEY, plaintext, aad));
    await connection.rotateCredential(OTHER);
    await Promise.all(calls);
    await connection.keyMetadata(KEY);
    expect(keyIdOf(last())).toBe(OTHER.accessKeyId);
  });

  test('stays where the proxy does not take the other one', async () => {
    proxy.answer = (response, received) =>
      keyIdOf(received) === OTHER.accessKeyId
        ? answering(401, { errorName: 'AuthenticationFailedException' })(response, received)
        : wellBehaved(response, received);
    expect(await failureOf(connection.rotateCredential(OTHER))).toBe('authentication');
    await connection.keyMetadata(KEY);
    expect(keyIdOf(last())).toBe(CREDENTIAL.accessKeyId);
  });
});

describe('a connection is refused', () => {
  const codeOf = (changed: Partial<XksProxyOptions>): Promise<string> =>
    connectXks({ ...options, ...changed }).then(
      async (made) => {
        await made.close();
        return 'none';
      },
      (error: { name: string; code: string }) => `${error.name} ${error.code}`,
    );

  test.each<[string, Answer, string]>([
    [
      'that does not know the credential',
      answering(401, { errorName: 'AuthenticationFailedException' }),
      'INVALID_CREDENTIALS',
    ],
    ['that denies access', answering(403, { errorName: 'AccessDeniedException' }), 'XKS_PROXY_ACCESS_DENIED'],
    [
      'that serves another path',
      answering(404, { errorName: 'InvalidUriPathException' }),
      'XKS_PROXY_INVALID_CONFIGURATION',
    ],
    ['that is no proxy', answering(404, 'not found', 'text/plain'), 'XKS_PROXY_INVALID_RESPONSE'],
    ['whose HSM hangs', answering(503, { errorName: 'DependencyTimeoutException' }), 'XKS_PROXY_TIMED_OUT'],
    ['whose HSM is gone', answering(500, { errorName: 'InternalException' }), 'XKS_PROXY_NOT_REACHABLE'],
  ])('by a proxy %s', async (_what, answer, code) => {
    proxy.answer = answer;
    expect(await codeOf({})).toBe(`ConnectError ${code}`);
  });

  test('by a proxy that hangs', async () => {
    proxy.answer = () => {};
    expect(await codeOf({ requestTimeoutMs: 500 })).toBe('ConnectError XKS_PROXY_TIMED_OUT');
  });

  test('where nothing listens', async () => {
    await proxy.stop();
    expect(await codeOf({})).toBe('ConnectError XKS_PROXY_NOT_REACHABLE');
    proxy = await MisbehavingProxy.start();
  });

  test('where what listens knows no TLS', async () => {
    const server: Server = createServer((socket) => void socket.on('error', () => {}).end('220 mail\r\n'));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as { port: number };
    expect(await codeOf({ uriEndpoint: `https://127.0.0.1:${port}` })).toBe(
      'ConnectError XKS_PROXY_INVALID_TLS_CONFIGURATION',
    );
    server.close();
  });

  test.each<[string, Partial<XksProxyOptions>]>([
    ['an address on loopback, where that is not allowed', { allowLoopback: false }],
    ['plain HTTP', { uriEndpoint: 'http://xks.example.com' }],
    ['an IP address', { uriEndpoint: 'https://169.254.169.254' }],
    ['an IP address in disguise', { uriEndpoint: 'https://2130706433', allowLoopback: false }],
    ['a path in the endpoint', { uriEndpoint: 'https://xks.example.com/x' }],
    ['a user in the endpoint', { uriEndpoint: 'https://a@xks.example.com' }],
    ['a port in the endpoint', { uriEndpoint: 'https://xks.example.com:22' }],
    ['another path', { uriPath: '/kms/xks/v2' }],
    ['a path with dots', { uriPath: '/../kms/xks/v1' }],
    ['a path with a query', { uriPath: '/kms/xks/v1?' }],
    ['a short access key id', { accessKeyId: 'ABC' }],
    ['a secret of other characters', { secretAccessKey: `${'A'.repeat(42)} ` }],
    [
      'a CA that is none',
      { uriEndpoint: 'https://localhost', ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' },
    ],
  ])('with %s', async (_what, changed) => {
    const before = proxy.received.length;
    expect(await codeOf(changed)).toBe('ConnectError XKS_PROXY_INVALID_CONFIGURATION');
    expect(proxy.received).toHaveLength(before);
  });

  test('where the name leads to this machine, and that is not allowed', async () => {
    expect(await codeOf({ uriEndpoint: 'https://localhost', allowLoopback: false })).toBe(
      'ConnectError XKS_PROXY_INVALID_CONFIGURATION',
    );
  });

  test.each([
    ['10.1.2.3', true],
    ['192.168.1.1', true],
    ['2001:db8::1', true],
    ['127.0.0.1', false],
    ['::1', false],
    ['::ffff:127.0.0.1', false],
    ['169.254.169.254', false],
    ['::ffff:169.254.169.254', false],
    ['fe80::1', false],
    ['fd00:ec2::254', false],
    ['0.0.0.0', false],
    ['224.0.0.1', false],
  ])('whether a name may lead to %s: %s', (address, allowed) => {
    expect(isAllowedAddress(address, false)).toBe(allowed);
  });
});

(findOpenssl() === undefined ? describe.skip : describe)('over TLS', () => {
  let folder: string;
  let authority: TestAuthority;
  let secure: MisbehavingProxy;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'keytrail-xks-'));
    authority = new TestAuthority(folder);
    const { cert, key } = authority.issue('proxy');
    secure = await MisbehavingProxy.start({ cert: readFileSync(cert), key: readFileSync(key) });
  });
  afterAll(async () => {
    await secure?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a proxy is used that the given authority vouches for', async () => {
    const trusted = await connectXks({ ...options, uriEndpoint: secure.endpoint, ca: readFileSync(authority.ca) });
    expect(await trusted.decrypt(KEY, await trusted.encrypt(KEY, plaintext, aad), aad)).toEqual(plaintext);
    await trusted.close();
  });

  test('one that nobody vouches for is refused, whatever the environment says', async () => {
    const asked = secure.received.length;
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      await expect(connectXks({ ...options, uriEndpoint: secure.endpoint })).rejects.toMatchObject({
        code: 'XKS_PROXY_INVALID_TLS_CONFIGURATION',
      });
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
    expect(secure.received).toHaveLength(asked);
  });
});
