import { LRUCache } from 'lru-cache';
import type { NatsConnection } from 'nats';
import { TokenPublicKey } from '#crypto/signed-token';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { Caller, CallerClaim, SessionClaims } from '#operations/caller';
import { resolveCaller, type TrustAnchors } from '#operations/resolve-caller';
import type { Projection } from '#views/projection';
import { answer, ask } from './internal-requests';
import type { ServedRequests } from './served-requests';

/** As a crypto-worker tells them: they never change while it runs, and are the same in all of them. */
export interface PublishedAnchors {
  rootAccessKeyId: string;
  /** `TokenPublicKey.export()` */
  tokenKey: string;
}

/** Bounds of the verified session tokens that are kept: how many, and their characters together. */
const MAX_TOKENS = 10_000;
const MAX_TOKEN_CHARACTERS = 16_000_000;

/** Checks session tokens; a signature once, while the token is remembered. Ones that are not ours are not. */
export class SessionTokens {
  private readonly verified = new LRUCache<string, SessionClaims>({
    max: MAX_TOKENS,
    maxSize: MAX_TOKEN_CHARACTERS,
    sizeCalculation: (_claims, token) => token.length + 1,
  });

  constructor(private readonly key: TokenPublicKey) {}

  claimsOf(token: string): SessionClaims | undefined {
    const known = this.verified.get(token);
    if (known) return known;
    const claims = this.key.claimsOf<SessionClaims>('session', token);
    if (claims) this.verified.set(token, claims);
    return claims;
  }
}

/** Finds callers in the view of this process. */
export class Callers {
  private anchors: TrustAnchors | undefined;
  private asking: Promise<void> | undefined;

  /** `published`: what this process knows as a crypto-worker, or how to ask one for it, which is done once. */
  constructor(
    private readonly account: string,
    private readonly projection: Projection,
    private readonly published: PublishedAnchors | (() => Promise<PublishedAnchors>),
  ) {
    if (typeof published !== 'function') this.anchors = anchorsOf(account, published);
  }

  /** What must be waited for before `resolve`: undefined, but for the first caller whom the log alone does not tell. */
  prepared({ accessKeyId, sessionToken }: CallerClaim): Promise<void> | undefined {
    if (this.anchors || typeof this.published !== 'function') return undefined;
    if (sessionToken === undefined && (accessKeyId === undefined || this.projection.accessKey(accessKeyId))) {
      return undefined;
    }
    this.asking ??= this.published()
      .then((published) => {
        this.anchors = anchorsOf(this.account, published);
      })
      .finally(() => {
        this.asking = undefined;
      });
    return this.asking;
  }

  /** Throws as resolveCaller does. */
  resolve(claim: CallerClaim): Caller {
    // By the system's clock, which sessions are made by: nobody moves it.
    return resolveCaller(claim, this.projection, this.anchors ?? { ...NO_ANCHORS, account: this.account }, Date.now());
  }
}

const NO_ANCHORS = { rootAccessKeyId: undefined, sessionClaimsOf: () => undefined };

function anchorsOf(account: string, { rootAccessKeyId, tokenKey }: PublishedAnchors): TrustAnchors {
  const tokens = new SessionTokens(TokenPublicKey.of(tokenKey));
  return { account, rootAccessKeyId, sessionClaimsOf: (token) => tokens.claimsOf(token) };
}

const REQUEST_TIMEOUT_MS = 5_000;

/** Asks a crypto-worker. */
export const askForAnchors = (nats: NatsConnection) => async (): Promise<PublishedAnchors> => {
  try {
    return await ask<PublishedAnchors>(nats, INTERNAL.tokenKey, {}, { timeoutMs: REQUEST_TIMEOUT_MS });
  } catch (error) {
    throw new KmsError('ServiceUnavailableException', 'Credentials cannot be verified now; try again.', error);
  }
};

export const serveAnchors = (
  served: ServedRequests,
  anchors: PublishedAnchors,
  onError: (error: unknown) => void,
): void => answer<unknown, PublishedAnchors>(served, INTERNAL.tokenKey, QUEUE.data, () => anchors, onError);
