import { createSecretKey } from 'node:crypto';
import { connect, type NatsConnection } from 'nats';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import type { CommandOf } from '#domain/aggregates';
import { userRef } from '#domain/principal/principal-id';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import { followGrantTokens, type GrantTokenClaims } from '#operations/grants/grant-tokens';
import type { DataPorts } from '#operations/operation';
import { resolveCaller } from '#operations/resolve-caller';
import { runOperation } from '#operations/run-operation';
import { OPERATION_TABLE } from '#operations/table';
import { defaultKeyPolicy } from '#policy/document';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { FoldedLog } from '../../../test/support/fold-log';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { GrantTokens, localSigner, remoteSigner, serveGrantTokens } from './grant-tokens';
import { answer } from './internal-requests';
import { ServedRequests } from './served-requests';

const T0 = '2026-01-01T00:00:00.000Z';
const ISSUER = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 1));
const EXPORTED = ISSUER.publicKey.export();
const GRANT: AggregateRef<'grant'> = {
  region: 'us-east-1',
  account: '000000000000',
  aggregate: 'grant',
  id: 'a'.repeat(64),
};
const NEW_KEY = {
  type: 'CreateKey',
  description: '',
  keyUsage: 'ENCRYPT_DECRYPT',
  keySpec: 'SYMMETRIC_DEFAULT',
  multiRegion: false,
  tags: [],
} as const satisfies Partial<CommandOf<'key'>>;
const NEW_GRANT: CommandOf<'grant'> & { type: 'CreateGrant' } = {
  type: 'CreateGrant',
  keyId: 'key-1',
  granteePrincipal: 'arn:aws:iam::000000000000:root',
  operations: ['Decrypt'],
  issuedBy: 'arn:aws:iam::000000000000:root',
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
};
const claims = (position: number): GrantTokenClaims => ({
  grantId: GRANT.id,
  keyArn: 'arn:aws:kms:us-east-1:000000000000:key/key-1',
  position,
  requestId: 'request',
});
const tokenAt = async (position: number): Promise<string> => (await localSigner(ISSUER)(claims(position)))!;

/** A log with one grant, and a view that has nothing of it yet. */
function behind() {
  const log = new FoldedLog(T0);
  log.run(GRANT, NEW_GRANT);
  return { view: new LiveView(), entry: log.entries[0]! };
}

const settled = async (promise: Promise<unknown>): Promise<boolean> => {
  const nothingYet = Symbol('pending');
  return (await Promise.race([promise, Promise.resolve(nothingYet)])) !== nothingYet;
};

describe('a grant token', () => {
  test('keeps the request until the view holds its grant', async () => {
    const { view, entry } = behind();
    const reader = new GrantTokens(view, EXPORTED);
    const following = followGrantTokens({ GrantTokens: [await tokenAt(1)] }, reader)!.then(
      () => view.projection.folded(GRANT)?.state.grantState,
    );
    await new Promise(setImmediate);
    expect(await settled(following)).toBe(false);
    view.offer(entry);
    expect(await following).toBe('Active');
  });

  test('says as GrantToken which grant it means', async () => {
    const { view, entry } = behind();
    view.offer(entry);
    const reader = new GrantTokens(view, EXPORTED);
    expect(await followGrantTokens({ GrantToken: await tokenAt(1) }, reader)).toEqual(claims(1));
    expect(followGrantTokens({}, reader)).toBeUndefined();
    expect(followGrantTokens({ GrantTokens: [] }, reader)).toBeUndefined();
  });

  test.each<[string, () => Promise<string>]>([
    ['no token', async () => 'no token'],
    [
      'a token of another deployment',
      () => localSigner(new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 2)))(claims(0)) as never,
    ],
    ['a session token', async () => ISSUER.issue('session', claims(0))],
    [
      'a token that was changed',
      async () => (await tokenAt(0)).replace(/^.{20}/, (head) => [...head].reverse().join('')),
    ],
  ])('is not %s', async (_what, token) => {
    const reader = new GrantTokens(new LiveView(), EXPORTED);
    const tokens = [await tokenAt(0), await token()];
    await expect(followGrantTokens({ GrantTokens: tokens }, reader)).rejects.toMatchObject({
      code: 'InvalidGrantTokenException',
    });
  });

  test('is checked with the public key of a crypto-worker, asked for once; and again only after a failure', async () => {
    let asked = 0;
    const reader = new GrantTokens(new LiveView(), async () => {
      if (++asked === 1) throw new Error('nobody answers');
      return EXPORTED;
    });
    const token = await tokenAt(0);
    await expect(followGrantTokens({ GrantToken: token }, reader)).rejects.toThrow('nobody answers');
    const both = [token, await tokenAt(-1)].map((GrantToken) => followGrantTokens({ GrantToken }, reader));
    expect(await Promise.all(both)).toEqual([claims(0), claims(-1)]);
    await followGrantTokens({ GrantToken: token }, reader);
    expect(asked).toBe(2);
  });

  test('makes no more than 1,000 requests wait at once', async () => {
    const { view, entry } = behind();
    const reader = new GrantTokens(view, EXPORTED);
    const waiting = Array.from({ length: 1_000 }, () => reader.reached(1));
    expect(() => reader.reached(1)).toThrow(expect.objectContaining({ code: 'ThrottlingException' }));
    view.offer(entry);
    await Promise.all(waiting);
    expect(reader.reached(1)).toBeUndefined();
  });
});

