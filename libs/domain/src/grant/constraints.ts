import { KmsError } from '../errors';
import type { GrantConstraints } from './events';

/** AWS documents the first and that of values, and nothing of keys: both are stored, and compared with each request's. */
const GRANT_CONSTRAINT_LIMITS = { pairs: 8, characters: 384 } as const;

/** With the u flag only a surrogate without its partner matches. In UTF-8 all of them are one, and so in a grant's id. */
const LONE_SURROGATE = /\p{Surrogate}/u;

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
  const { pairs, characters } = GRANT_CONSTRAINT_LIMITS;
  if (Object.keys(context).length > pairs) {
    throw new KmsError('ValidationException', `A grant constraint can have at most ${pairs} encryption context pairs.`);
  }
  for (const [key, value] of Object.entries(context)) {
    if (LONE_SURROGATE.test(key) || LONE_SURROGATE.test(value)) {
      throw new KmsError('ValidationException', 'A grant constraint must be well-formed Unicode text.');
    }
    if (key.length > characters) {
      throw new KmsError(
        'ValidationException',
        `A key in a grant constraint can have at most ${characters} characters.`,
      );
    }
    if (value.length > characters) {
      throw new KmsError(
        'ValidationException',
        `The value of ${JSON.stringify(key)} in a grant constraint can have at most ${characters} characters.`,
      );
    }
  }
}

export type Pairs = Readonly<Record<string, string>>;

/** What is compared of a context: the values behind each name, without its case. */
interface Folded {
  pairs: number;
  values: ReadonlyMap<string, readonly string[]>;
}

/** By the object: a request's context meets every grant of its caller, a grant's constraint every request. */
const foldedPairs = new WeakMap<Pairs, Folded>();

function folded(context: Pairs): Folded {
  const kept = foldedPairs.get(context);
  if (kept) return kept;
  const entries = Object.entries(context);
  const values = new Map<string, string[]>();
  for (const [key, value] of entries) {
    const name = lowerCase(key);
    const held = values.get(name);
    if (held) held.push(value);
    else values.set(name, [value]);
  }
  const made: Folded = { pairs: entries.length, values };
  foldedPairs.set(context, made);
  return made;
}

/** Of ASCII letters only: beyond them letters have the same small one (the Kelvin sign that of `K`) and are others. */
const lowerCase = (key: string): string => key.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/**
 * Whether `whole` has all pairs of `part`. In a grant constraint the case of a key does not matter, that of its value does
 * (GrantConstraints, AWS KMS API).
 */
export function includesPairs(whole: Pairs, part: Pairs): boolean {
  const { values } = folded(whole);
  for (const [name, wanted] of folded(part).values) {
    const held = values.get(name);
    if (!held || !wanted.every((value) => held.includes(value))) return false;
  }
  return true;
}

/** Whether they have the same pairs, each as often: what has `k` and `K` is not the same as what has one of them. */
export const samePairs = (a: Pairs, b: Pairs): boolean =>
  folded(a).pairs === folded(b).pairs && includesPairs(a, b) && includesPairs(b, a);
