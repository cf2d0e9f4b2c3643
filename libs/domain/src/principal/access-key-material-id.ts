import { createHash } from 'node:crypto';

/**
 * The id under which the secret of an access key is stored, wrapped: 64 hex digits, a function of the access key id
 * alone, so that storing it is idempotent and the secret of a deleted access key can be found and erased.
 */
export const accessKeyMaterialId = (accessKeyId: string): string =>
  createHash('sha256').update(`keytrail access key\0${accessKeyId}`).digest('hex');
