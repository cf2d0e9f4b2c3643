import { join } from 'node:path';
import { connect } from 'nats';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import { JetStreamMaterialStore } from '#hsm/jetstream-material-store';
import { MaterialVault } from '#hsm/material-vault';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import type { SessionClaims } from '#operations/caller';
import { readEndpoint } from '#platform/embedded-nats';
import type { Credentials } from './identities';

/** An embedded server's own issuer, which makes tokens of any time. */
export async function issuerOf(dataDir: string): Promise<TokenIssuer> {
  const { url, users } = readEndpoint(dataDir)!;
  const { user, password } = users['embedded']!;
  const nats = await connect({ servers: url, user, pass: password });
  try {
    const provider = SoftwareHsmProvider.open({ rootKeyFile: join(dataDir, 'root/root-key.json'), mayCreate: false });
    const vault = new MaterialVault(provider, new JetStreamMaterialStore(nats), {
      failPoint: () => {},
      logPosition: () => 0,
    });
    return new TokenIssuer(await vault.own.tokenSeed(TOKEN_SEED_LENGTH));
  } finally {
    await nats.close();
  }
}

/** The session as it would be if it had begun earlier, so that it ends then, in epoch seconds. */
export function ending(tokens: TokenIssuer, session: Credentials, expiresAt: number): Credentials {
  const claims = tokens.publicKey.claimsOf<SessionClaims>('session', session.sessionToken!)!;
  const moved = { ...claims, issuedAt: expiresAt - 900, expiresAt };
  const secret = tokens.openSealed('session', session.sessionToken!)!;
  return { ...session, sessionToken: tokens.issue('session', moved, { secret, iv: Buffer.alloc(12, expiresAt) }) };
}
