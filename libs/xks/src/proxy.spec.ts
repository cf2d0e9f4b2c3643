import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import fc from 'fast-check';
import type { SignedRequest } from '#sigv4/claim';
import { signRequest } from '#sigv4/sign';
import type { Access } from './access';
import type { Sealed } from './integrity';
import { pathOf, type Route } from './paths';
import { answerProxyRequest, type ExternalKey, type KeyManager, type Noted } from './proxy';
import { PROXY_ERRORS, ProxyError, type ProxyErrorName } from './proxy-error';
import { encodeError } from './replies';

const NOW = Date.parse('2026-12-01T10:00:00Z');
const PREFIX = '/kms/xks/v1';
const CREDENTIAL = { accessKeyId: 'ABCDEFGHIJKLMNOPQRST', secretAccessKey: 'A'.repeat(43), keys: ['*'] };
const OTHER = { accessKeyId: 'TSRQPONMLKJIHGFEDCBA', secretAccessKey: 'B'.repeat(43), keys: ['both', 'off'] };
const ACCESS: Access = { credentials: [CREDENTIAL, OTHER], disabledKeys: ['off'] };
const requestMetadata = { awsPrincipalArn: 'a', kmsKeyArn: 'k', kmsOperation: 'Anything', kmsRequestId: 'r' };
const ENCRYPT = { requestMetadata, plaintext: 'AAEC', encryptionAlgorithm: 'AES_GCM' };

const key = (name: string, more: Partial<ExternalKey> = {}): ExternalKey => ({
  ...{ name, id: 'aa', bytes: 32, mayEncrypt: true, mayDecrypt: true },
  ...more,
});

/** A key manager in software. IVs count up. */
class Keys implements KeyManager {
  all = [
    key('both'),
    key('off'),
    key('encrypts', { mayDecrypt: false }),
    key('decrypts', { mayEncrypt: false }),
    key('neither', { mayDecrypt: false, mayEncrypt: false }),
    key('short', { bytes: 16 }),
    key('two', { id: 'bb' }),
    key('two', { id: 'aa' }),
    key('alike', { id: 'aa' }),
    key('alike', { id: 'aa' }),
  ];
  private nth = 0;

  /** Ids of keys that are seen only by who looks anew. */
  unseen: string[] = [];

  async find(name: string, anew = false): Promise<ExternalKey[]> {
    if (anew) this.unseen = [];
    return this.all.filter((one) => one.name === name && !this.unseen.includes(one.id));
  }

  async encrypt(one: ExternalKey, plaintext: Uint8Array, aad: Uint8Array) {
    const initializationVector = Buffer.alloc(12, this.nth++);
    const cipher = createCipheriv('aes-256-gcm', secretOf(one), initializationVector).setAAD(aad);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return { ciphertext, initializationVector, authenticationTag: cipher.getAuthTag() };
  }

  async decrypt(one: ExternalKey, sealed: Sealed, aad: Uint8Array): Promise<Buffer> {
    const decipher = createDecipheriv('aes-256-gcm', secretOf(one), sealed.initializationVector)
      .setAAD(aad)
      .setAuthTag(sealed.authenticationTag as Buffer);
    try {
      return Buffer.concat([decipher.update(sealed.ciphertext), decipher.final()]);
    } catch {
      throw new ProxyError('InvalidCiphertextException', 'altered');
    }
  }

  async health(): Promise<never> {
    throw new ProxyError('DependencyTimeoutException', 'too late');
  }
}

const secretOf = ({ name, id }: ExternalKey): Buffer => createHash('sha256').update(`${name} ${id}`).digest();

let keys: Keys;
beforeEach(() => {
  keys = new Keys();
});

interface Changed {
  by?: { accessKeyId: string; secretAccessKey: string };
  at?: number;
  service?: string;
  headers?: Record<string, string | undefined>;
}

function signed(
  route: Route,
  body: Buffer,
  { by = CREDENTIAL, at = NOW, service = 'kms-xks-proxy', headers }: Changed = {},
): SignedRequest {
  const path = pathOf(PREFIX, route);
  const sent = signRequest({
    ...{ accessKeyId: by.accessKeyId, secretAccessKey: by.secretAccessKey, region: 'eu-west-1', service, timeMs: at },
    ...{ method: 'POST', path, headers: { host: 'proxy' }, body },
  });
  return {
    method: 'POST',
    path,
    query: '',
    headers: { ...sent, 'content-type': 'application/json', ...headers },
    body,
  };
}

const noted: Noted = {};
const ask = async (route: Route, request: SignedRequest): Promise<Record<string, string>> => {
  try {
    const reply = await answerProxyRequest(route, request, { keys, access: ACCESS, nowMs: NOW, noted });
    return JSON.parse(reply.toString()) as Record<string, string>;
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    return JSON.parse(encodeError(error).toString()) as Record<string, string>;
  }
};
const on = (
  keyId: string,
  operation: 'metadata' | 'encrypt' | 'decrypt',
  json: object | string,
  changed: Changed = {},
) => {
  const route: Route = { operation, keyId };
  return ask(route, signed(route, Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)), changed));
};
const opened = async (keyId: string, sealed: Record<string, string>, more: object = {}) =>
  on(keyId, 'decrypt', { ...sealed, requestMetadata, encryptionAlgorithm: 'AES_GCM', ...more });

