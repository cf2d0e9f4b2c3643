import { KmsError } from '#domain/errors';
import { parsePolicyDocument } from '#policy/document';
import type { Projection } from '#views/projection';
import { missingPrincipal } from '../key-policy';
import type { Call } from '../operation';

/** Throws MalformedPolicyDocumentException. Quotas are the domain's to check. */
export function assertIdentityPolicy(text: string): void {
  parsePolicyDocument(text, 'identity');
}

/** The same; whom it names must exist. */
export function assertTrustPolicy(text: string, call: Call, projection: Projection): void {
  const missing = missingPrincipal(parsePolicyDocument(text, 'trust'), call, projection);
  if (missing === undefined) return;
  throw new KmsError('MalformedPolicyDocumentException', `Invalid principal in policy: "AWS":"${missing}"`);
}

/** IAM gives documents out percent-encoded (RFC 3986), as they were put. */
export const encodedDocument = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
