import type { AggregateRef } from '../subjects';

type StoreRef = Pick<AggregateRef<'customKeyStore'>, 'region' | 'account' | 'id'>;

/** Whose the secret of a store is, as the store of material has it. */
export const secretOwner = ({ region, account, id }: StoreRef): string =>
  `arn:aws:kms:${region}:${account}:custom-key-store/${id}`;

/** Where a secret of a store lies. `unique`: never used before, so that a secret that was erased never comes back. */
export const secretPlace = ({ id }: StoreRef, unique: string): string => `key-store-secret-${id}-${unique}`;
