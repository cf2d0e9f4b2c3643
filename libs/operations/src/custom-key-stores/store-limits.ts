import { X509Certificate } from 'node:crypto';
import type { CustomKeyStoreCommand } from '#domain/custom-key-store/decide';
import type { Backing } from '#domain/custom-key-store/events';
import { CUSTOM_KEY_STORES_PER_REGION, nameInUse } from '#domain/custom-key-store/refusals';
import type { ExistingStore } from '#domain/custom-key-store/state';
import { KmsError } from '#domain/errors';
import type { Projection } from '#views/projection';
import type { Limit } from '../limits';
import type { StoreRef } from './key-store-ports';

/** What no two stores of an account and region may have in common, and how many there may be. */
export function storeLimits(ref: StoreRef, command: CustomKeyStoreCommand, projection: Projection): Limit[] {
  const { region, account } = ref;
  const where = `${account} in ${region}`;
  const existing = () => [...projection.customKeyStoresAfter(region, account, undefined)];
  const onlyOne = (of: string, isSame: (store: ExistingStore) => boolean, refusal: () => KmsError): Limit => ({
    of: `${of} of custom key stores of ${where}`,
    max: 1,
    count: () => existing().filter(({ state }) => isSame(state)).length,
    has: (id) => existing().some((store) => store.ref.id === id && isSame(store.state)),
    refusal,
  });
  const named = (name: string) =>
    onlyOne(
      `name ${name}`,
      (store) => store.name === name,
      () => nameInUse(name),
    );
  if (command.type === 'CreateCustomKeyStore') {
    return [
      {
        of: `custom key stores of ${where}`,
        max: CUSTOM_KEY_STORES_PER_REGION,
        count: () => existing().length,
        has: (id) => existing().some((store) => store.ref.id === id),
        refusal: tooMany,
      },
      named(command.name),
      backedBy(command.backing, onlyOne),
    ];
  }
  if (command.type !== 'UpdateCustomKeyStore') return [];
  const limits = command.name === undefined ? [] : [named(command.name)];
  const before = projection.folded(ref)?.state;
  if (before?.storeState !== 'Existing') return limits;
  return [...limits, backedBy(withAddress(before.backing, command), onlyOne)];
}

const tooMany = (): KmsError =>
  new KmsError(
    'LimitExceededException',
    `There can be at most ${CUSTOM_KEY_STORES_PER_REGION} custom key stores in an account and region`,
  );

function backedBy(
  backing: Backing,
  onlyOne: (of: string, isSame: (store: ExistingStore) => boolean, refusal: () => KmsError) => Limit,
): Limit {
  if (backing.storeType === 'AWS_CLOUDHSM') {
    const fingerprint = fingerprintOf(backing.trustAnchorCertificate);
    // Clusters of one backup history have one certificate, and the same keys.
    return onlyOne(
      `certificate ${fingerprint}`,
      (store) =>
        store.backing.storeType === 'AWS_CLOUDHSM' &&
        (store.backing.clusterId === backing.clusterId ||
          fingerprintOf(store.backing.trustAnchorCertificate) === fingerprint),
      () =>
        new KmsError(
          'CloudHsmClusterInUseException',
          `The cluster ${backing.clusterId}, or one that shares a backup history with it, is already associated with a custom key store.`,
        ),
    );
  }
  const { uriEndpoint, uriPath } = backing;
  return onlyOne(
    `proxy ${uriEndpoint}${uriPath}`,
    ({ backing: other }) =>
      other.storeType === 'EXTERNAL_KEY_STORE' && other.uriEndpoint === uriEndpoint && other.uriPath === uriPath,
    () =>
      new KmsError(
        'XksProxyUriInUseException',
        `${uriEndpoint}${uriPath} is already associated with another external key store.`,
      ),
  );
}

const withAddress = (
  backing: Backing,
  { uriEndpoint, uriPath }: { uriEndpoint?: string | undefined; uriPath?: string | undefined },
): Backing =>
  backing.storeType === 'AWS_CLOUDHSM'
    ? backing
    : { ...backing, uriEndpoint: uriEndpoint ?? backing.uriEndpoint, uriPath: uriPath ?? backing.uriPath };

/** Of a certificate in PEM; of what is none, the text itself: no certificate has the same. */
export function fingerprintOf(pem: string): string {
  try {
    return new X509Certificate(pem).fingerprint256;
  } catch {
    return pem;
  }
}