describe('a key', () => {
  test('decrypts what it has encrypted, with what it was bound to and with nothing else', async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((some) => Buffer.from(some).toString('base64'));
    await fc.assert(
      fc.asyncProperty(bytes, fc.option(bytes, { nil: undefined }), fc.boolean(), async (plaintext, aad, withValue) => {
        const sealed = await on('both', 'encrypt', {
          ...{ ...ENCRYPT, plaintext, additionalAuthenticatedData: aad },
          ...(withValue && { ciphertextDataIntegrityValueAlgorithm: 'SHA_256' }),
        });
        expect(sealed['ciphertextDataIntegrityValue'] !== undefined).toBe(withValue);
        expect(await opened('both', sealed, { additionalAuthenticatedData: aad })).toEqual({ plaintext });
        expect(
          await opened('both', sealed, { additionalAuthenticatedData: aad === 'AA==' ? 'AAA=' : 'AA==' }),
        ).toMatchObject({
          errorName: 'InvalidCiphertextException',
        });
      }),
      { numRuns: 30 },
    );
  });

  test('does not take its metadata for additional data, or the other way round', async () => {
    const sealed = await on('both', 'encrypt', ENCRYPT);
    const swapped = { additionalAuthenticatedData: sealed['ciphertextMetadata'], ciphertextMetadata: undefined };
    expect(await opened('both', sealed, swapped)).toMatchObject({ errorName: 'InvalidCiphertextException' });
  });

  test('is one of several of its name: each decrypts what it has encrypted, the first encrypts', async () => {
    const before = await on('two', 'encrypt', ENCRYPT);
    keys.all.push(key('two', { id: '00' }));
    const after = await on('two', 'encrypt', ENCRYPT);
    expect(after['ciphertextMetadata']).not.toBe(before['ciphertextMetadata']);
    for (const sealed of [before, after]) expect(await opened('two', sealed)).toEqual({ plaintext: 'AAEC' });
    keys.all = keys.all.filter(({ id }) => id !== 'aa');
    expect(await opened('two', before)).toMatchObject({ errorName: 'InvalidCiphertextException' });
  });

  test('is looked for anew where another proxy has encrypted under one of its name that is not known yet', async () => {
    keys.all.push(key('two', { id: '00' }));
    const sealed = await on('two', 'encrypt', ENCRYPT);
    keys.unseen = ['00'];
    expect(await opened('two', sealed)).toEqual({ plaintext: 'AAEC' });
  });

  test.each<[string, 'metadata' | 'encrypt' | 'decrypt', ProxyErrorName]>([
    ['nobody', 'metadata', 'KeyNotFoundException'],
    ['short', 'encrypt', 'KeyNotFoundException'],
    ['alike', 'encrypt', 'InternalException'],
    ['off', 'encrypt', 'InvalidStateException'],
    ['off', 'decrypt', 'InvalidStateException'],
    ['encrypts', 'decrypt', 'InvalidKeyUsageException'],
    ['decrypts', 'encrypt', 'InvalidKeyUsageException'],
    ['neither', 'encrypt', 'InvalidKeyUsageException'],
    ['neither', 'decrypt', 'InvalidKeyUsageException'],
  ])('%s: %s gives %s', async (keyId, operation, errorName) => {
    const sealed = await on('both', 'encrypt', ENCRYPT);
    expect(await on(keyId, operation, { ...ENCRYPT, ...sealed })).toMatchObject({ errorName });
  });

  test.each([
    ['both', ['ENCRYPT', 'DECRYPT'], 'ENABLED'],
    ['off', ['ENCRYPT', 'DECRYPT'], 'DISABLED'],
    ['encrypts', ['ENCRYPT'], 'ENABLED'],
    ['decrypts', ['DECRYPT'], 'ENABLED'],
    ['neither', [], 'ENABLED'],
  ])('%s has the usages %j and is %s', async (keyId, keyUsage, keyStatus) => {
    expect(await on(keyId, 'metadata', { requestMetadata })).toEqual({ keySpec: 'AES_256', keyUsage, keyStatus });
  });

  test('that is no AES-256 key says what it is, and is not used', async () => {
    expect(await on('short', 'metadata', { requestMetadata })).toMatchObject({ keySpec: 'AES_128' });
    expect(await on('short', 'encrypt', ENCRYPT)).toMatchObject({ errorName: 'KeyNotFoundException' });
  });

  test('that only encrypts gives no integrity value, which would promise what nobody has tried', async () => {
    expect(await on('encrypts', 'encrypt', ENCRYPT)).toHaveProperty('ciphertext');
    const asked = { ...ENCRYPT, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' };
    expect(await on('encrypts', 'encrypt', asked)).toMatchObject({ errorName: 'InvalidKeyUsageException' });
  });

  test('that does not decrypt what it has encrypted gives nothing where the value was asked for', async () => {
    keys.decrypt = async () => Buffer.from('else');
    const asked = { ...ENCRYPT, ciphertextDataIntegrityValueAlgorithm: 'SHA_256' };
    expect(await on('both', 'encrypt', asked)).toMatchObject({ errorName: 'InternalException' });
  });

  test('is not found out about by a credential that may not use it', async () => {
    for (const keyId of ['two', 'nobody']) {
      expect(await on(keyId, 'metadata', { requestMetadata }, { by: OTHER })).toMatchObject({
        errorName: 'AccessDeniedException',
      });
    }
    expect(await on('both', 'metadata', { requestMetadata }, { by: OTHER })).toHaveProperty('keySpec');
  });
});

