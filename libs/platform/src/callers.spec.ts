import { connect, type NatsConnection } from 'nats';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import type { SessionClaims } from '#operations/caller';
import { Projection } from '#views/projection';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { askForAnchors, Callers, type PublishedAnchors, SessionTokens, serveAnchors } from './callers';
import { ServedRequests } from './served-requests';

const ACCOUNT = '000000000000';
const issuer = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 1));
const ANCHORS: PublishedAnchors = { rootAccessKeyId: 'AKIAROOT', tokenKey: issuer.publicKey.export() };
const ROOT = { region: 'us-east-1', account: ACCOUNT, principalId: 'root' };
const claims: SessionClaims = {
  account: ACCOUNT,
  principalId: 'root',
  accessKeyId: 'ASIASESSION',
  issuedAt: 0,
  expiresAt: 9_999_999_999,
};
const sessionToken = issuer.issue('session', claims);

let server: TestNats;
let nats: NatsConnection;
let asked: number;

beforeEach(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  asked = 0;
});

afterEach(async () => {
  await nats?.close();
  await server?.stop();
});

const remote = (): Callers => {
  const ask = askForAnchors(nats);
  return new Callers(ACCOUNT, new Projection(), () => {
    asked++;
    return ask();
  });
};
const serve = (): void => serveAnchors(new ServedRequests(nats, () => {}), ANCHORS, () => {});

describe('a process without key material', () => {
  test('asks a crypto-worker once, for the first caller whom the log does not tell', async () => {
    serve();
    const callers = remote();
    // By way of NATS: the server has let root in, and the account is that of the settings.
    expect(callers.prepared(ROOT)).toBeUndefined();
    expect(callers.resolve(ROOT).principal.kind).toBe('root');
    expect(asked).toBe(0);
    const byKey = { ...ROOT, accessKeyId: 'AKIAROOT' };
    await Promise.all([callers.prepared(byKey), callers.prepared({ ...ROOT, sessionToken })]);
    expect(asked).toBe(1);
    expect(callers.resolve(byKey).accessKeyId).toBe('AKIAROOT');
    expect(callers.resolve({ ...ROOT, sessionToken }).session).toEqual(claims);
    expect(callers.prepared(byKey)).toBeUndefined();
    expect(() => callers.resolve({ ...ROOT, accessKeyId: 'AKIAOTHER' })).toThrow(
      expect.objectContaining({ code: 'UnrecognizedClientException' }),
    );
  });

  test('waits for a crypto-worker that is not there yet, and asks again after it gave up', async () => {
    const callers = remote();
    await nats.close();
    await expect(callers.prepared({ ...ROOT, sessionToken })).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
    });
    nats = await connect({ servers: server.url });
    const later = new Callers(ACCOUNT, new Projection(), askForAnchors(nats));
    const waiting = later.prepared({ ...ROOT, sessionToken });
    await nats.flush();
    serve();
    await waiting;
    expect(later.resolve({ ...ROOT, sessionToken }).principalArn).toBe(`arn:aws:iam::${ACCOUNT}:root`);
  });
});

describe('session tokens', () => {
  const tokens = new SessionTokens(issuer.publicKey);

  test('are taken from our crypto-workers alone, and as they are', () => {
    expect(tokens.claimsOf(sessionToken)).toEqual(claims);
    const other = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 2)).issue('session', claims);
    for (const forged of [
      other,
      issuer.issue('grant', claims),
      sessionToken.replace(/^../, 'AA'),
      `${sessionToken} `,
      '',
    ]) {
      expect(tokens.claimsOf(forged)).toBeUndefined();
    }
  });
});
