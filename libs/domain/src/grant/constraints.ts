import { KmsError } from '../errors';
import type { GrantConstraints } from './events';

const GRANT_CONSTRAINT_LIMITS = { pairs: 8, valueCharacters: 384 } as const;

/** Empty ones are as good as none: older SDKs send both kinds. */
export function withoutEmpty(constraints: GrantConstraints | undefined): GrantConstraints | undefined {
  const { encryptionContextEquals: equals = {}, encryptionContextSubset: subset = {} } = constraints ?? {};
  const kept = {
    ...(Object.keys(equals).length === 0 ? {} : { encryptionContextEquals: equals }),
    ...(Object.keys(subset).length === 0 ? {} : { encryptionContextSubset: subset }),
  };
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/** Throws ValidationException where AWS refuses the constraints of a grant. `takesThem`: whether the key's kind does. */
export function assertConstraints(constraints: GrantConstraints | undefined, takesThem: boolean): void {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset } = withoutEmpty(constraints) ?? {};
  const context = equals ?? subset;
  if (!context) return;
  if (!takesThem) {
    throw new KmsError(
      'ValidationException',
      'Encryption context constraints are supported only on grants for symmetric encryption keys.',
    );
  }
  if (equals && subset) throw new KmsError('ValidationException', 'More than one constraint supplied');
  const { pairs, valueCharacters } = GRANT_CONSTRAINT_LIMITS;
  if (Object.keys(context).length > pairs) {
    throw new KmsError('ValidationException', `A grant constraint can have at most ${pairs} encryption context pairs.`);
  }
  const long = Object.entries(context).find(([, value]) => value.length > valueCharacters);
  if (long) {
    throw new KmsError(
      'ValidationException',
      `The value of ${JSON.stringify(long[0])} in a grant constraint can have at most ${valueCharacters} characters.`,
    );
  }
}

/**
 * Whether `whole` has all pairs of `part`. In a grant constraint the case of a key does not matter, that of its value does
 * (GrantConstraints, AWS KMS API).
 */
export function includesPairs(
  whole: Readonly<Record<string, string>>,
  part: Readonly<Record<string, string>>,
): boolean {
  const pairs = Object.entries(whole).map(([key, value]) => [key.toLowerCase(), value] as const);
  return Object.entries(part).every(([key, value]) =>
    pairs.some(([name, held]) => name === key.toLowerCase() && held === value),
  );
}
