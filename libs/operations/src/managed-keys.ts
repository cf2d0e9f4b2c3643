import { keyArn } from '#domain/arn';
import type { KeyCommand } from '#domain/key/commands';
import { decideKey } from '#domain/key/decide';
import { evolveKey } from '#domain/key/evolve';
import { managedKeyId, managedServiceOf } from '#domain/key/managed-key';
import { initialKey, isLiving, type Key } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import { managedKeyPolicy } from '#policy/document';
import type { FoundKey } from './key-lookup';

/** Which AWS managed key: there is one for each account, region and service. */
export interface ManagedKey {
  region: string;
  account: string;
  service: string;
}

/** The request that uses it for the first time. */
export interface MintingCause {
  requestId: string;
  /** ISO 8601, from the clock. */
  now: string;
}

/** Not an error: an AWS managed key, which the caller may use, is used for the first time and must be made first. */
export class ManagedKeyToMint extends Error {
  override readonly name = 'ManagedKeyToMint';

  constructor(readonly which: ManagedKey) {
    super('an AWS managed key must be made first');
  }
}

export const managedKeyRef = ({ region, account, service }: ManagedKey): AggregateRef<'key'> => ({
  region,
  account,
  aggregate: 'key',
  id: managedKeyId(region, account, service),
});

export const createManagedKey = ({
  account,
  service,
}: ManagedKey): Extract<KeyCommand, { type: 'CreateManagedKey' }> => ({
  type: 'CreateManagedKey',
  service,
  policy: managedKeyPolicy(account),
});

/**
 * The key that `alias/aws/<service>` is going to name, as it would be now: whoever its policy lets use it has it minted
 * (`authorizeKey`). Undefined for an alias that is no service's.
 */
export function unmintedKey(region: string, account: string, aliasName: string, now: string): FoundKey | undefined {
  const service = managedServiceOf(aliasName);
  if (service === undefined) return undefined;
  const toMint = { region, account, service };
  const ref = managedKeyRef(toMint);
  const arn = keyArn(region, account, ref.id);
  const events = decideKey(createManagedKey(toMint), initialKey, { keyArn: arn, now });
  const key = events.reduce<Key>((state, event) => evolveKey(state, event, now), initialKey);
  return isLiving(key) ? { ref, keyId: ref.id, arn, key, viaAlias: `alias/${aliasName}`, toMint } : undefined;
}
