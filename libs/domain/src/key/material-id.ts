import { createHash } from 'node:crypto';

/**
 * The id of one version of a key's material: 64 hex digits, a function of the key ARN and the version alone.
 * So storing material is idempotent: a retry, or two rotations racing for the same version, name the same material,
 * and whichever append wins, nothing is left over.
 */
export const materialIdOf = (keyArn: string, keyVersion: number): string =>
  createHash('sha256').update(`keytrail material\0${keyArn}\0${keyVersion}`).digest('hex');

/**
 * Where the copy of a key lies that is in a CloudHSM cluster, as only that cluster's HSMs can open it. At the material id itself
 * lies which cluster that is.
 */
export const placeOfClusterCopy = (materialId: string): string => `${materialId}-copy`;
