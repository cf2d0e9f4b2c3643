import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from './support/nats-server';
import { type SoftHsm, softHsm, softHsmModule } from './support/softhsm';
import {
  keytrailXks,
  newCredential,
  rawXks,
  sendXks,
  startXksProxy,
  type XksCredential,
  type XksProxyProcess,
  type XksReply,
  type XksRequest,
  xksSettings,
} from './support/xks-proxy';

/*
 * What the XKS proxy API v1 says of a proxy, tried on apps/xks-proxy over HTTP, with keys in SoftHSM.
 * Source: github.com/aws/aws-kms-xksproxy-api-spec, and what AWS's own test client for it tries.
 */

const modulePath = softHsmModule();
const URI_PATH = '/some/prefix/kms/xks/v1';
const KEY = 'foo';
const requestMetadata = {
  awsPrincipalArn: 'arn:aws:iam::123456789012:user/Alice',
  // As AWS's test client has it: nothing of the metadata but its being there is checked.
  kmsKeyArn: 'arn:aws:kms:us-east-2:123456789012:/key/1234abcd-12ab-34cd-56ef-1234567890ab',
  kmsOperation: 'SomethingThatKmsMayComeToHave',
  kmsRequestId: 'no UUID',
  kmsViaService: 'ebs',
};
const ENCRYPT = { requestMetadata, plaintext: 'SGVsbG8gV29ybGQh', encryptionAlgorithm: 'AES_GCM' };
const AAD = 'cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n';

const base64 = (length: number): string => randomBytes(length).toString('base64');
const bytes = (text: unknown): Buffer => Buffer.from((text as string | undefined) ?? '', 'base64');

