import { type ConnectionOptions, connect, Events, headers, type NatsConnection } from 'nats';
import { createServer, createUser, decode, type User } from 'nats-jwt';
import { createCurve } from 'nkeys.js';
import { AUTH_CALLOUT, AUTH_CALLOUT_REPLIES, clientInbox, principalToken, requestSubject } from '#domain/subjects';
import { startNats, type TestNats, until } from '../../../test/support/nats-server';
import { type LoginOutcome, serveAuthCallout } from './auth-callout';
import { calloutKeys, calloutPublicKeys, newCalloutSeeds } from './callout-keys';
import { type CredentialCheck, type ShownCredentials, type ShownIdentity } from './credential-check';
import { inboxPrefix, natsPermissions, natsUserScope, renderAuthorization } from './nats-users';
import { ServedRequests } from './served-requests';

const ACCOUNT = '111122223333';
const seeds = newCalloutSeeds();
const WITH_PASSWORD = { user: 'AKIAONE', pass: 'the secret' };

let server: TestNats;
let connections: NatsConnection[] = [];
let outcomes: LoginOutcome[] = [];
let errors: unknown[] = [];
let shown: ShownCredentials[] = [];
let identify: CredentialCheck['identify'];
let mayAdmit: () => boolean;

beforeAll(async () => {
  const { issuer, xkey } = calloutPublicKeys(seeds);
  const authorization = renderAuthorization(natsPermissions(natsUserScope()), () => '"pw"', { issuer, xkey });
  server = await startNats({ config: `max_control_line: 32KB\n${authorization}` });
});
afterAll(() => server?.stop());

beforeEach(() => {
  [outcomes, errors, shown] = [[], [], []];
  identify = () => ({ account: ACCOUNT, principalId: 'root' });
  mayAdmit = () => true;
});
afterEach(async () => {
  for (const nats of connections) await nats.close();
  connections = [];
});

async function connected(options: ConnectionOptions): Promise<NatsConnection> {
  const nats = await connect({ servers: server.url, reconnect: false, ...options });
  connections.push(nats);
  return nats;
}

/** What a crypto-worker runs. */
async function answering({
  servers = server.url,
  ...options
}: {
  servers?: string;
  keys?: ReturnType<typeof calloutKeys>;
} = {}): Promise<void> {
  const user = 'crypto-worker';
  const nats = await connected({ servers, user, pass: 'pw', inboxPrefix: inboxPrefix(user) });
  serveAuthCallout(new ServedRequests(nats, (error) => errors.push(error)), {
    keys: calloutKeys(seeds),
    credentials: {
      identify: (credentials) => {
        shown.push(credentials);
        return identify(credentials);
      },
      mayAdmit: () => mayAdmit(),
    },
    ended: (outcome) => outcomes.push(outcome),
    onError: (error) => errors.push(error),
    ...options,
  });
  await nats.flush();
}

const refused = (options: ConnectionOptions): Promise<void> =>
  expect(connected(options)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });

