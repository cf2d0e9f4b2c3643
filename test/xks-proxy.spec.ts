import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import type { StoreFailure } from '#hsm/key-store/store-connection';
import { connectXks, type XksProxyConnection, type XksProxyOptions } from '#hsm/xks/xks-connection';
import { findOpenssl, TestAuthority } from './support/certificates';
import { until } from './support/nats-server';
import { type SoftHsm, softHsm, softHsmModule } from './support/softhsm';
import {
  keytrailXks,
  newCredential,
  rawXks,
  sendXks,
  startXksProxy,
  tokenProcessOf,
  XKS_MAIN,
  type XksCredential,
  type XksProxyProcess,
  xksSettings,
} from './support/xks-proxy';

const modulePath = softHsmModule();
const URI_PATH = '/kms/xks/v1';
const KEY = 'my-key';
const aad = Buffer.from('bound to it');
const plaintext = Buffer.from('encrypted by KMS already');
const HEALTH = { requestMetadata: { kmsRequestId: '1', kmsOperation: 'KmsHealthCheck' } };

(modulePath === undefined ? describe.skip : describe)('an XKS proxy over a PKCS#11 token', () => {
  let hsm: SoftHsm;
  let settings: Record<string, string>;
  let credential: XksCredential;
  let proxy: XksProxyProcess;
  const open: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];

  beforeAll(async () => {
    hsm = softHsm(modulePath!);
    settings = xksSettings(hsm);
    await keytrailXks(settings, 'create-key', '--id', KEY);
    credential = await newCredential(settings);
    proxy = await startXksProxy(settings);
  });
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await (one.stop?.() ?? one.close?.());
  });
  afterAll(async () => {
    await proxy?.stop();
    hsm?.remove();
  });

  const optionsOf = ({ endpoint }: XksProxyProcess, more: Partial<XksProxyOptions> = {}): XksProxyOptions => ({
    ...{ uriEndpoint: endpoint, uriPath: URI_PATH, region: 'us-east-1', allowLoopback: true },
    ...credential,
    requestTimeoutMs: 30_000,
    ...more,
  });
  const connected = async (to: XksProxyProcess, more: Partial<XksProxyOptions> = {}): Promise<XksProxyConnection> => {
    const connection = await connectXks(optionsOf(to, more));
    open.push(connection);
    return connection;
  };
  const started = async (more: Record<string, string>): Promise<XksProxyProcess> => {
    const made = await startXksProxy({ ...settings, ...more });
    open.push(made);
    return made;
  };
  const failureOf = (outcome: Promise<unknown>): Promise<StoreFailure | 'none'> =>
    outcome.then(
      () => 'none' as const,
      (error: { failure: StoreFailure }) => error.failure,
    );

  describe('and a KMS that is its client', () => {
    test('encrypt and decrypt, and know what the key is', async () => {
      const kms = await connected(proxy);
      expect(await kms.keyMetadata(KEY)).toEqual({
        keySpec: 'AES_256',
        keyUsage: ['ENCRYPT', 'DECRYPT'],
        keyStatus: 'ENABLED',
      });
      const sealed = await kms.encrypt(KEY, plaintext, aad);
      expect(await kms.decrypt(KEY, sealed, aad)).toEqual(plaintext);
      expect(await failureOf(kms.decrypt(KEY, sealed, Buffer.from('else')))).toBe('invalid-ciphertext');
      expect(await failureOf(kms.encrypt('no-key', plaintext, aad))).toBe('key-not-found');
      expect((await kms.health()).ekmFleetDetails).toMatchObject([{ healthStatus: 'ACTIVE' }]);
    });

    test('are refused with another secret, path or port', async () => {
      const codeOf = (more: Partial<XksProxyOptions>): Promise<string> =>
        connectXks(optionsOf(proxy, more)).then(
          () => 'none',
          ({ code }: { code: string }) => code,
        );
      expect(await codeOf({ secretAccessKey: 'A'.repeat(43) })).toBe('INVALID_CREDENTIALS');
      expect(await codeOf({ uriPath: '/other/kms/xks/v1' })).toBe('XKS_PROXY_INVALID_CONFIGURATION');
      expect(await codeOf({ uriEndpoint: `https://127.0.0.1:${proxy.port}` })).toBe(
        'XKS_PROXY_INVALID_TLS_CONFIGURATION',
      );
    });

    test('exchange the credential while it is in use, and then the old one is no good', async () => {
      const kms = await connected(proxy);
      const next = await newCredential(settings);
      proxy.signal('SIGHUP');
      await until(async () => (await failureOf(connected(proxy, next))) === 'none', 'the new credential is not known');
      const calls = Array.from({ length: 30 }, () => kms.encrypt(KEY, plaintext, aad));
      await kms.rotateCredential(next);
      await Promise.all(calls);
      await keytrailXks(settings, 'delete-credential', credential.accessKeyId);
      proxy.signal('SIGHUP');
      const old = { path: `${URI_PATH}/health`, body: HEALTH, credential };
      await until(async () => (await sendXks(proxy.port, old)).status === 401, 'the old credential is not refused');
      await kms.encrypt(KEY, plaintext, aad);
      credential = next;
    });

    test('see a key disabled, and enabled again', async () => {
      const kms = await connected(proxy);
      for (const [command, failure] of [
        ['disable-key', 'key-state'],
        ['enable-key', 'none'],
      ] as const) {
        await keytrailXks(settings, command, '--id', KEY);
        proxy.signal('SIGHUP');
        await until(
          async () => (await failureOf(kms.encrypt(KEY, plaintext, aad))) === failure,
          `${command} is not seen`,
        );
      }
    });
  });

  describe('whose HSM', () => {
    test('hangs says so in time, and works again by itself', async () => {
      const impatient = await started({ KEYTRAIL_XKS_HSM_TIMEOUT_MS: '100' });
      let kms: XksProxyConnection | undefined;
      let sealed: Buffer | undefined;
      // A busy machine may be as slow as an HSM that hangs.
      const used = async (): Promise<void> => {
        kms ??= await connected(impatient);
        sealed = await kms.encrypt(KEY, plaintext, aad);
      };
      await until(
        () =>
          used().then(
            () => true,
            () => false,
          ),
        'the HSM does not work',
      );
      const pid = tokenProcessOf(impatient.pid)!;
      process.kill(pid, 'SIGSTOP');
      const outcomes = await Promise.all([
        failureOf(kms!.decrypt(KEY, sealed!, aad)),
        failureOf(kms!.encrypt(KEY, plaintext, aad)),
        failureOf(kms!.health()),
      ]);
      expect(outcomes).toEqual(['timeout', 'timeout', 'timeout']);
      await until(
        async () => (await failureOf(kms!.decrypt(KEY, sealed!, aad))) === 'none',
        'the HSM does not work again',
      );
      expect(tokenProcessOf(impatient.pid)).not.toBe(pid);
    });

    test('is killed fails as the API says, and works again by itself', async () => {
      const kms = await connected(proxy);
      const sealed = await kms.encrypt(KEY, plaintext, aad);
      const pid = tokenProcessOf(proxy.pid)!;
      process.kill(pid, 'SIGSTOP');
      const waiting = [kms.decrypt(KEY, sealed, aad), kms.encrypt(KEY, plaintext, aad)].map(failureOf);
      process.kill(pid, 'SIGKILL');
      for (const failure of await Promise.all(waiting)) expect(['internal', 'none']).toContain(failure);
      await until(
        async () => (await failureOf(kms.decrypt(KEY, sealed, aad))) === 'none',
        'the HSM does not work again',
      );
      expect(tokenProcessOf(proxy.pid)).not.toBe(pid);
    });

    test('is gone for good is not taken for a wrong ciphertext or a missing key', async () => {
      const lost = softHsm(modulePath!);
      open.push({ close: async () => lost.remove() });
      const own = xksSettings(lost);
      await keytrailXks(own, 'create-key', '--id', KEY);
      const known = await newCredential(own);
      const alone = await startXksProxy(own);
      open.push(alone);
      const kms = await connectXks({ ...optionsOf(alone), ...known });
      open.push(kms);
      const sealed = await kms.encrypt(KEY, plaintext, aad);
      lost.remove();
      process.kill(tokenProcessOf(alone.pid)!, 'SIGKILL');
      await until(async () => (await failureOf(kms.decrypt(KEY, sealed, aad))) !== 'none', 'the HSM is not gone');
      expect(['internal', 'timeout']).toContain(await failureOf(kms.decrypt(KEY, sealed, aad)));
      expect(['internal', 'timeout']).toContain(await failureOf(kms.health()));
    });
  });

  test('two of them serve one token at once, keys that are made meanwhile included', async () => {
    const second = await started({});
    const [one, other] = [await connected(proxy), await connected(second)];
    const sealed = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? one : other).encrypt(KEY, Buffer.from(`${n + 1}`), aad)),
    );
    const opened = await Promise.all(sealed.map((some, n) => (n % 2 === 0 ? other : one).decrypt(KEY, some, aad)));
    expect(opened.map(String)).toEqual(sealed.map((_, n) => `${n + 1}`));
    expect(await failureOf(one.keyMetadata('later'))).toBe('key-not-found');
    await keytrailXks(settings, 'create-key', '--id', 'later');
    await until(async () => (await failureOf(one.keyMetadata('later'))) === 'none', 'the new key is not seen');
    await until(async () => (await failureOf(other.keyMetadata('later'))) === 'none', 'the other does not see it');
    expect(await other.decrypt('later', await one.encrypt('later', plaintext, aad), aad)).toEqual(plaintext);
  });

  test('a key that two commands make at once is of use by whatever each proxy finds of it', async () => {
    const second = await started({});
    const both = [await connected(proxy), await connected(second)];
    const made = await Promise.allSettled([1, 2].map(() => keytrailXks(settings, 'create-key', '--id', 'raced')));
    expect(made.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const [one, other] of [both, [...both].reverse()]) {
      const sealed = await one!.encrypt('raced', plaintext, aad);
      await until(
        async () => (await failureOf(other!.decrypt('raced', sealed, aad))) === 'none',
        'the other does not decrypt it',
      );
    }
  });

  test('a stop answers what was begun, and ends with 0', async () => {
    const stopping = await started({});
    const kms = await connected(stopping);
    await kms.encrypt(KEY, plaintext, aad);
    const pid = tokenProcessOf(stopping.pid)!;
    process.kill(pid, 'SIGSTOP');
    const waiting = kms.encrypt(KEY, plaintext, aad);
    // It is at the proxy, which waits for its HSM.
    await until(
      async () => (await rawXks(stopping.port, 'GET', '/healthz', {})).status === 200,
      'the proxy does not answer',
    );
    stopping.signal('SIGTERM');
    process.kill(pid, 'SIGCONT');
    await waiting;
    expect(await stopping.exitCode).toBe(0);
    expect(tokenProcessOf(stopping.pid)).toBeUndefined();
  });

  test('the PIN is in no command line and no environment of the process that knows it', () => {
    const pid = tokenProcessOf(proxy.pid)!;
    expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toContain(hsm.pin);
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toMatch(/KEYTRAIL_|1234-user/);
  });

  (findOpenssl() === undefined ? describe.skip : describe)('over TLS', () => {
    let authority: TestAuthority;
    let files: Record<string, string>;
    beforeAll(() => {
      authority = new TestAuthority(join(hsm.folder, 'tls'));
      const { cert, key } = authority.issue('proxy');
      files = { KEYTRAIL_XKS_TLS_CERT: cert, KEYTRAIL_XKS_TLS_KEY: key };
    });

    test('is used by who knows its authority, and refused by who does not', async () => {
      const secure = await started(files);
      const uriEndpoint = `https://localhost:${secure.port}`;
      const kms = await connected(secure, { uriEndpoint, ca: readFileSync(authority.ca) });
      expect(await kms.decrypt(KEY, await kms.encrypt(KEY, plaintext, aad), aad)).toEqual(plaintext);
      await expect(connectXks(optionsOf(secure, { uriEndpoint }))).rejects.toMatchObject({
        code: 'XKS_PROXY_INVALID_TLS_CONFIGURATION',
      });
    });

    test('lets in only a client whose certificate has the name that is set', async () => {
      const secure = await started({
        ...files,
        KEYTRAIL_XKS_TLS_CLIENT_CA: authority.ca,
        KEYTRAIL_XKS_TLS_CLIENT_NAME: 'cks.kms.us-east-1.amazonaws.com',
      });
      const statusFor = (name: string | undefined): Promise<number | string> =>
        new Promise((done) => {
          const issued = name === undefined ? undefined : authority.issue(name);
          const own = issued && { cert: readFileSync(issued.cert), key: readFileSync(issued.key) };
          const agent = new Agent({ ca: readFileSync(authority.ca), ...own });
          const path = '/healthz';
          request({ host: 'localhost', port: secure.port, path, agent }, (response) => done(response.statusCode!))
            .once('error', () => done('refused'))
            .end();
        });
      expect(await statusFor('cks.kms.us-east-1.amazonaws.com')).toBe(200);
      expect(await statusFor('cks.kms.us-west-1.amazonaws.com')).toBe('refused');
      expect(await statusFor(undefined)).toBe('refused');
    });
  });

  describe('a start is refused', () => {
    const file = (name: string, text: string, mode = 0o600): string => {
      const path = join(hsm.folder, name);
      writeFileSync(path, text);
      chmodSync(path, mode);
      return path;
    };
    test.each<[string, () => Record<string, string>, RegExp]>([
      [
        'without a token',
        () => ({ KEYTRAIL_XKS_PKCS11_TOKEN: '' }),
        /KEYTRAIL_XKS_PKCS11_TOKEN: expected the label of a token/,
      ],
      [
        'on an address that others reach, without TLS',
        () => ({ KEYTRAIL_XKS_HOST: '0.0.0.0' }),
        /anybody on the way could read/,
      ],
      [
        'with another path',
        () => ({ KEYTRAIL_XKS_URI_PATH: '/kms/xks/v2' }),
        /KEYTRAIL_XKS_URI_PATH="\/kms\/xks\/v2": expected/,
      ],
      ['with half a certificate', () => ({ KEYTRAIL_XKS_TLS_CERT: '/nowhere' }), /expected both or neither/],
      [
        'with a wrong PIN',
        () => ({ KEYTRAIL_XKS_PKCS11_PIN_FILE: file('wrong', 'no-such-pin') }),
        /the token keytrail: open: CKR_PIN_INCORRECT/,
      ],
      [
        'with a PIN that others may read',
        () => ({ KEYTRAIL_XKS_PKCS11_PIN_FILE: file('seen', hsm.pin, 0o644) }),
        /others may read or write the PIN/,
      ],
      [
        'with credentials that others may read',
        () => ({ KEYTRAIL_XKS_ACCESS_FILE: file('open.json', '{}', 0o640) }),
        /others may read or write credentials; run: chmod 600/,
      ],
      [
        'with credentials that are none',
        () => ({ KEYTRAIL_XKS_ACCESS_FILE: file('bad.json', '{"credentials":[{}]}') }),
        /credentials\[0\].accessKeyId: expected/,
      ],
      [
        'with no module',
        () => ({ KEYTRAIL_XKS_PKCS11_MODULE: '/nowhere.so' }),
        /nowhere.so: no PKCS#11 module that can be loaded/,
      ],
      [
        'on a port that is taken',
        () => ({ KEYTRAIL_XKS_PORT: String(proxy.port) }),
        /set KEYTRAIL_XKS_PORT to another port/,
      ],
    ])('%s', async (_what, changed, message) => {
      await expect(startXksProxy({ ...settings, ...changed() })).rejects.toThrow(message);
    });
  });

  describe('its commands', () => {
    test('make files that nobody else may read, and tell a secret once', async () => {
      const written = join(hsm.folder, 'told.json');
      const said = await keytrailXks(settings, 'create-credential', '--keys', 'a,b', '--write', written);
      const { XksProxyAuthenticationCredential: told } = JSON.parse(readFileSync(written, 'utf8')) as {
        XksProxyAuthenticationCredential: { AccessKeyId: string; RawSecretAccessKey: string };
      };
      expect(said).not.toContain(told.RawSecretAccessKey);
      for (const path of [written, settings['KEYTRAIL_XKS_ACCESS_FILE']!])
        expect(statSync(path).mode & 0o777).toBe(0o600);
      const list = await keytrailXks(settings, 'list');
      expect(list).toContain(`credential ${told.AccessKeyId}  keys: a, b`);
      expect(list).not.toContain(told.RawSecretAccessKey);
    });

    test.each<[string[], RegExp]>([
      [['create-key', '--id', KEY], /has a key with the label my-key already/],
      [['create-key', '--id', 'a b'], /is no id of an external key: expected 1 to 128/],
      [['create-key', '--id', 'keytrail-xks-health'], /is what the proxy tries health with/],
      [['create-key', '--id', 'x', '--encrypt-only', '--decrypt-only'], /expected one of them/],
      [['create-credential', '--keys', 'a b'], /is no id of an external key/],
      [['create-credential', '--write', '/nowhere/x'], /could not be written .*: no credential was made/],
      [['delete-credential', 'nobody'], /there is no credential nobody/],
    ])('%j is refused', async (args, message) => {
      const before = readFileSync(settings['KEYTRAIL_XKS_ACCESS_FILE']!, 'utf8');
      await expect(keytrailXks(settings, ...args)).rejects.toThrow(message);
      expect(JSON.parse(readFileSync(settings['KEYTRAIL_XKS_ACCESS_FILE']!, 'utf8'))).toEqual(JSON.parse(before));
    });

    test('of which several run at once undo nothing of each other', async () => {
      const made = await Promise.allSettled([1, 2, 3, 4, 5, 6].map(() => newCredential(settings)));
      const list = await keytrailXks(settings, 'list');
      for (const each of made) {
        if (each.status === 'fulfilled') expect(list).toContain(`credential ${each.value.accessKeyId}`);
        else expect(String(each.reason)).toContain('is being changed by another command');
      }
      expect(made.some(({ status }) => status === 'fulfilled')).toBe(true);
    });

    test('have help, and so has the proxy', async () => {
      expect(await keytrailXks(settings, '--help')).toContain('create-credential');
      const { status, stdout } = spawnSync(process.execPath, [XKS_MAIN, '--help'], { encoding: 'utf8' });
      expect(status).toBe(0);
      expect(stdout).toContain('KEYTRAIL_XKS_HSM_TIMEOUT_MS');
      expect(spawnSync(process.execPath, [XKS_MAIN, '--hlep'], { encoding: 'utf8' }).status).toBe(1);
    });
  });
});
