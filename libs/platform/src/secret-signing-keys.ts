import type { TokenIssuer } from '#crypto/signed-token';
import { rootArn, userArn } from '#domain/arn';
import type { MaterialVault } from '#hsm/material-vault';
import type { SessionClaims } from '#operations/caller';
import { expiredToken } from '#operations/caller-refusals';
import { deriveSigningKey } from '#sigv4/signing-key';
import type { FoundAccessKey } from '#views/indexes/principals';
import type { Projection } from '#views/projection';
import type { RootCredentials } from './root-credentials';
import type { SigningIdentity, SigningKeys, SigningScope } from './signing-keys';

export interface SecretSigningKeysPorts {
  /** Whose root the credentials are. */
  account: string;
  root: RootCredentials;
  projection: Projection;
  vault: Pick<MaterialVault, 'loadAccessKey'>;
  tokens: TokenIssuer;
  /** The system's: clients compare it with their own. */
  epochSeconds(): number;
}

/** Derives from the secrets themselves; lives where key material does. */
export class SecretSigningKeys implements SigningKeys {
  constructor(private readonly ports: SecretSigningKeysPorts) {}

  identify(scope: SigningScope): SigningIdentity | undefined | Promise<SigningIdentity | undefined> {
    const { account, root, projection } = this.ports;
    if (scope.sessionToken !== undefined) return this.ofSession(scope, scope.sessionToken);
    if (scope.accessKeyId === root.accessKeyId) {
      return { account, principalId: 'root', signingKey: signingKeyOf(root.secretAccessKey, scope) };
    }
    const found = projection.accessKey(scope.accessKeyId);
    return found && this.ofAccessKey(scope, found);
  }

  private async ofAccessKey(
    scope: SigningScope,
    { accessKey, account, owner: { state } }: FoundAccessKey,
  ): Promise<SigningIdentity> {
    const ownerArn = state.kind === 'User' ? userArn(account, state.path, state.name) : rootArn(account);
    const secret = await this.ports.vault.loadAccessKey(ownerArn, accessKey.materialId);
    try {
      return {
        account,
        principalId: state.kind === 'User' ? state.uniqueId : 'root',
        signingKey: signingKeyOf(secret.toString('base64'), scope),
      };
    } finally {
      secret.fill(0);
    }
  }

  private ofSession(scope: SigningScope, token: string): SigningIdentity | undefined {
    const { tokens, epochSeconds } = this.ports;
    const claims = tokens.publicKey.claimsOf<SessionClaims>('session', token);
    if (claims?.accessKeyId !== scope.accessKeyId) return undefined;
    const { account, principalId, expiresAt } = claims;
    if (expiresAt <= epochSeconds()) throw expiredToken();
    const secret = tokens.openSealed('session', token);
    if (!secret) return undefined;
    try {
      return { account, principalId, signingKey: signingKeyOf(secret.toString('base64'), scope), expiresAt };
    } finally {
      secret.fill(0);
    }
  }
}

const signingKeyOf = (secret: string, { date, region, service }: SigningScope): Buffer =>
  deriveSigningKey(secret, date, region, service);