describe('a request', () => {
  const refusedAs = async (request: SignedRequest): Promise<string | undefined> =>
    (await ask({ operation: 'metadata', keyId: 'both' }, request))['errorName'];
  const ROUTE: Route = { operation: 'metadata', keyId: 'both' };
  const BODY = Buffer.from(JSON.stringify({ requestMetadata }));
  const AUTHENTICATION = 'AuthenticationFailedException';

  test('may be signed by any credential there is', async () => {
    for (const by of [CREDENTIAL, OTHER]) expect(await refusedAs(signed(ROUTE, BODY, { by }))).toBeUndefined();
  });

  test.each<[string, number, string | undefined]>([
    ['5 minutes old', -300_000, undefined],
    ['older', -301_000, AUTHENTICATION],
    ['5 minutes ahead', 300_000, undefined],
    ['further ahead', 301_000, AUTHENTICATION],
  ])('that is %s', async (_what, ms, outcome) => {
    expect(await refusedAs(signed(ROUTE, BODY, { at: NOW + ms }))).toBe(outcome);
  });

  test.each<[string, Changed]>([
    ['an unknown access key', { by: { ...CREDENTIAL, accessKeyId: 'A'.repeat(20) } }],
    ['the secret of another', { by: { ...CREDENTIAL, secretAccessKey: OTHER.secretAccessKey } }],
    ['the service kms', { service: 'kms' }],
    ['no authorization', { headers: { authorization: undefined } }],
    ['another scheme', { headers: { authorization: 'Bearer x' } }],
    ['another host', { headers: { host: 'other' } }],
    ['another date', { headers: { 'x-amz-date': '20261201T100001Z' } }],
    ['a header of AWS that is not signed', { headers: { 'x-amz-extra': '1' } }],
  ])('with %s is not authenticated', async (_what, changed) => {
    expect(await refusedAs(signed(ROUTE, BODY, changed))).toBe(AUTHENTICATION);
  });

  test('whose body, path or method was replaced is not authenticated', async () => {
    const good = signed(ROUTE, BODY);
    for (const change of [{ body: Buffer.from('{}') }, { path: '/kms/xks/v1/keys/two/metadata' }, { method: 'PUT' }]) {
      expect(await refusedAs({ ...good, ...change })).toBe(AUTHENTICATION);
    }
  });

  test('notes who asked, only once that is proved', async () => {
    delete noted.accessKeyId;
    await refusedAs(signed(ROUTE, BODY, { by: { ...CREDENTIAL, secretAccessKey: 'C'.repeat(43) } }));
    expect(noted.accessKeyId).toBeUndefined();
    await refusedAs(signed(ROUTE, BODY));
    expect(noted).toMatchObject({ accessKeyId: CREDENTIAL.accessKeyId, requestMetadata });
  });

  test('is answered with what the key manager says', async () => {
    const route: Route = { operation: 'health' };
    expect(await ask(route, signed(route, BODY))).toMatchObject({ errorName: 'DependencyTimeoutException' });
  });

  test('whatever is in it, is answered with an error of the API or a reply, and never crashes', async () => {
    const value = fc.oneof(
      fc.constantFrom('AES_GCM', 'AAEC', 'SHA_256', '', '=', null, 5),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const members = ['requestMetadata', 'plaintext', 'ciphertext', 'encryptionAlgorithm', 'initializationVector'];
    members.push('authenticationTag', 'ciphertextMetadata', 'additionalAuthenticatedData');
    const json = fc.dictionary(fc.constantFrom(...members), value).map((some) => ({ ...ENCRYPT, ...some }));
    await fc.assert(
      fc.asyncProperty(
        json,
        fc.constantFrom('metadata' as const, 'encrypt' as const, 'decrypt' as const),
        async (body, operation) => {
          const { errorName, errorMessage = '' } = await on('both', operation, body);
          if (errorName !== undefined) expect(Object.keys(PROXY_ERRORS)).toContain(errorName);
          expect(errorMessage).toMatch(/^[ -~]{0,511}$/);
        },
      ),
    );
  });
});
