import { createHash, timingSafeEqual } from 'node:crypto';
import type { RootCredentials } from './root-credentials';

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

/** In a time that says nothing about how much of them is the same. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

const digest = (secret: string): Buffer => createHash('sha256').update(secret, 'utf8').digest();

/** Knows the root credentials of the account in the settings. */
export class RootCredentialCheck implements CredentialCheck {
  constructor(
    private readonly account: string,
    private readonly root: RootCredentials,
  ) {}

  identify({ accessKeyId, secretAccessKey, sessionToken }: ShownCredentials): ShownIdentity | undefined {
    if (accessKeyId !== this.root.accessKeyId || sessionToken !== undefined) return undefined;
    if (!sameSecret(secretAccessKey, this.root.secretAccessKey)) return undefined;
    return { account: this.account, principalId: 'root' };
  }
}
