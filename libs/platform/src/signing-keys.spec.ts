import { connect, type NatsConnection } from 'nats';
import { KmsError } from '#domain/errors';
import { INTERNAL } from '#domain/subjects';
import { deriveSigningKey } from '#sigv4/signing-key';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { ServedRequests } from './served-requests';
import { CachedSigningKeys, RemoteSigningKeys, type SigningKeys, serveSigningKeys } from './signing-keys';

const SCOPE = { accessKeyId: 'AKIAROOT', date: '20261124', region: 'us-east-1', service: 'kms' };
const root: SigningKeys = {
  identify: ({ accessKeyId, date, region, service }) =>
    accessKeyId === 'AKIAROOT'
      ? {
          account: '000000000000',
          principalId: 'root',
          signingKey: deriveSigningKey('secret', date, region, service),
        }
      : undefined,
};
const remoteKeys = (newest = 0): RemoteSigningKeys => new RemoteSigningKeys(nats, () => newest);

let server: TestNats;
let nats: NatsConnection;
let served: ServedRequests;
let errors: unknown[];

beforeEach(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  errors = [];
  served = new ServedRequests(nats, (error) => errors.push(error));
});

afterEach(async () => {
  await nats?.close();
  await server?.stop();
});

const serve = (): void =>
  serveSigningKeys(
    served,
    root,
    async () => {},
    () => {},
  );

describe('signing keys over NATS', () => {
  test('are those that the secret gives, for a known access key', async () => {
    serve();
    const remote = remoteKeys();
    const found = await remote.identify(SCOPE);
    expect(found?.signingKey).toEqual(deriveSigningKey('secret', '20261124', 'us-east-1', 'kms'));
    expect(found).toMatchObject({ account: '000000000000', principalId: 'root' });
    expect(await remote.identify({ ...SCOPE, accessKeyId: 'AKIAOTHER' })).toBeUndefined();
  });

  test('are waited for while nobody serves them', async () => {
    const found = remoteKeys().identify(SCOPE);
    // The server has told the first try that nobody is there before it answers this.
    await nats.flush();
    serve();
    expect((await found)?.account).toBe('000000000000');
  });

  test.each(['', 'no JSON', 'null', '[]', '{}', JSON.stringify({ ...SCOPE, date: 20261124 })])(
    'are refused for a scope that is none, and served afterwards: %s',
    async (text) => {
      serve();
      const refused = (await nats.request(INTERNAL.signingKey, text)).json<{ error: { code: string } }>();
      expect(refused.error.code).toMatch(/^(ValidationException|KMSInternalException)$/);
      expect((await remoteKeys().identify(SCOPE))?.account).toBe('000000000000');
      expect(errors).toEqual([]);
    },
  );
});

describe('cached signing keys', () => {
  const identity = { account: '000000000000', principalId: 'root', signingKey: Buffer.alloc(32) };

  test('that cannot be had are out of service alike, whether secrets are in this process or in another', async () => {
    const here: SigningKeys = {
      identify: async () => {
        throw new KmsError('DependencyTimeoutException', 'The key material is out of reach; try again.');
      },
    };
    const there = new RemoteSigningKeys(nats, () => 0);
    await nats.close();
    for (const source of [here, there]) {
      await expect(new CachedSigningKeys(source).identify(SCOPE)).rejects.toMatchObject({
        code: 'ServiceUnavailableException',
        message: 'Signatures cannot be verified now; try again.',
      });
    }
  });

  test('that can be had nowhere are no reason to try again', async () => {
    const damaged = new KmsError('KMSInternalException', 'The secret of the access key is missing.');
    const source: SigningKeys = {
      identify: async () => {
        throw damaged;
      },
    };
    await expect(new CachedSigningKeys(source).identify(SCOPE)).rejects.toBe(damaged);
  });

  test('ask once for all who wait for the same scope, and again after a failure', async () => {
    const answers: { scope: object; resolve(found: typeof identity): void; reject(error: Error): void }[] = [];
    const cached = new CachedSigningKeys({
      identify: (scope) => new Promise((resolve, reject) => answers.push({ scope, resolve, reject })),
    });
    const asking = Array.from({ length: 32 }, async () => cached.identify(SCOPE));
    const other = cached.identify({ ...SCOPE, sessionToken: 'another' });
    expect(answers).toHaveLength(2);
    answers[0]!.reject(new Error('away'));
    answers[1]!.resolve(identity);
    for (const outcome of await Promise.allSettled(asking)) expect(outcome.status).toBe('rejected');
    expect(await other).toBe(identity);
    const again = cached.identify(SCOPE);
    answers[2]!.resolve(identity);
    expect(await again).toBe(identity);
    expect(cached.identify(SCOPE)).toBe(identity);
    expect(answers).toHaveLength(3);
  });
});
