import { createHash } from 'node:crypto';
import { KmsError } from '#domain/errors';

const MISMATCH =
  'The request signature we calculated does not match the signature you provided. ' +
  'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';

export const missingToken = (): KmsError =>
  new KmsError('MissingAuthenticationTokenException', 'Missing Authentication Token');

export const incomplete = (message: string): KmsError => new KmsError('IncompleteSignatureException', message);

export const invalid = (message: string): KmsError => new KmsError('InvalidSignatureException', message);

export const mismatch = (): KmsError => invalid(MISMATCH);

const LONGEST_QUOTE = 128;

/** What the caller sent, in single quotes, cut where it is absurdly long. */
export const quoted = (text: string): string =>
  text.length <= LONGEST_QUOTE ? `'${text}'` : `'${text.slice(0, LONGEST_QUOTE)}...'`;

/**
 * Stands for an Authorization header in messages, as AWS does: the header may be another scheme's bearer token,
 * which has no business in a reply or a log.
 */
export const hashedAuthorization = (header: string): string =>
  createHash('sha256').update(header, 'latin1').digest('base64');
