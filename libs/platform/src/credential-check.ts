import { timingSafeEqual } from 'node:crypto';
import { ERRORS, KmsError } from '#domain/errors';
import { deriveSigningKey } from '#sigv4/signing-key';
import type { Callers } from './callers';
import type { SigningKeys } from './signing-keys';

/** What a NATS client shows: the credentials that it would sign with over HTTP. */
export interface ShownCredentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of temporary credentials. */
  sessionToken?: string | undefined;
}

/** Whose they are. */
export interface ShownIdentity {
  account: string;
  /** As CallerClaim has it. */
  principalId: string;
  /** Of temporary credentials: when they end, in epoch seconds. */
  expiresAt?: number | undefined;
}

/** Whose credentials these are; undefined for unknown, inactive, wrong and expired ones alike. Lives where secrets do. */
export interface CredentialCheck {
  identify(shown: ShownCredentials): ShownIdentity | undefined | Promise<ShownIdentity | undefined>;
}

/** Nothing that is signed over HTTP has this scope. */
const SCOPE = { date: '19700101', region: 'nats', service: 'nats' };

/** Compares the signing keys that the shown and the true secret give, and has the view say whether they may be used. */
export class SecretCredentialCheck implements CredentialCheck {
  constructor(
    private readonly keys: SigningKeys,
    private readonly callers: Pick<Callers, 'resolve'>,
    /** Absent where nobody but this process appends. */
    private readonly wasBehind?: () => Promise<boolean>,
  ) {}

  /** Who is not known counts as unknown only once the log's leader has said that the view was not outdated. */
  async identify(shown: ShownCredentials): Promise<ShownIdentity | undefined> {
    const found = await this.look(shown);
    return !found && (await this.wasBehind?.()) ? this.look(shown) : found;
  }

  private async look(shown: ShownCredentials): Promise<ShownIdentity | undefined> {
    const { accessKeyId, secretAccessKey, sessionToken } = shown;
    const { date, region, service } = SCOPE;
    try {
      const identity = await this.keys.identify({ accessKeyId, sessionToken, ...SCOPE });
      if (!identity) return undefined;
      const { account, principalId, expiresAt, signingKey } = identity;
      if (!timingSafeEqual(signingKey, deriveSigningKey(secretAccessKey, date, region, service))) return undefined;
      this.callers.resolve({ region, account, principalId, accessKeyId, sessionToken });
      return { account, principalId, expiresAt };
    } catch (error) {
      if (error instanceof KmsError && ERRORS[error.code].status < 500) return undefined;
      throw error;
    }
  }
}
