import { membersOf } from './fields';

/** By prototype of a request class: its members that are sensitive blobs; of most there are none. */
const SENSITIVE = new WeakMap<object, readonly string[]>();

function sensitiveMembers(requestClass: { prototype: object }): readonly string[] {
  let names = SENSITIVE.get(requestClass.prototype);
  if (!names) {
    names = [...membersOf(requestClass)]
      .filter(([, { constraint }]) => constraint.kind === 'blob' && constraint.sensitive)
      .map(([name]) => name);
    SENSITIVE.set(requestClass.prototype, names);
  }
  return names;
}

/** Zeroises the sensitive blobs of a request that is done with, or was never begun. The text that they came as is V8's. */
export function wipe(request: object): void {
  for (const name of sensitiveMembers(request.constructor)) {
    const bytes = (request as Record<string, unknown>)[name];
    if (bytes instanceof Uint8Array) bytes.fill(0);
  }
}
