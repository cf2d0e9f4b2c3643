import { LRUCache } from 'lru-cache';
import type { NatsConnection } from 'nats';
import { type TokenIssuer, TokenPublicKey } from '#crypto/signed-token';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { GrantTokenClaims, GrantTokenReader } from '#operations/grants/grant-tokens';
import type { LiveView } from '#views/live-view';
import { grantTokenClaimsOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import type { ServedRequests } from './served-requests';

/** Bounds of the verified tokens that are kept: how many, and their characters together. */
const MAX_TOKENS = 10_000;
const MAX_TOKEN_CHARACTERS = 16_000_000;
/** Requests that may wait for the view at once because of their tokens; each holds its body. */
const MAX_WAITING = 1_000;

/** Checks grant tokens; a signature once, while the token is remembered. Ones that are not ours are not. */
export class GrantTokens implements GrantTokenReader {
  private readonly verified = new LRUCache<string, GrantTokenClaims>({
    max: MAX_TOKENS,
    maxSize: MAX_TOKEN_CHARACTERS,
    sizeCalculation: (_claims, token) => token.length + 1,
  });
  private key: TokenPublicKey | undefined;
  private asking: Promise<TokenPublicKey> | undefined;
  private waiting = 0;

  /** `published`: `TokenPublicKey.export()`, or how to ask a crypto-worker for it, which is done once. */
  constructor(
    private readonly view: LiveView,
    private readonly published: string | (() => Promise<string>),
  ) {
    if (typeof published === 'string') this.key = TokenPublicKey.of(published);
  }

  claimsOf(token: string): GrantTokenClaims | undefined | Promise<GrantTokenClaims | undefined> {
    const known = this.verified.get(token);
    if (known) return known;
    return this.key ? this.verify(token, this.key) : this.publicKey().then((key) => this.verify(token, key));
  }

  reached(position: number): void | Promise<void> {
    if (position <= this.view.position) return undefined;
    if (this.waiting >= MAX_WAITING) {
      throw new KmsError('ThrottlingException', 'Too many requests wait for the event log; try again.');
    }
    this.waiting++;
    return this.view.waitFor(position).finally(() => {
      this.waiting--;
    });
  }

  private verify(token: string, key: TokenPublicKey): GrantTokenClaims | undefined {
    const claims = key.claimsOf<GrantTokenClaims>('grant', token);
    if (claims) this.verified.set(token, claims);
    return claims;
  }

  /** One question for all who need the answer; asked again after a failure. */
  private publicKey(): Promise<TokenPublicKey> {
    const { published } = this;
    if (typeof published === 'string') return Promise.resolve(TokenPublicKey.of(published));
    this.asking ??= published()
      .then((exported) => {
        this.key = TokenPublicKey.of(exported);
        return this.key;
      })
      .finally(() => {
        this.asking = undefined;
      });
    return this.asking;
  }
}

/** Signs the token of a grant that has been made; undefined where that cannot be done now. */
export type GrantTokenSigner = (claims: GrantTokenClaims) => Promise<string | undefined>;

export const localSigner =
  (issuer: TokenIssuer): GrantTokenSigner =>
  async (claims) =>
    issuer.issue('grant', claims);

const TIMEOUT_MS = 5_000;
const ATTEMPT_MS = 2_000;

/**
 * By way of a crypto-worker. The grant has been appended, and works without its token as soon as the view of a service has
 * it: that no worker answers is logged, and the reply goes out without a token.
 */
export const remoteSigner =
  (nats: NatsConnection, onError: (error: unknown) => void): GrantTokenSigner =>
  async (claims) => {
    try {
      return await ask<string>(nats, INTERNAL.grantToken, claims, { timeoutMs: TIMEOUT_MS, attemptMs: ATTEMPT_MS });
    } catch (error) {
      onError(error);
      return undefined;
    }
  };

export const serveGrantTokens = (
  served: ServedRequests,
  issuer: TokenIssuer,
  onError: (error: unknown) => void,
): void => {
  const sign = localSigner(issuer);
  answer<unknown, string | undefined>(
    served,
    INTERNAL.grantToken,
    QUEUE.data,
    (question) => sign(grantTokenClaimsOf(question)),
    onError,
  );
};
