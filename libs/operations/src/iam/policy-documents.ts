import { parsePolicyDocument } from '#policy/document';

/** Throws MalformedPolicyDocumentException. Quotas are the domain's to check. */
export function assertPolicyDocument(text: string, kind: 'identity' | 'trust'): void {
  parsePolicyDocument(text, kind);
}

/** IAM gives documents out percent-encoded (RFC 3986), as they were put. */
export const encodedDocument = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
