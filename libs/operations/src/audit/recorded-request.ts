import type { Constraint } from '../wire/constraints';
import { memberPath } from '../wire/constraints';
import type { RequestClass } from '../wire/decode';
import { membersOf } from '../wire/fields';

/** The request that a record's parameters are of, without what is never recorded. The reverse of requestParametersOf. */
export function recordedRequest(requestClass: RequestClass<object>, parameters: object | null): object {
  const request = new requestClass() as Record<string, unknown>;
  for (const [name, { constraint }] of membersOf(requestClass)) {
    const value = (parameters as Record<string, unknown> | null)?.[memberPath(name)];
    if (value !== undefined) request[name] = restored(constraint, value);
  }
  return request;
}

function restored(constraint: Constraint, value: unknown): unknown {
  if (constraint.kind === 'structures') {
    return (value as object[]).map((item) => restored({ ...constraint, kind: 'structure' }, item));
  }
  if (constraint.kind !== 'structure' || !constraint.members) return value;
  const structure: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(constraint.members)) {
    const inner = (value as Record<string, unknown>)[memberPath(name)];
    if (inner !== undefined) structure[name] = restored(member.constraint, inner);
  }
  return structure;
}
