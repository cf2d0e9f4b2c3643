import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import type { AggregateRef } from '#domain/subjects';
import { followGrantTokens, type GrantTokenClaims } from '#operations/grants/grant-tokens';
import { LiveView } from '#views/live-view';
import { FoldedLog } from '../../../test/support/fold-log';
import { GrantTokens, localSigner } from './grant-tokens';

const ISSUER = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH, 1));
const EXPORTED = ISSUER.publicKey.export();
const GRANT: AggregateRef<'grant'> = {
  region: 'us-east-1',
  account: '000000000000',
  aggregate: 'grant',
  id: 'a'.repeat(64),
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
  const log = new FoldedLog('2026-01-01T00:00:00.000Z');
  log.run(GRANT, {
    type: 'CreateGrant',
    keyId: 'key-1',
    granteePrincipal: 'arn:aws:iam::000000000000:root',
    operations: ['Decrypt'],
    issuedBy: 'arn:aws:iam::000000000000:root',
    keySpec: 'SYMMETRIC_DEFAULT',
  });
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
