import type { KeyFacts } from './state';

type Owning = Pick<KeyFacts, 'multiRegion' | 'origin'>;

/** Whether related multi-Region keys have one stored material. What is imported is imported into each of them. */
export const sharesMaterial = ({ multiRegion, origin }: Owning): boolean => multiRegion && origin === 'AWS_KMS';

/** Whether an id is one that related keys of several regions have. */
export const isMultiRegionId = (keyId: string): boolean => keyId.startsWith('mrk-');

const BEFORE_REGION = 'arn:aws:kms:'.length;

/** The key's ARN without a region, which all related keys have in common. */
const withoutRegion = (keyArn: string): string =>
  keyArn.slice(0, BEFORE_REGION) + keyArn.slice(keyArn.indexOf(':', BEFORE_REGION));

/**
 * Whose the material of a key is, as the store has it and as material ids derive from it: the key's ARN; of a multi-Region
 * key the ARN without a region, `arn:aws:kms::<account>:key/mrk-...`, which all related keys have in common.
 */
export const materialOwner = (keyArn: string, key: Owning): string =>
  sharesMaterial(key) ? withoutRegion(keyArn) : keyArn;

/** What the id of imported material derives from: the same material has one id in all related keys, though each has its copy. */
export const importOwner = (keyArn: string, { multiRegion }: Pick<Owning, 'multiRegion'>): string =>
  multiRegion ? withoutRegion(keyArn) : keyArn;
