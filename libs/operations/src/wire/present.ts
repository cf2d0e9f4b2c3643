import { RequestFault } from '#domain/errors';
import { type Constraint, memberPath } from './constraints';
import { validationMessage, violationsOf } from './violations';

/** A member that only some requests need. Throws ValidationException, as for any other, where it is missing. */
export function present<T>(value: T | undefined, constraint: Constraint, name: string): T {
  if (value !== undefined) return value;
  const sentences = violationsOf({ constraint, required: true }, undefined, memberPath(name));
  throw new RequestFault(validationMessage(sentences));
}
