import { KmsError } from '#domain/errors';

/** The one refusal of an attestation document. `what` says which part is wrong, and its bound where it has one. */
export const invalidDocument = (what: string, cause?: unknown): KmsError =>
  new KmsError('ValidationException', `The attestation document in Recipient is not valid: ${what}.`, cause);
