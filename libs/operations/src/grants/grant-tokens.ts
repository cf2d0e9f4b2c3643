import { KmsError } from '#domain/errors';

/** What a grant token says: which grant, and where in the log it was made. */
export interface GrantTokenClaims {
  grantId: string;
  keyArn: string;
  /** Position of the commit. */
  position: number;
  /** Of the CreateGrant that was answered with the token: each answer has a token of its own. */
  requestId: string;
}

/** What a service needs in order to follow grant tokens. */
export interface GrantTokenReader {
  /** At once for one that was seen before. Undefined for what no crypto-worker of this deployment signed. */
  claimsOf(token: string): GrantTokenClaims | undefined | Promise<GrantTokenClaims | undefined>;
  /** Nothing where the view holds the position; else resolves once it does, and throws DependencyTimeoutException when it takes too long. */
  reached(position: number): void | Promise<void>;
}

/**
 * Follows the grant tokens of a request, before it is decided. A token adds nothing to what its grant allows: it says where
 * in the log the grant is, so that a service whose view is behind waits for it. That of a grant that has ended since is
 * followed like any other. Undefined where there are none; else what GrantToken, the one of RetireGrant, says. Throws
 * InvalidGrantTokenException for a token that is not ours.
 */
export function followGrantTokens(
  request: { GrantTokens?: readonly string[]; GrantToken?: string },
  reader: GrantTokenReader,
): Promise<GrantTokenClaims | undefined> | undefined {
  const { GrantTokens: tokens, GrantToken: token } = request;
  if (token === undefined && (tokens === undefined || tokens.length === 0)) return undefined;
  return followAll(tokens ?? [], token, reader);
}

async function followAll(
  tokens: readonly string[],
  last: string | undefined,
  reader: GrantTokenReader,
): Promise<GrantTokenClaims | undefined> {
  for (const token of tokens) await follow(token, reader);
  return last === undefined ? undefined : follow(last, reader);
}

async function follow(token: string, reader: GrantTokenReader): Promise<GrantTokenClaims> {
  const claims = await reader.claimsOf(token);
  if (!claims) throw new KmsError('InvalidGrantTokenException', 'Invalid grant token.');
  await reader.reached(claims.position);
  return claims;
}
