import { createHash } from 'node:crypto';
import type { GrantConstraints } from './events';
import { type GrantOperation, inOrder } from './grant-operations';

/** What makes two grants the same: all that a CreateGrant request says. */
export interface GrantParameters {
  keyId: string;
  granteePrincipal: string;
  granteeUniqueId?: string;
  retiringPrincipal?: string;
  retiringUniqueId?: string;
  operations: readonly GrantOperation[];
  constraints?: GrantConstraints;
  name?: string;
}

/**
 * The id of a named grant: 64 hex digits, a SHA-256 over key ARN, name, parameters and generation, each part behind its
 * length. So a repeated or racing CreateGrant meets the same aggregate. The generation counts from 0; the next one
 * begins where a grant of the same parameters has been revoked or retired.
 */
export function grantIdOf(keyArn: string, parameters: GrantParameters, generation: number): string {
  const hash = createHash('sha256').update('keytrail grant');
  for (const part of [keyArn, ...canonicalParts(parameters), String(generation)]) {
    const bytes = Buffer.from(part, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest('hex');
}

/**
 * The id that a CreateGrant with a name is to meet: the newest generation, or the one after it where that has ended.
 * Generations end in order, so the first one open is found in few steps however many there have been.
 */
export function openGrantId(
  keyArn: string,
  parameters: GrantParameters,
  hasEnded: (grantId: string) => boolean,
): string {
  const ended = (generation: number): boolean => hasEnded(grantIdOf(keyArn, parameters, generation));
  let open = 0;
  for (let step = 1; ended(open); step *= 2) open += step;
  // Every generation up to `low` has ended, and `open` has not.
  let low = Math.floor((open - 1) / 2);
  while (open - low > 1) {
    const middle = Math.floor((low + open) / 2);
    if (ended(middle)) low = middle;
    else open = middle;
  }
  return grantIdOf(keyArn, parameters, open);
}

export const sameParameters = (a: GrantParameters, b: GrantParameters): boolean =>
  a.keyId === b.keyId && JSON.stringify(canonicalParts(a)) === JSON.stringify(canonicalParts(b));

function canonicalParts(parameters: GrantParameters): string[] {
  const { name, granteePrincipal, granteeUniqueId, retiringPrincipal, retiringUniqueId, constraints } = parameters;
  const operations = inOrder(parameters.operations);
  return [
    name ?? '',
    granteePrincipal,
    granteeUniqueId ?? '',
    retiringPrincipal ?? '',
    retiringUniqueId ?? '',
    String(operations.length),
    ...operations,
    ...pairs(constraints?.encryptionContextEquals),
    ...pairs(constraints?.encryptionContextSubset),
  ];
}

/** How many pairs, then the pairs in the order of their names. */
function pairs(context: Readonly<Record<string, string>> = {}): string[] {
  const sorted = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return [String(sorted.length), ...sorted.flat()];
}
