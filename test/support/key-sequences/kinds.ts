import { PUBLISHED_KINDS, type PublishedKind } from '../published-key-kinds';

/** A key that somebody could have: what it is, where its material comes from, and who made it. */
export interface Kind extends PublishedKind {
  origin: 'AWS_KMS' | 'EXTERNAL';
  multiRegion: boolean;
  /** Of an AWS service. */
  managed: boolean;
}

const kindOf = (kind: PublishedKind, origin: Kind['origin'], multiRegion: boolean): Kind => ({
  ...kind,
  origin,
  multiRegion,
  managed: false,
});
const symmetric = PUBLISHED_KINDS.find(({ keySpec }) => keySpec === 'SYMMETRIC_DEFAULT')!;

const IMPORTABLE = PUBLISHED_KINDS.filter(({ isImportable }) => isImportable);

/** Every kind of key that there can be. */
export const EVERY_KIND: readonly Kind[] = [
  ...PUBLISHED_KINDS.map((kind) => kindOf(kind, 'AWS_KMS', false)),
  ...PUBLISHED_KINDS.map((kind) => kindOf(kind, 'AWS_KMS', true)),
  ...IMPORTABLE.map((kind) => kindOf(kind, 'EXTERNAL', false)),
  ...IMPORTABLE.map((kind) => kindOf(kind, 'EXTERNAL', true)),
  { ...kindOf(symmetric, 'AWS_KMS', false), managed: true },
];

export const nameOf = ({ keySpec, keyUsage, origin, multiRegion, managed }: Kind): string =>
  [keySpec, keyUsage, origin, ...(multiRegion ? ['multi-Region'] : []), ...(managed ? ['AWS managed'] : [])].join(' ');