(modulePath === undefined ? describe.skip : describe)('the XKS proxy API v1', () => {
  let hsm: SoftHsm;
  let settings: Record<string, string>;
  let proxy: XksProxyProcess;
  let credential: XksCredential;
  /** Good for one key only. */
  let narrow: XksCredential;

  beforeAll(async () => {
    hsm = softHsm(modulePath!);
    settings = xksSettings(hsm, { KEYTRAIL_XKS_URI_PATH: URI_PATH });
    await keytrailXks(settings, 'create-key', '--id', KEY);
    await keytrailXks(settings, 'create-key', '--id', 'encrypt_only_key', '--encrypt-only');
    await keytrailXks(settings, 'create-key', '--id', 'decrypt_only_key', '--decrypt-only');
    await keytrailXks(settings, 'create-key', '--id', 'disabled.key');
    await keytrailXks(settings, 'disable-key', '--id', 'disabled.key');
    credential = await newCredential(settings);
    narrow = await newCredential(settings, '--keys', 'encrypt_only_key');
    proxy = await startXksProxy(settings);
  });
  afterAll(async () => {
    await proxy?.stop();
    hsm?.remove();
  });

  const ask = (path: string, body: XksRequest['body'], more: Partial<XksRequest> = {}): Promise<XksReply> =>
    sendXks(proxy.port, { path: `${URI_PATH}${path}`, body, credential, ...more });
  const encrypt = (more: object = {}, key = KEY) => ask(`/keys/${key}/encrypt`, { ...ENCRYPT, ...more });
  const decrypt = (sealed: object, more: object = {}, key = KEY) =>
    ask(`/keys/${key}/decrypt`, { requestMetadata, encryptionAlgorithm: 'AES_GCM', ...sealed, ...more });

  /** An error as the API says: its status, and JSON of a name and a message of printable ASCII. */
  const expectError = (reply: XksReply, status: number, errorName: string): void => {
    expect({ status: reply.status, errorName: reply.json['errorName'] }).toEqual({ status, errorName });
    expect(reply.headers['content-type']).toBe('application/json');
    expect(Object.keys(reply.json).sort()).toEqual(['errorMessage', 'errorName']);
    expect(reply.json['errorMessage']).toMatch(/^[ -~]{1,511}$/);
  };

  describe('GetKeyMetadata', () => {
    test.each([
      [KEY, ['ENCRYPT', 'DECRYPT'], 'ENABLED'],
      ['encrypt_only_key', ['ENCRYPT'], 'ENABLED'],
      ['decrypt_only_key', ['DECRYPT'], 'ENABLED'],
      ['disabled.key', ['ENCRYPT', 'DECRYPT'], 'DISABLED'],
    ])('of %s gives %j and %s', async (key, keyUsage, keyStatus) => {
      const { kmsKeyArn: _, ...withoutKey } = requestMetadata;
      for (const metadata of [requestMetadata, withoutKey]) {
        const { status, json } = await ask(`/keys/${key}/metadata`, { requestMetadata: metadata });
        expect({ status, json }).toEqual({ status: 200, json: { keySpec: 'AES_256', keyUsage, keyStatus } });
      }
    });

    test('of a key that there is not gives KeyNotFoundException', async () => {
      expectError(await ask('/keys/non_existing_key/metadata', { requestMetadata }), 404, 'KeyNotFoundException');
    });

    test('of the key that health is tried with gives KeyNotFoundException', async () => {
      expectError(await ask('/keys/keytrail-xks-health/metadata', { requestMetadata }), 404, 'KeyNotFoundException');
    });
  });

  describe('Encrypt and Decrypt', () => {
    test.each<[string, object, boolean]>([
      ['neither additional data nor an integrity value', {}, false],
      ['additional data', { additionalAuthenticatedData: AAD }, false],
      ['an integrity value', { ciphertextDataIntegrityValueAlgorithm: 'SHA_256' }, true],
      ['both', { additionalAuthenticatedData: AAD, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' }, true],
      ['members as null that are not there', { additionalAuthenticatedData: null }, false],
      ['members that are not known', { somethingNew: { a: [1] } }, false],
    ])('with %s', async (_what, more, withValue) => {
      const { status, json } = await encrypt(more);
      expect(status).toBe(200);
      const { ciphertextDataIntegrityValue, ...sealed } = json;
      expect(bytes(sealed['ciphertext'])).toHaveLength(12);
      expect(bytes(sealed['initializationVector'])).toHaveLength(12);
      expect(bytes(sealed['authenticationTag'])).toHaveLength(16);
      expect(bytes(sealed['ciphertextMetadata']).length).toBeLessThanOrEqual(20);
      expect(ciphertextDataIntegrityValue !== undefined).toBe(withValue);
      const { additionalAuthenticatedData } = more as { additionalAuthenticatedData?: string };
      if (withValue) {
        const { ciphertextMetadata, initializationVector, ciphertext, authenticationTag } = sealed;
        const hash = createHash('sha256');
        for (const part of [additionalAuthenticatedData, ciphertextMetadata, initializationVector, ciphertext]) {
          hash.update(bytes(part));
        }
        expect(ciphertextDataIntegrityValue).toBe(hash.update(bytes(authenticationTag)).digest('base64'));
      }
      const opened = await decrypt(sealed, { additionalAuthenticatedData });
      expect({ status: opened.status, json: opened.json }).toEqual({
        status: 200,
        json: { plaintext: ENCRYPT.plaintext },
      });
    });

    test('never use an IV twice', async () => {
      const replies = await Promise.all(Array.from({ length: 50 }, () => encrypt()));
      expect(new Set(replies.map(({ json }) => json['initializationVector'])).size).toBe(50);
    });

    test('take 4300 bytes with 8192 of additional data', async () => {
      const more = { plaintext: base64(4300), additionalAuthenticatedData: base64(8192) };
      const { json } = await encrypt(more);
      const { additionalAuthenticatedData } = more;
      expect((await decrypt(json, { additionalAuthenticatedData })).json).toEqual({ plaintext: more.plaintext });
    });

    test.each<[string, object]>([
      ['other additional data', { additionalAuthenticatedData: 'cHJvamVjdD1ibHVlLGRlcGFydG1lbnQ9ZmluYW5jZQ==' }],
      ['no additional data', { additionalAuthenticatedData: undefined }],
      ['another ciphertext', { ciphertext: base64(12) }],
      ['a longer ciphertext', { ciphertext: base64(13) }],
      ['another IV', { initializationVector: base64(12) }],
      ['an IV of 16 bytes', { initializationVector: base64(16) }],
      ['another tag', { authenticationTag: base64(16) }],
      ['other metadata', { ciphertextMetadata: base64(9) }],
      ['no metadata', { ciphertextMetadata: undefined }],
    ])('with %s give InvalidCiphertextException', async (_what, changed) => {
      const { json } = await encrypt({ additionalAuthenticatedData: AAD });
      const refused = await decrypt(json, { additionalAuthenticatedData: AAD, ...changed });
      expectError(refused, 400, 'InvalidCiphertextException');
    });

    test('by another key give InvalidCiphertextException', async () => {
      await keytrailXks(settings, 'create-key', '--id', 'other');
      expectError(await decrypt((await encrypt()).json, {}, 'other'), 400, 'InvalidCiphertextException');
    });

    test.each<[string, 'encrypt' | 'decrypt', number, string]>([
      ['non_existing_key', 'encrypt', 404, 'KeyNotFoundException'],
      ['non_existing_key', 'decrypt', 404, 'KeyNotFoundException'],
      ['encrypt_only_key', 'decrypt', 400, 'InvalidKeyUsageException'],
      ['decrypt_only_key', 'encrypt', 400, 'InvalidKeyUsageException'],
      ['disabled.key', 'encrypt', 400, 'InvalidStateException'],
      ['disabled.key', 'decrypt', 400, 'InvalidStateException'],
    ])('with %s: %s gives %i %s', async (key, operation, status, errorName) => {
      const { json } = await encrypt();
      const reply = operation === 'encrypt' ? await encrypt({}, key) : await decrypt(json, {}, key);
      expectError(reply, status, errorName);
    });

    test('with a key that only encrypts work as far as it goes', async () => {
      const { status, json } = await encrypt({}, 'encrypt_only_key');
      expect(status).toBe(200);
      expectError(await decrypt(json, {}, 'encrypt_only_key'), 400, 'InvalidKeyUsageException');
      for (const additionalAuthenticatedData of [undefined, AAD]) {
        const asked = { additionalAuthenticatedData, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' };
        expectError(await encrypt(asked, 'encrypt_only_key'), 400, 'InvalidKeyUsageException');
        expectError(await encrypt(asked, 'decrypt_only_key'), 400, 'InvalidKeyUsageException');
      }
    });

    test.each<[string, object]>([
      ['no plaintext', { plaintext: undefined }],
      ['an empty plaintext', { plaintext: '' }],
      ['a plaintext that is no string', { plaintext: 5 }],
      ['a plaintext that is no Base64', { plaintext: 'AAA' }],
      ['a plaintext in Base64 for URLs', { plaintext: '-_-_' }],
      ['a plaintext with spaces', { plaintext: 'AAAA AAAA' }],
      ['bits too many', { plaintext: 'AAF=' }],
      ['additional data that is no Base64', { additionalAuthenticatedData: '!' }],
      ['no algorithm', { encryptionAlgorithm: undefined }],
      ['another algorithm', { encryptionAlgorithm: 'AES_CBC' }],
      ['another integrity algorithm', { ciphertextDataIntegrityValueAlgorithm: 'MD5' }],
      ['no request metadata', { requestMetadata: undefined }],
      ['request metadata that is an array', { requestMetadata: [] }],
      ...['awsPrincipalArn', 'kmsKeyArn', 'kmsOperation', 'kmsRequestId'].map<[string, object]>((name) => [
        `no ${name}`,
        { requestMetadata: { ...requestMetadata, [name]: undefined } },
      ]),
      ['an ARN of 2049 characters', { requestMetadata: { ...requestMetadata, awsPrincipalArn: 'a'.repeat(2049) } }],
    ])('Encrypt with %s gives ValidationException', async (_what, more) => {
      expectError(await encrypt(more), 400, 'ValidationException');
    });

    test.each<[string, object]>([
      ['no ciphertext', { ciphertext: undefined }],
      ['a ciphertext that is no Base64', { ciphertext: '%' }],
      ['no IV', { initializationVector: undefined }],
      ['an IV of 11 bytes', { initializationVector: base64(11) }],
      ['no tag', { authenticationTag: undefined }],
      ['a tag of 15 bytes', { authenticationTag: base64(15) }],
      ['21 bytes of metadata', { ciphertextMetadata: base64(21) }],
      ['another algorithm', { encryptionAlgorithm: 'AES_CCM' }],
    ])('Decrypt with %s gives ValidationException', async (_what, more) => {
      expectError(await decrypt((await encrypt()).json, more), 400, 'ValidationException');
    });

    test('an ARN of 2048 characters is taken', async () => {
      const long = { ...requestMetadata, awsPrincipalArn: 'a'.repeat(2048), kmsKeyArn: 'k'.repeat(2048) };
      expect((await encrypt({ requestMetadata: long })).status).toBe(200);
    });

    test.each<[string, object]>([
      ['4301 bytes', { plaintext: base64(4301) }],
      ['8193 bytes of additional data', { additionalAuthenticatedData: base64(8193) }],
    ])('%s, more than a proxy must take, give UnsupportedOperationException', async (_what, more) => {
      expectError(await encrypt(more), 501, 'UnsupportedOperationException');
    });
  });

  test.each(['/health', `/keys/${KEY}/metadata`, `/keys/${KEY}/encrypt`, `/keys/${KEY}/decrypt`])(
    '%s without request metadata, or with nothing in it, gives ValidationException',
    async (path) => {
      for (const body of [{}, { requestMetadata: {} }, { requestMetadata: null }]) {
        expectError(await ask(path, body), 400, 'ValidationException');
      }
    },
  );

  describe('GetHealthStatus', () => {
    const body = { requestMetadata: { kmsRequestId: '1', kmsOperation: 'KmsHealthCheck' } };

    test('says what there is, having tried it', async () => {
      const { status, json } = await ask('/health', body);
      expect(status).toBe(200);
      expect(json).toEqual({
        xksProxyFleetSize: 1,
        xksProxyVendor: 'Keytrail',
        xksProxyModel: expect.any(String),
        ekmVendor: expect.stringContaining('SoftHSM'),
        ekmFleetDetails: [{ id: expect.any(String), model: expect.any(String), healthStatus: 'ACTIVE' }],
      });
    });

    test('is asked with any credential, whatever keys that may use', async () => {
      expect((await ask('/health', body, { credential: narrow })).status).toBe(200);
    });

    test.each([['kmsRequestId'], ['kmsOperation']])('without %s gives ValidationException', async (name) => {
      const metadata = { ...body.requestMetadata, [name]: undefined };
      expectError(await ask('/health', { requestMetadata: metadata }), 400, 'ValidationException');
    });

    test('has a simpler form for load balancers', async () => {
      expect(await rawXks(proxy.port, 'GET', '/healthz', {})).toMatchObject({ status: 200, json: { status: 'ready' } });
    });
  });

  describe('a path', () => {
    test.each([
      [`${URI_PATH}/invalid/keys/${KEY}/encrypt`],
      [`/other/kms/xks/v1/keys/${KEY}/encrypt`],
      [`/kms/xks/v1/keys/${KEY}/encrypt`],
      [`${URI_PATH}/keys/${KEY}`],
      [`${URI_PATH}/keys/${KEY}/sign`],
      [`${URI_PATH}/keys/${KEY}/encrypt/`],
      [`${URI_PATH}/keys/${KEY}%20/encrypt`],
      [`${URI_PATH}/keys/${'a'.repeat(129)}/encrypt`],
      [`${URI_PATH}/../v1/health`],
      [`${URI_PATH}/health?x=1`],
      [URI_PATH],
      ['/'],
    ])('%s gives InvalidUriPathException', async (path) => {
      const [only, query = ''] = path.split('?') as [string, string?];
      const sentPath = query === '' ? only : path;
      expectError(await ask('', ENCRYPT, { path: only, sentPath }), 404, 'InvalidUriPathException');
    });

    test.each(['GET', 'PUT', 'DELETE', 'OPTIONS'])('of the API takes no %s', async (method) => {
      for (const path of ['/health', `/keys/${KEY}/metadata`, `/keys/${KEY}/encrypt`, `/keys/${KEY}/decrypt`]) {
        const { status, headers, text } = await rawXks(proxy.port, method, `${URI_PATH}${path}`, {});
        expect({ status, allow: headers['allow'], text }).toEqual({ status: 405, allow: 'POST', text: '' });
      }
    });
  });

  describe('a request', () => {
    test.each<[string, () => Partial<XksRequest>]>([
      ['an unknown access key id', () => ({ credential: { ...credential, accessKeyId: 'A'.repeat(20) } })],
      [
        'an access key id of another form',
        () => ({ credential: { ...credential, accessKeyId: `Invalid${credential.accessKeyId}` } }),
      ],
      [
        'another secret',
        () => ({ credential: { ...credential, secretAccessKey: `Invalid${credential.secretAccessKey}` } }),
      ],
      [
        'the secret of another credential',
        () => ({ credential: { ...credential, secretAccessKey: narrow.secretAccessKey } }),
      ],
      ['another service', () => ({ service: 'kms' })],
      ['a date more than 5 minutes ago', () => ({ skewMs: -310_000 })],
      ['a date more than 5 minutes ahead', () => ({ skewMs: 310_000 })],
      ['no authorization', () => ({ changed: { authorization: undefined } })],
      ['another authorization', () => ({ changed: { authorization: 'Basic QTpC' } })],
      ['no date', () => ({ changed: { 'x-amz-date': undefined } })],
      ['another date than was signed', () => ({ changed: { 'x-amz-date': '20261201T000000Z' } })],
      ['another host than was signed', () => ({ changed: { host: 'xks.example.com' } })],
      ['a header of AWS that was not signed', () => ({ changed: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } })],
      [
        'a signed header that is gone',
        () => ({ signedHeaders: { 'x-other': '1' }, changed: { 'x-other': undefined } }),
      ],
      ['another body than was signed', () => ({ sentBody: JSON.stringify({ ...ENCRYPT, plaintext: 'AAAA' }) })],
      ['another path than was signed', () => ({ sentPath: `${URI_PATH}/keys/encrypt_only_key/encrypt` })],
      ['the body of nobody', () => ({ sentBody: '' })],
    ])('with %s gives AuthenticationFailedException', async (_what, more) => {
      expectError(await ask(`/keys/${KEY}/encrypt`, ENCRYPT, more()), 401, 'AuthenticationFailedException');
    });

    test.each<[string, Partial<XksRequest>]>([
      ['nearly 5 minutes old', { skewMs: -290_000 }],
      ['nearly 5 minutes ahead', { skewMs: 290_000 }],
      ['of any region', { region: 'eu-south-2' }],
      ['with more headers signed', { signedHeaders: { 'x-amz-extra': 'a  b', 'x-other': '1' } }],
    ])('%s is answered', async (_what, more) => {
      expect((await ask(`/keys/${KEY}/encrypt`, ENCRYPT, more)).status).toBe(200);
    });

    test('that is presigned gives no more than a path that there is not', async () => {
      const sentPath = `${URI_PATH}/health?X-Amz-Algorithm=AWS4-HMAC-SHA256`;
      expectError(await ask('/health', '', { sentPath }), 404, 'InvalidUriPathException');
    });

    test('by a credential that may not use the key gives AccessDeniedException, whether the key is there or not', async () => {
      for (const key of [KEY, 'non_existing_key', 'disabled.key']) {
        const refused = await ask(`/keys/${key}/encrypt`, ENCRYPT, { credential: narrow });
        expectError(refused, 403, 'AccessDeniedException');
      }
      expect((await ask('/keys/encrypt_only_key/encrypt', ENCRYPT, { credential: narrow })).status).toBe(200);
    });

    test.each<[string, string | Buffer]>([
      ['nothing', ''],
      ['no JSON', 'plaintext=AAAA'],
      ['half of it', JSON.stringify(ENCRYPT).slice(0, 100)],
      ['an array', '[]'],
      ['null', 'null'],
      ['no UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xff), Buffer.from('"}')])],
      ['a member twice', JSON.stringify(ENCRYPT).replace('{', '{"plaintext":"AAAA",')],
      [
        'a member of the metadata twice',
        JSON.stringify(ENCRYPT).replace('"kmsOperation"', '"kmsOperation":"x","kmsOperation"'),
      ],
      ['a thousand levels', `{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`],
      ['more than 64 KiB', JSON.stringify({ ...ENCRYPT, more: 'x'.repeat(65_536) })],
    ])('whose body is %s gives ValidationException', async (_what, body) => {
      expectError(await ask(`/keys/${KEY}/encrypt`, body), 400, 'ValidationException');
    });

    test.each([[undefined], ['text/plain'], ['application/x-www-form-urlencoded']])(
      'of the type %s gives ValidationException',
      async (type) => {
        const changed = { 'content-type': type };
        expectError(await ask(`/keys/${KEY}/encrypt`, ENCRYPT, { changed }), 400, 'ValidationException');
      },
    );

    test('with a charset beside its type is answered', async () => {
      const changed = { 'content-type': 'application/json; charset=utf-8' };
      expect((await ask(`/keys/${KEY}/encrypt`, ENCRYPT, { changed })).status).toBe(200);
    });

    test('that is no HTTP is answered in the form of the API', async () => {
      const said = await new Promise<string>((done) => {
        let text = '';
        const socket = connect(proxy.port, '127.0.0.1', () => socket.write('hello\r\n\r\n'));
        socket.on('data', (chunk) => {
          text += chunk.toString();
        });
        socket.on('close', () => done(text));
      });
      expect(said).toMatch(/^HTTP\/1.1 400 Bad Request\r\n/);
      expect(JSON.parse(said.slice(said.indexOf('{')))).toMatchObject({ errorName: 'ValidationException' });
    });

    const hasSigningCurl = /^curl (7\.(7[5-9]|[89]\d)|[89]|\d\d)/.test(
      spawnSync('curl', ['--version'], { encoding: 'utf8' }).stdout ?? '',
    );
    (hasSigningCurl ? test : test.skip)('is taken from curl, as the specification shows it', () => {
      const file = join(hsm.folder, 'request.json');
      const config = join(hsm.folder, 'curl.conf');
      writeFileSync(file, JSON.stringify(ENCRYPT));
      writeFileSync(config, `user = "${credential.accessKeyId}:${credential.secretAccessKey}"\n`, { mode: 0o600 });
      const url = `${proxy.endpoint}${URI_PATH}/keys/${KEY}/encrypt`;
      const args = ['-s', '--config', config, '--aws-sigv4', 'aws:amz:us-east-1:kms-xks-proxy', '--data', `@${file}`];
      const { stdout } = spawnSync('curl', [...args, '-H', 'Content-Type:application/json', url], { encoding: 'utf8' });
      expect(JSON.parse(stdout)).toHaveProperty('ciphertext');
    });
  });

  test('what was asked is logged, with what AWS CloudTrail knows it by, and nothing secret', async () => {
    const plaintext = randomBytes(24).toString('base64');
    const metadata = { ...requestMetadata, kmsRequestId: `id-${randomBytes(8).toString('hex')}` };
    const { json } = await encrypt({ plaintext, requestMetadata: metadata });
    await decrypt(json, { requestMetadata: metadata });
    const lines = () =>
      proxy
        .log()
        .split('\n')
        .filter((line) => line.includes(metadata.kmsRequestId));
    await until(async () => lines().length === 2, 'not both are logged');
    expect(lines().map((line) => JSON.parse(line) as object)).toMatchObject([
      { operation: 'encrypt', keyId: KEY, accessKeyId: credential.accessKeyId, outcome: 'ok', ...metadata },
      { operation: 'decrypt', keyId: KEY, accessKeyId: credential.accessKeyId, outcome: 'ok', ...metadata },
    ]);
    const log = proxy.log();
    for (const secret of [
      plaintext,
      credential.secretAccessKey,
      narrow.secretAccessKey,
      hsm.pin,
      String(json['ciphertext']),
    ]) {
      expect(log).not.toContain(secret);
    }
  });
});
