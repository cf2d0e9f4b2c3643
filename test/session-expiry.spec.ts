import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateRoleCommand,
  CreateUserCommand,
  ListUsersCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import { GenerateRandomCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { AssumeRoleCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { type ConnectionOptions, connect, headers, type NatsConnection } from 'nats';
import type { TokenIssuer } from '#crypto/signed-token';
import { HEADER_SESSION_TOKEN, principalToken, requestSubject } from '#domain/subjects';
import type { SessionClaims } from '#operations/caller';
import { type NatsEndpoint, readEndpoint } from '#platform/embedded-nats';
import { clientInboxPrefix } from '#platform/nats-users';
import {
  allowing,
  type Clients,
  type Credentials,
  clientsOf,
  longTerm,
  refusal,
  temporary,
  trusting,
} from './support/identities';
import { type KeytrailProcess, MAIN, rootKeyOf, run, startProcess } from './support/processes';
import { ending as endingAt, issuerOf } from './support/session-tokens';

const ACCOUNT = '000000000000';
const EXPIRED = 'The security token included in the request is expired';

let dataDir: string;
let server: KeytrailProcess;
let endpoint: NatsEndpoint;
let tokens: TokenIssuer;
let ann: Clients;
let session: Credentials;
let claims: SessionClaims;

const now = (): number => Math.floor(Date.now() / 1000);

const ending = (expiresAt: number): Credentials => endingAt(tokens, session, expiresAt);

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-expiry-'));
  server = await startProcess(dataDir, { KEYTRAIL_CLOCK: 'virtual' });
  endpoint = readEndpoint(dataDir)!;
  tokens = await issuerOf(dataDir);
  const root = clientsOf(server.endpoint, rootKeyOf(dataDir));
  await root.iam.send(new CreateUserCommand({ UserName: 'Ann' }));
  await root.iam.send(
    new PutUserPolicyCommand({ UserName: 'Ann', PolicyName: 'may', PolicyDocument: allowing('sts:AssumeRole') }),
  );
  ann = clientsOf(server.endpoint, longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName: 'Ann' }))));
  const trust = trusting(`arn:aws:iam::${ACCOUNT}:root`);
  const { Role } = await root.iam.send(new CreateRoleCommand({ RoleName: 'R', AssumeRolePolicyDocument: trust }));
  await root.iam.send(
    new PutRolePolicyCommand({ RoleName: 'R', PolicyName: 'may', PolicyDocument: allowing('kms:*', 'iam:*') }),
  );
  const assumed = await ann.sts.send(
    new AssumeRoleCommand({ RoleArn: Role!.Arn!, RoleSessionName: 'short', DurationSeconds: 900 }),
  );
  session = temporary(assumed.Credentials);
  claims = tokens.publicKey.claimsOf<SessionClaims>('session', session.sessionToken!)!;
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test('a session of 900 seconds ends 900 seconds after it was made', () => {
  expect(claims.expiresAt - claims.issuedAt).toBe(900);
  expect(Math.abs(claims.issuedAt - now())).toBeLessThan(60);
});

test('a session that is over is refused over HTTP, as each service calls it', async () => {
  const { kms, sts, iam } = clientsOf(server.endpoint, ending(now() - 1));
  expect(await refusal(kms.send(new GenerateRandomCommand({ NumberOfBytes: 8 })))).toEqual([
    'ExpiredTokenException',
    EXPIRED,
    400,
  ]);
  expect(await refusal(kms.send(new ListKeysCommand({})))).toEqual(['ExpiredTokenException', EXPIRED, 400]);
  const calls = [() => sts.send(new GetCallerIdentityCommand({})), () => iam.send(new ListUsersCommand({}))];
  for (const call of calls) expect(await refusal(call())).toEqual(['ExpiredToken', EXPIRED, 403]);
});

test('a session ends while it is used, although its signing key is remembered', async () => {
  const { kms } = clientsOf(server.endpoint, ending(now() + 2));
  expect((await kms.send(new ListKeysCommand({}))).Keys).toEqual([]);
  let ended: unknown;
  for (let tries = 0; tries < 10_000 && !ended; tries++) {
    ended = await kms.send(new ListKeysCommand({})).then(
      () => undefined,
      ({ name }: Error) => name,
    );
  }
  expect(ended).toBe('ExpiredTokenException');
});

test('the virtual clock ends no session, nor keeps an SDK from signing: both go by the system', async () => {
  const { kms } = clientsOf(server.endpoint, session);
  const moved = await run([MAIN, 'clock', 'advance', '2d'], { KEYTRAIL_DATA_DIR: dataDir, KEYTRAIL_CLOCK: 'virtual' })
    .done;
  expect(moved).toMatchObject({ code: 0 });
  expect((await kms.send(new ListKeysCommand({}))).Keys).toEqual([]);
});

describe('over NATS', () => {
  const login = ({ accessKeyId, secretAccessKey, sessionToken }: Credentials, options: ConnectionOptions = {}) =>
    connect({
      servers: endpoint.url,
      user: accessKeyId,
      pass: secretAccessKey,
      token: sessionToken!,
      reconnect: false,
      inboxPrefix: clientInboxPrefix(ACCOUNT, claims.principalId),
      ...options,
    });

  const listKeys = async (nats: NatsConnection, sessionToken: string): Promise<object> => {
    const sent = headers();
    sent.set(HEADER_SESSION_TOKEN, sessionToken);
    const subject = requestSubject('us-east-1', ACCOUNT, principalToken(claims.principalId), 'ListKeys');
    return (await nats.request(subject, '{}', { timeout: 10_000, headers: sent })).json();
  };

  test('a session that is over lets nobody in, and is refused on a connection that is open', async () => {
    const over = ending(now() - 1);
    await expect(login(over)).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    const nats = await login(session);
    try {
      expect(await listKeys(nats, session.sessionToken!)).toEqual({ Keys: [], Truncated: false });
      const refused = await listKeys(nats, over.sessionToken!);
      expect(refused).toEqual({ __type: 'ExpiredTokenException', message: EXPIRED });
    } finally {
      await nats.close();
    }
  });

  test('the server ends a connection with the session that it was opened with', async () => {
    const nats = await login(ending(now() + 3));
    expect(await nats.closed()).toMatchObject({ code: 'AUTHENTICATION_EXPIRED' });
  });
});
