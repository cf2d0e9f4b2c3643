import { KmsError } from '../errors';
import type { Family, KeyFacts } from './state';

/** Throws UnsupportedOperationException, as AWS words it, for what is asked of the primary of related keys alone. */
export function assertPrimary({ family }: KeyFacts, keyArn: string): Family {
  if (family?.keyType === 'PRIMARY') return family;
  throw new KmsError('UnsupportedOperationException', `${keyArn} is not a multi-region primary key.`);
}
