import { KmsError } from '#domain/errors';
import { locksOut, type PolicyDocument } from './document';

/** The safety check of CreateKey and PutKeyPolicy: whoever sets a policy must be able to set the next one. */
export function assertNotLockedOut(document: PolicyDocument, callerArn: string): void {
  if (locksOut(document, callerArn)) {
    throw new KmsError(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }
}
