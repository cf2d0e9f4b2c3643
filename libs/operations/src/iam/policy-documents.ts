import { KmsError } from '#domain/errors';
import type { NamedIds } from '#domain/named-ids';
import { parsePolicyDocument } from '#policy/document';
import type { Projection } from '#views/projection';
import { namedIdsOf } from '../named-principals';
import type { Call } from '../operation';

/** Throws MalformedPolicyDocumentException. Quotas are the domain's to check. */
export function assertIdentityPolicy(text: string): void {
  parsePolicyDocument(text, 'identity');
}

/** The same; whom it names must exist. Gives the ids of those who were found to, whoever has their names later. */
export function checkTrustPolicy(
  trustPolicy: string,
  call: Call,
  projection: Projection,
): { trustPolicy: string; namedIds: NamedIds } {
  const document = parsePolicyDocument(trustPolicy, 'trust');
  return { trustPolicy, namedIds: namedIdsOf(document, call, projection, invalidPrincipal) };
}

const invalidPrincipal = (name: string): KmsError =>
  new KmsError('MalformedPolicyDocumentException', `Invalid principal in policy: "AWS":"${name}"`);

/** IAM gives documents out percent-encoded (RFC 3986). */
export const encodedDocument = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
