import { KmsError } from '#domain/errors';

// In AWS's own sentences, whoever refuses: the edge, who looks signing keys up, or who finds the caller in the view.

/** For an access key, session or principal that is not there (any more). */
export const unrecognizedClient = (): KmsError =>
  new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.');

/** For a session that is over. */
export const expiredToken = (): KmsError =>
  new KmsError('ExpiredTokenException', 'The security token included in the request is expired');