describe('a login', () => {
  it('shows access key id and secret as user and password', async () => {
    await answering();
    await connected(WITH_PASSWORD);
    expect(shown).toEqual([{ accessKeyId: 'AKIAONE', secretAccessKey: 'the secret' }]);
    expect(outcomes).toEqual(['accepted']);
  });

  it('shows a session token as NATS token, or behind the secret', async () => {
    await answering();
    const sessionToken = 'x'.repeat(20_000);
    await connected({ user: 'ASIAONE', pass: 'secret', token: sessionToken });
    await connected({ user: 'ASIAONE', pass: `secret:${sessionToken}` });
    const expected = { accessKeyId: 'ASIAONE', secretAccessKey: 'secret', sessionToken };
    expect(shown).toEqual([expected, expected]);
  });

  it('lets a principal ask and hear as itself, whatever is in the name of its session', async () => {
    await answering();
    const principalId = 'AROAONE:a.b@example.com';
    identify = () => ({ account: ACCOUNT, principalId });
    const token = principalToken(principalId);
    const nats = await connected({ ...WITH_PASSWORD, inboxPrefix: clientInbox(ACCOUNT, token) });
    const served = connections[0]!.subscribe(requestSubject('*', '*', '*', 'Encrypt'), {
      callback: (error, message) => void (error ?? message.respond(message.subject)),
    });
    await connections[0]!.flush();
    const subject = requestSubject('eu-west-1', ACCOUNT, token, 'Encrypt');
    expect((await nats.request(subject)).string()).toBe(subject);
    served.unsubscribe();
  });

  it.each<[string, ShownIdentity | undefined]>([
    ['nobody has these credentials', undefined],
    ['they have expired', { account: ACCOUNT, principalId: 'AROAONE:x', expiresAt: Date.now() / 1000 - 1 }],
    ['they expire now', { account: ACCOUNT, principalId: 'AROAONE:x', expiresAt: Math.floor(Date.now() / 1000) }],
  ])('is refused where %s', async (_what, identity) => {
    await answering();
    identify = async () => identity;
    await refused(WITH_PASSWORD);
    expect(outcomes).toEqual(['refused']);
    expect(errors).toEqual([]);
  });

  it('is refused where its credentials have ended by the time of the answer', async () => {
    await answering();
    mayAdmit = () => false;
    await refused(WITH_PASSWORD);
    expect(outcomes).toEqual(['refused']);
    expect(errors).toEqual([]);
  });

  it('is refused where the credentials cannot be looked up, and the next one is not', async () => {
    await answering();
    identify = () => Promise.reject(new Error('the store does not answer'));
    await refused(WITH_PASSWORD);
    expect(errors).toHaveLength(1);
    identify = () => ({ account: ACCOUNT, principalId: 'root' });
    await connected(WITH_PASSWORD);
  });

  it('is refused where it is answered with the keys of another installation', async () => {
    await answering({ keys: { ...calloutKeys(newCalloutSeeds()), xkey: calloutKeys(seeds).xkey } });
    await refused(WITH_PASSWORD);
    expect(outcomes).toEqual(['accepted']);
  });

  it('is refused with nobody there to ask', () => refused(WITH_PASSWORD));

  it('ends with the session it was made with, and a client that has new credentials logs in again by itself', async () => {
    await answering();
    identify = () => ({ account: ACCOUNT, principalId: 'root', expiresAt: Date.now() / 1000 + 2 });
    const nats = await connected({
      ...WITH_PASSWORD,
      reconnect: true,
      reconnectTimeWait: 20,
      maxReconnectAttempts: -1,
    });
    const seen: string[] = [];
    for await (const { type } of nats.status()) {
      seen.push(type);
      if (type === Events.Reconnect) break;
    }
    expect(seen).toContain(Events.Disconnect);
    expect(outcomes).toEqual(['accepted', 'accepted']);
  });
});

