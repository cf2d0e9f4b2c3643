import { parseClaim, type SignedRequest } from '#sigv4/claim';
import { deriveSigningKey } from '#sigv4/signing-key';
import { checkFreshness, checkScope, verifySignature } from '#sigv4/verify';
import type { Access, ProxyCredential } from './access';
import { SERVICE_NAME } from './limits';
import { ProxyError } from './proxy-error';

/** Takes the place of the secret that an unknown access key id has not, so that both take as long to refuse. */
const NOBODY: ProxyCredential = { accessKeyId: '', secretAccessKey: 'A'.repeat(43), keys: [] };

/**
 * The credential that has signed the request, its body included, at most 5 minutes from `nowMs`. Throws ProxyError; whatever is wrong, the
 * caller is told no more than that.
 */
export function authenticate(request: SignedRequest, { credentials }: Access, nowMs: number): ProxyCredential {
  let known: ProxyCredential | undefined;
  try {
    const claim = parseClaim(request);
    if (claim.presigned) throw new Error('presigned requests are none of this API');
    checkFreshness(claim, nowMs);
    checkScope(claim, [SERVICE_NAME]);
    known = credentials.find(({ accessKeyId }) => accessKeyId === claim.accessKeyId);
    const { secretAccessKey } = known ?? NOBODY;
    const key = deriveSigningKey(secretAccessKey, claim.date, claim.region, claim.service);
    verifySignature(claim, request, key);
  } catch (error) {
    throw refused(error);
  }
  if (!known) throw refused(new Error('no such access key id'));
  return known;
}

const refused = (cause: unknown): ProxyError =>
  new ProxyError('AuthenticationFailedException', 'The request is not signed by a credential of this proxy.', {
    cause,
  });
