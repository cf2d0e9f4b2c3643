import { LRUCache } from 'lru-cache';
import type { NatsConnection } from 'nats';
import { rootArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import { deriveSigningKey } from '#sigv4/signing-key';
import { answer, ask } from './internal-requests';
import type { RootCredentials } from './root-credentials';
import type { ServedRequests } from './served-requests';

/** What a gateway learns of an access key: who it is, and a signing key good for one day, region and service. */
export interface SigningIdentity {
  account: string;
  principalId: string;
  principalArn: string;
  signingKey: Buffer;
}

export interface SigningScope {
  accessKeyId: string;
  /** yyyymmdd */
  date: string;
  region: string;
  service: string;
}

/** Answers with the identity, or undefined for an unknown access key. Long-term secrets stay behind it. */
export interface SigningKeys {
  identify(scope: SigningScope): SigningIdentity | undefined | Promise<SigningIdentity | undefined>;
}

/** Holds the account root's secret; lives where key material does. */
export class RootSigningKeys implements SigningKeys {
  constructor(
    private readonly account: string,
    private readonly root: RootCredentials,
  ) {}

  identify({ accessKeyId, date, region, service }: SigningScope): SigningIdentity | undefined {
    if (accessKeyId !== this.root.accessKeyId) return undefined;
    return {
      account: this.account,
      principalId: 'root',
      principalArn: rootArn(this.account),
      signingKey: deriveSigningKey(this.root.secretAccessKey, date, region, service),
    };
  }
}

const REQUEST_TIMEOUT_MS = 5_000;

/** An identity as it goes over NATS. */
type SentIdentity = Omit<SigningIdentity, 'signingKey'> & { signingKey: string };

/** Asks a crypto-worker. */
export class RemoteSigningKeys implements SigningKeys {
  constructor(private readonly nats: NatsConnection) {}

  async identify({ accessKeyId, date, region, service }: SigningScope): Promise<SigningIdentity | undefined> {
    try {
      const scope: SigningScope = { accessKeyId, date, region, service };
      const found = await ask<SentIdentity | undefined>(this.nats, INTERNAL.signingKey, scope, {
        timeoutMs: REQUEST_TIMEOUT_MS,
      });
      return found && { ...found, signingKey: Buffer.from(found.signingKey, 'base64') };
    } catch (error) {
      throw new KmsError('ServiceUnavailableException', 'Signatures cannot be verified now; try again.', error);
    }
  }
}

/** Serves RemoteSigningKeys. A scope that is none is refused with ValidationException. */
export function serveSigningKeys(served: ServedRequests, keys: SigningKeys, onError: (error: unknown) => void): void {
  answer<unknown, SentIdentity | undefined>(
    served,
    INTERNAL.signingKey,
    QUEUE.data,
    async (question) => {
      if (!isScope(question)) {
        throw new KmsError('ValidationException', 'accessKeyId, date, region and service: expected texts');
      }
      const identity = await keys.identify(question);
      return identity && { ...identity, signingKey: identity.signingKey.toString('base64') };
    },
    onError,
  );
}

function isScope(question: unknown): question is SigningScope {
  if (typeof question !== 'object' || question === null) return false;
  const members = question as Record<string, unknown>;
  return ['accessKeyId', 'date', 'region', 'service'].every((name) => typeof members[name] === 'string');
}

const CACHED_SCOPES = 2_000;

/** Keeps what was answered for the day it is good for; unknown access keys are asked for each time. */
export class CachedSigningKeys implements SigningKeys {
  private readonly cache = new LRUCache<string, SigningIdentity>({ max: CACHED_SCOPES });

  constructor(private readonly source: SigningKeys) {}

  identify(scope: SigningScope): SigningIdentity | undefined | Promise<SigningIdentity | undefined> {
    const key = `${scope.date}/${scope.region}/${scope.service}/${scope.accessKeyId}`;
    const cached = this.cache.get(key);
    if (cached) return cached;
    const found = this.source.identify(scope);
    if (found instanceof Promise) return found.then((identity) => this.keep(key, identity));
    return this.keep(key, found);
  }

  private keep(key: string, identity: SigningIdentity | undefined): SigningIdentity | undefined {
    if (identity) this.cache.set(key, identity);
    return identity;
  }
}
