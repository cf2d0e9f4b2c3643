import { timingSafeEqual } from 'node:crypto';
import { KmsError } from '#domain/errors';
import type { Serving } from '#operations/operation';
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
  /**
   * Whether it may let them in now: to be asked in one step with the answer, which no revocation that has returned may come
   * before. Throws while this process has lost touch with the log.
   */
  mayAdmit(shown: ShownCredentials, identity: ShownIdentity): boolean;
}

/** Nothing that is signed over HTTP has this scope. */
const SCOPE = { date: '19700101', region: 'nats', service: 'nats' };

/** Compares the signing keys that the shown and the true secret give, and has the view say whether they may be used. */
export class SecretCredentialCheck implements CredentialCheck {
  constructor(
    private readonly keys: SigningKeys,
    private readonly callers: Pick<Callers, 'resolve'>,
    private readonly serving: Pick<Serving, 'assertHeld'>,
    /** Absent where nobody but this process appends. */
    private readonly wasBehind?: () => Promise<boolean>,
  ) {}

  /** Who is not known counts as unknown only once the log's leader has said that the view was not outdated. */
  async identify(shown: ShownCredentials): Promise<ShownIdentity | undefined> {
    const found = await this.look(shown);
    return !found && (await this.wasBehind?.()) ? this.look(shown) : found;
  }

  mayAdmit(shown: ShownCredentials, identity: ShownIdentity): boolean {
    this.serving.assertHeld();
    try {
      this.assertKnown(shown, identity);
      return true;
    } catch (error) {
      if (isRefusal(error)) return false;
      throw error;
    }
  }

  private async look(shown: ShownCredentials): Promise<ShownIdentity | undefined> {
    const { accessKeyId, secretAccessKey, sessionToken } = shown;
    const { date, region, service } = SCOPE;
    try {
      const identity = await this.keys.identify({ accessKeyId, sessionToken, ...SCOPE });
      if (!identity) return undefined;
      const { account, principalId, expiresAt, signingKey } = identity;
      if (!timingSafeEqual(signingKey, deriveSigningKey(secretAccessKey, date, region, service))) return undefined;
      const found = { account, principalId, expiresAt };
      this.assertKnown(shown, found);
      return found;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }

  /** Throws as resolveCaller does. */
  private assertKnown({ accessKeyId, sessionToken }: ShownCredentials, { account, principalId }: ShownIdentity): void {
    this.callers.resolve({ region: SCOPE.region, account, principalId, accessKeyId, sessionToken });
  }
}

const isRefusal = (error: unknown): boolean => error instanceof KmsError && error.status < 500;
