import fc from 'fast-check';
import { isInBufferPool } from '../../../test/support/buffer-pool';
import { counterKdf, fixedInput } from './counter-kdf';
import { TOKEN_SEED_LENGTH, TokenIssuer, TokenPublicKey } from './signed-token';

const seed = (fill: number): Buffer => Buffer.alloc(TOKEN_SEED_LENGTH, fill);
const issuer = new TokenIssuer(seed(1));
const IV = Buffer.alloc(12, 7);
const CLAIMS = { account: '000000000000', name: 'Müller', policy: '{"Version":"2012-10-17"}' };
const sealed = { secret: Buffer.from('wJalrXUtnFEMI/K7MDENG'), iv: IV };

describe('a signed token', () => {
  it('gives its claims to whoever has the public key, and its secret to the issuer alone', () => {
    const token = issuer.issue('session', CLAIMS, sealed);
    const elsewhere = TokenPublicKey.of(issuer.publicKey.export());
    expect(elsewhere.claimsOf('session', token)).toEqual(CLAIMS);
    expect(issuer.openSealed('session', token)).toEqual(sealed.secret);
    expect(Buffer.from(token, 'base64').includes(sealed.secret)).toBe(false);
  });

  it('is the same from every issuer of one seed, and means nothing to another seed', () => {
    const token = issuer.issue('session', CLAIMS, sealed);
    expect(new TokenIssuer(seed(1)).issue('session', CLAIMS, sealed)).toBe(token);
    const stranger = new TokenIssuer(seed(2));
    expect(stranger.publicKey.claimsOf('session', token)).toBeUndefined();
    expect(stranger.openSealed('session', token)).toBeUndefined();
  });

  it('of one kind does not pass as another', () => {
    expect(issuer.publicKey.claimsOf('session', issuer.issue('grant', CLAIMS))).toBeUndefined();
  });

  it('is refused once any bit of it is flipped, and in any other spelling', () => {
    const bytes = Buffer.from(issuer.issue('session', CLAIMS, sealed), 'base64');
    for (let at = 0; at < bytes.length * 8; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at >> 3]! ^= 1 << (at & 7);
      expect(issuer.publicKey.claimsOf('session', flipped.toString('base64'))).toBeUndefined();
    }
    for (const spelling of [`${bytes.toString('base64')}\n`, bytes.toString('base64url'), bytes.toString('hex'), '']) {
      expect(issuer.publicKey.claimsOf('session', spelling)).toBeUndefined();
    }
  });

  it('is refused when cut short, extended, or random, and nothing of it throws', () => {
    const token = issuer.issue('grant', CLAIMS);
    const bytes = Buffer.from(token, 'base64');
    for (let length = 0; length < bytes.length; length++) {
      expect(issuer.publicKey.claimsOf('grant', bytes.subarray(0, length).toString('base64'))).toBeUndefined();
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (random) => {
        expect(issuer.publicKey.claimsOf('grant', Buffer.from(random).toString('base64'))).toBeUndefined();
        expect(
          issuer.publicKey.claimsOf('grant', Buffer.concat([bytes, random]).toString('base64')) === undefined,
        ).toBe(random.length > 0);
      }),
    );
  });
});

it('the signing key is left nowhere but in its KeyObject', () => {
  const signingKey = counterKdf(seed(5), fixedInput('keytrail token signing key v1', Buffer.alloc(0)));
  const own = Uint8Array.from(signingKey);
  signingKey.fill(0);
  const made = new TokenIssuer(seed(5));
  expect(isInBufferPool(own)).toBe(false);
  expect(made.publicKey.claimsOf('grant', made.issue('grant', CLAIMS))).toEqual(CLAIMS);
});
