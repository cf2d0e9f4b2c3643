import { LRUCache } from 'lru-cache';
import type { NatsConnection } from 'nats';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import { expiredToken } from '#operations/caller-refusals';
import { answer, ask } from './internal-requests';
import type { ServedRequests } from './served-requests';

/** What a gateway learns of an access key: who it is, and a signing key good for one day, region and service. */
export interface SigningIdentity {
  account: string;
  /** As CallerClaim has it. */
  principalId: string;
  signingKey: Buffer;
  /** Of a session, in epoch seconds. */
  expiresAt?: number | undefined;
}

export interface SigningScope {
  accessKeyId: string;
  /** yyyymmdd */
  date: string;
  region: string;
  service: string;
  sessionToken?: string | undefined;
}

/**
 * Answers with the identity, or undefined for an unknown access key. Long-term secrets stay behind it. Throws
 * ExpiredTokenException. Whether the access key may still be used is for whoever serves the request to say.
 */
export interface SigningKeys {
  identify(scope: SigningScope): SigningIdentity | undefined | Promise<SigningIdentity | undefined>;
}

const REQUEST_TIMEOUT_MS = 5_000;

/** An identity as it goes over NATS. */
type SentIdentity = Omit<SigningIdentity, 'signingKey'> & { signingKey: string };

/** `after`: a log position that the answer must know of. */
type Question = SigningScope & { after: number };

const REMEMBERED_UNKNOWN = 2_000;
/** Who guesses access keys asks once a second for each. */
const UNKNOWN_FOR_MS = 1_000;

/** Asks a crypto-worker. */
export class RemoteSigningKeys implements SigningKeys {
  private readonly unknown = new LRUCache<string, number>({ max: REMEMBERED_UNKNOWN, ttl: UNKNOWN_FOR_MS });

  /** `newestPosition`: of the log, as this gateway's callers have seen it: what they were told exists is found. */
  constructor(
    private readonly nats: NatsConnection,
    private readonly newestPosition: () => number,
  ) {}

  async identify(scope: SigningScope): Promise<SigningIdentity | undefined> {
    const { accessKeyId, date, region, service, sessionToken } = scope;
    const after = this.newestPosition();
    if (sessionToken === undefined && this.unknown.get(accessKeyId) === after) return undefined;
    const question: Question = { accessKeyId, date, region, service, sessionToken, after };
    const found = await ask<SentIdentity | undefined>(this.nats, INTERNAL.signingKey, question, {
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
    if (!found && sessionToken === undefined) this.unknown.set(accessKeyId, after);
    return found && { ...found, signingKey: Buffer.from(found.signingKey, 'base64') };
  }
}

/** Serves RemoteSigningKeys. A scope that is none is refused with ValidationException. */
export function serveSigningKeys(
  served: ServedRequests,
  keys: SigningKeys,
  reached: (position: number) => Promise<void>,
  onError: (error: unknown) => void,
): void {
  answer<unknown, SentIdentity | undefined>(
    served,
    INTERNAL.signingKey,
    QUEUE.data,
    async (question) => {
      if (!isQuestion(question)) {
        throw new KmsError('ValidationException', 'accessKeyId, date, region and service: expected texts');
      }
      await reached(question.after);
      const identity = await keys.identify(question);
      return identity && { ...identity, signingKey: identity.signingKey.toString('base64') };
    },
    onError,
  );
}

function isQuestion(question: unknown): question is Question {
  if (typeof question !== 'object' || question === null) return false;
  const members = question as Record<string, unknown>;
  return (
    ['accessKeyId', 'date', 'region', 'service'].every((name) => typeof members[name] === 'string') &&
    ['string', 'undefined'].includes(typeof members['sessionToken']) &&
    Number.isSafeInteger(members['after'])
  );
}

/** Bounds of what is kept: scopes, and the characters of their session tokens together. */
const CACHED_SCOPES = 2_000;
const CACHED_CHARACTERS = 16_000_000;
/** What opens nothing any more, and is not used, does not stay in memory for its whole day. */
const CACHED_MS = 3_600_000;

/** DependencyTimeoutException would be an answer of the operation asked for, and may mean that it was half done; it has not begun. */
const unverifiable = (error: unknown): unknown =>
  error instanceof KmsError && error.code === 'DependencyTimeoutException'
    ? new KmsError('ServiceUnavailableException', 'Signatures cannot be verified now; try again.', error)
    : error;

/**
 * Keeps what was answered for the day it is good for; unknown access keys are asked for each time, by one for all who wait.
 * Rejects with ServiceUnavailableException where the source cannot say, wherever that is.
 */
export class CachedSigningKeys implements SigningKeys {
  private readonly cache = new LRUCache<string, SigningIdentity>({
    max: CACHED_SCOPES,
    maxSize: CACHED_CHARACTERS,
    sizeCalculation: (_identity, key) => key.length,
    ttl: CACHED_MS,
  });

  private readonly asked = new Map<string, Promise<SigningIdentity | undefined>>();

  constructor(
    private readonly source: SigningKeys,
    private readonly epochSeconds: () => number = () => Date.now() / 1000,
  ) {}

  identify(scope: SigningScope): SigningIdentity | undefined | Promise<SigningIdentity | undefined> {
    // The token itself: its SHA-256 took longer than the look-up.
    const key = `${scope.date}/${scope.region}/${scope.service}/${scope.accessKeyId}/${scope.sessionToken ?? ''}`;
    const cached = this.cache.get(key);
    if (cached) {
      if (cached.expiresAt !== undefined && cached.expiresAt <= this.epochSeconds()) throw expiredToken();
      return cached;
    }
    const asked = this.asked.get(key);
    if (asked) return asked;
    const found = this.source.identify(scope);
    return found instanceof Promise ? this.keepOnceFound(key, found) : this.keep(key, found);
  }

  /** Whoever asks meanwhile waits for the same answer. */
  private keepOnceFound(
    key: string,
    finding: Promise<SigningIdentity | undefined>,
  ): Promise<SigningIdentity | undefined> {
    const asked = finding
      .then(
        (identity) => this.keep(key, identity),
        (error: unknown) => {
          throw unverifiable(error);
        },
      )
      .finally(() => {
        this.asked.delete(key);
      });
    this.asked.set(key, asked);
    return asked;
  }

  private keep(key: string, identity: SigningIdentity | undefined): SigningIdentity | undefined {
    if (identity) this.cache.set(key, identity);
    return identity;
  }
}