describe('a request with a grant token', () => {
  const USER = { arn: 'arn:aws:iam::000000000000:user/ann', uniqueId: 'AIDAANN' };

  test('is decided by a worker that is behind as if it were not', async () => {
    const log = new FoldedLog(T0);
    const place = { region: 'us-east-1', account: '000000000000' } as const;
    const policy = defaultKeyPolicy('000000000000');
    const KeyId = '00000000-0000-4000-8000-000000000000';
    log.run({ ...place, aggregate: 'key', id: KeyId }, { ...NEW_KEY, policy });
    log.run(userRef('000000000000', 'ann'), {
      type: 'CreateUser',
      name: 'ann',
      path: '/',
      uniqueId: USER.uniqueId,
      tags: [],
    });
    log.run(GRANT, { ...NEW_GRANT, keyId: KeyId, granteePrincipal: USER.arn, operations: ['Encrypt'] });
    const [key, user, grant] = log.entries;
    const view = new LiveView();
    for (const entry of [key!, user!]) view.offer(entry);
    const grantTokens = new GrantTokens(view, EXPORTED);
    const data: Partial<DataPorts> = {
      projection: view.projection,
      wasBehind: async () => false,
      backingKey: (keyArn, { materialId }) => ({
        keyArn,
        materialId,
        keySpec: 'SYMMETRIC_DEFAULT',
        keyObject: createSecretKey(Buffer.alloc(32)),
      }),
    };
    const caller = { region: 'us-east-1', account: '000000000000', principalId: USER.uniqueId };
    const anchors = { account: '000000000000', rootAccessKeyId: undefined, sessionClaimsOf: () => undefined };
    const encrypt = async (GrantTokens?: string[]) => {
      const body = Buffer.from(JSON.stringify({ KeyId, Plaintext: 'AAAA', DryRun: true, GrantTokens }));
      const resolve = () => resolveCaller(caller, view.projection, anchors, 0);
      const unresolved = { requestId: 'request', operation: 'Encrypt', now: () => T0, resolveCaller: resolve };
      const ports = { data: data as DataPorts, grantTokens, serving: ALWAYS_SERVING };
      return (await runOperation(OPERATION_TABLE.get('Encrypt')!, body, unresolved, ports, () => {})).error;
    };
    expect(await encrypt()).toBe('AccessDeniedException');
    const waiting = encrypt([await tokenAt(3)]);
    await new Promise(setImmediate);
    expect(await settled(waiting)).toBe(false);
    view.offer(grant!);
    expect(await waiting).toBe('DryRunOperationException');
    expect(await encrypt()).toBe('DryRunOperationException');
  });
});

describe('a key-manager of its own', () => {
  let server: TestNats;
  let nats: NatsConnection;

  beforeAll(async () => {
    server = await startNats();
    nats = await connect({ servers: server.url });
  });

  afterAll(async () => {
    await nats?.close();
    await server?.stop();
  });

  test('has tokens signed by a crypto-worker, and answers without one where that fails', async () => {
    const errors: unknown[] = [];
    const note = (error: unknown) => errors.push(error);
    const failing = new ServedRequests(nats, note);
    answer(
      failing,
      INTERNAL.grantToken,
      QUEUE.data,
      () => {
        throw new Error('has no seed');
      },
      note,
    );
    expect(await remoteSigner(nats, note)(claims(1))).toBeUndefined();
    expect(errors).toMatchObject([{ message: 'has no seed' }, { code: 'KMSInternalException' }]);
    await failing.drain();
    const served = new ServedRequests(nats, note);
    serveGrantTokens(served, ISSUER, note);
    expect(await remoteSigner(nats, note)(claims(1))).toBe(await tokenAt(1));
    await served.drain();
    expect(errors).toHaveLength(2);
  });
});