describe('what asks as nats-server does', () => {
  const sender = createCurve();
  const own = sender.getPublicKey();
  const request = { user_nkey: createUser().getPublicKey(), server_id: { id: createServer().getPublicKey() } };
  const claims = (nats: object): string =>
    ['{}', JSON.stringify({ nats }), ''].map((part) => Buffer.from(part).toString('base64url')).join('.');
  const sealed = (text: string): Uint8Array => sender.seal(Buffer.from(text), calloutPublicKeys(seeds).xkey);
  const login = sealed(claims({ ...request, connect_opts: { ...WITH_PASSWORD, protocol: 1 } }));

  let open: TestNats;
  let asker: NatsConnection;
  let answers: string[];

  beforeAll(async () => {
    open = await startNats();
  });
  afterAll(() => open?.stop());

  beforeEach(async () => {
    answers = [];
    asker = await connected({ servers: open.url });
    asker.subscribe(AUTH_CALLOUT_REPLIES, { callback: (_, message) => answers.push(message.string()) });
    await asker.flush();
    await answering({ servers: open.url });
  });

  const ask = (payload: Uint8Array, xkey = own, reply = '$SYS._INBOX.server.reply'): void => {
    const given = headers();
    if (xkey) given.set('Nats-Server-Xkey', xkey);
    asker.publish(AUTH_CALLOUT, payload, { headers: given, reply });
  };

  it('is answered with signed permissions', async () => {
    ask(login);
    await until(() => answers.length === 1, 'no answer');
    const { nats, aud, sub } = decode<{ jwt: string }>(answers[0]!);
    expect([aud, sub]).toEqual([request.server_id.id, request.user_nkey]);
    const user = decode<User>(nats.jwt!);
    expect(user.nats.pub).toEqual({ allow: [`kms.req.*.${ACCOUNT}.root.*`], deny: [] });
    expect(user.nats.sub).toEqual({ allow: [`_INBOX_c.${ACCOUNT}.root.>`], deny: [] });
    expect(user.exp! - Math.floor(Date.now() / 1000)).toBeGreaterThan(3_590);
    expect(user.exp! - Math.floor(Date.now() / 1000)).toBeLessThanOrEqual(3_600);
  });

  it.each<[string, Uint8Array, string]>([
    ['in clear', Buffer.from(claims(request)), ''],
    ['sealed by another', login, createCurve().getPublicKey()],
    ['sealed by a key that is none', login, 'X'],
    ['cut short', login.slice(0, 40), own],
    ['empty', new Uint8Array(), own],
    ['that is no JWT', sealed('none'), own],
    ['that is no JSON', sealed('a.b.c'), own],
    ['without what the client showed', sealed(claims(request)), own],
    ['that shows no texts', sealed(claims({ ...request, connect_opts: { user: {}, pass: ['x'] } })), own],
    ['for no user', sealed(claims({ ...request, user_nkey: 'none', connect_opts: WITH_PASSWORD })), own],
  ])('is refused with a request %s, and the next one is not', async (_what, payload, xkey) => {
    ask(payload, xkey);
    await until(() => answers.length === 1, 'no answer');
    expect(answers).toEqual(['']);
    ask(login);
    await until(() => answers.length === 2, 'the next one had no answer');
    expect(outcomes).toEqual(['refused', 'accepted']);
  });

  it('is not answered where nats-server does not want an answer', async () => {
    ask(login, undefined, 'kms.evt.forged');
    ask(login);
    await until(() => answers.length === 1, 'no answer');
    expect(shown).toHaveLength(1);
  });

  it('has no more than 16 logins checked at once', async () => {
    let most = 0;
    let now = 0;
    const turns: (() => void)[] = [];
    identify = async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((turn) => turns.push(turn));
      now--;
      return undefined;
    };
    for (let i = 0; i < 20; i++) ask(login);
    await until(() => turns.length === 16, 'the first logins were not checked');
    await asker.flush();
    await until(() => {
      for (const turn of turns.splice(0)) turn();
      return answers.length === 20;
    }, 'not everybody was answered');
    expect(most).toBe(16);
    expect(shown).toHaveLength(20);
  });

  it('has logins beyond a thousand that wait refused at once', async () => {
    identify = () => new Promise(() => {});
    for (let i = 0; i < 1_016 + 7; i++) ask(login);
    await until(() => answers.length === 7, 'nobody was refused at once');
    expect(outcomes).toEqual(Array(7).fill('crowded_out'));
    expect(shown).toHaveLength(16);
  });
});

describe('the seeds of auth callout', () => {
  it('are refused in the place of each other, or damaged', () => {
    expect(() => calloutKeys({ issuer: seeds.xkey, xkey: seeds.issuer })).toThrow();
    const damaged = seeds.issuer.replace(/(?<=^.{20})./, (letter) => (letter === 'A' ? 'B' : 'A'));
    expect(() => calloutKeys({ ...seeds, issuer: damaged })).toThrow();
    expect(() => calloutKeys({ ...seeds, xkey: '' })).toThrow();
  });

  it('sign as nkeys.js checks it', () => {
    const { issuer } = calloutKeys(newCalloutSeeds());
    const message = Buffer.from('who may do what');
    expect(issuer.verify(message, issuer.sign(message))).toBe(true);
  });
});
