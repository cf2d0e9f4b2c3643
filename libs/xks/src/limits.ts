/** Bounds of the XKS proxy API v1, in bytes where nothing else is said. */
export const LIMITS = {
  /** What a proxy must take, and all that this one does. */
  plaintext: 4_300,
  additionalAuthenticatedData: 8_192,
  ciphertextMetadata: 20,
  authenticationTag: 16,
  initializationVectors: [12, 16] as readonly number[],
  /** Characters of what names or describes something; ARNs have at most 2,048. */
  text: 2_048,
  /** Of a request: the largest that is good has about 24,000. */
  requestBody: 65_536,
  /** Of a reply. */
  replyBody: 65_536,
  keyUsages: 10,
  fleetDetails: 10,
  /** Characters, of an error message: less than that. */
  errorMessage: 512,
} as const;

export const SERVICE_NAME = 'kms-xks-proxy';
export const ENCRYPTION_ALGORITHM = 'AES_GCM';
export const INTEGRITY_ALGORITHM = 'SHA_256';
export const CONTENT_TYPE = 'application/json';
