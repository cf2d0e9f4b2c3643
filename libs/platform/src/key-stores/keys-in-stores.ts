import { randomUUID } from 'node:crypto';
import { parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { placeOfClusterCopy } from '#domain/key/material-id';
import type { MaterialVault } from '#hsm/material-vault';
import type { KeyStorePorts, StoreRef } from '#operations/custom-key-stores/key-store-ports';
import { asking, saidOf } from '#operations/custom-key-stores/store-failures';

/** Where a key is that is not in KMS alone. */
export interface PlaceInStore {
  customKeyStoreId: string;
  /** Of a key in an external key store. */
  xksKeyId?: string | undefined;
}

/** Keys in custom key stores, as they are made and destroyed. */
export class KeysInStores {
  constructor(
    private readonly vault: Pick<MaterialVault, 'create' | 'storeSealed' | 'openSealed' | 'describe'>,
    private readonly keyStores: Pick<KeyStorePorts, 'cluster' | 'external'>,
  ) {}

  /** Durably; harmless to repeat. Throws what CreateKey answers. */
  async create(keyArn: string, materialId: string, { customKeyStoreId, xksKeyId }: PlaceInStore): Promise<void> {
    const store = storeIn(keyArn, customKeyStoreId);
    if (xksKeyId === undefined) return this.createInCluster(keyArn, materialId, store);
    await this.assertFits(store, xksKeyId, keyArn);
    await this.vault.create(keyArn, materialId, 'SYMMETRIC_DEFAULT');
  }

  private async createInCluster(keyArn: string, materialId: string, store: StoreRef): Promise<void> {
    const cluster = await asking('cluster key', () => this.keyStores.cluster(store));
    const note = Buffer.from(store.id, 'utf8');
    await this.vault.storeSealed('CLUSTER_KEY', keyArn, materialId, note);
    // A crash from here on leaves a key of which the note says in which store it is: the sweep destroys it.
    const copy = await asking('cluster key', () => cluster.makeKey(materialId));
    await this.vault.storeSealed('CLUSTER_KEY_COPY', keyArn, placeOfClusterCopy(materialId), copy);
  }

  /** Throws XksKeyInvalidConfigurationException for a key that is none for a KMS key. */
  private async assertFits(store: StoreRef, xksKeyId: string, keyArn: string): Promise<void> {
    const call = { principalArn: 'AWS Internal', keyArn, operation: 'CreateKey', requestId: randomUUID() };
    const { keySpec, keyUsage, keyStatus } = await asking('external key', async () => {
      const external = await this.keyStores.external(store);
      return external.keyMetadata(xksKeyId, call);
    });
    const problem =
      keySpec !== 'AES_256'
        ? 'is no 256-bit AES key'
        : keyStatus !== 'ENABLED'
          ? 'is not enabled'
          : !keyUsage.includes('ENCRYPT') || !keyUsage.includes('DECRYPT')
            ? 'is not for encryption and decryption'
            : undefined;
    if (problem === undefined) return;
    throw new KmsError('XksKeyInvalidConfigurationException', `The external key ${xksKeyId} ${problem}.`);
  }

  /** In the cluster. Harmless to repeat; throws while the store cannot be reached. */
  async destroyInCluster(store: StoreRef, materialId: string): Promise<void> {
    try {
      const cluster = await this.keyStores.cluster(store);
      await cluster.destroyKey(materialId);
    } catch (failure) {
      throw saidOf('cluster use', failure);
    }
  }

  /**
   * What lies there that no event names: a key in a cluster is destroyed first, which may have to wait. Whether what lies there
   * may be erased now.
   */
  async destroyOrphan(place: string, isDeleted: (store: StoreRef) => boolean): Promise<boolean> {
    const described = await this.vault.describe(place);
    if (described?.type !== 'CLUSTER_KEY') return true;
    const note = await this.vault.openSealed('CLUSTER_KEY', described.owner, place);
    if (!note) return true;
    const store = storeIn(described.owner, note.toString('utf8'));
    if (isDeleted(store)) return true;
    try {
      await this.destroyInCluster(store, place);
      return true;
    } catch {
      return false;
    }
  }
}

function storeIn(keyArn: string, id: string): StoreRef {
  const owner = parseKmsArn(keyArn);
  if (!owner) throw new Error(`no key is in a custom key store by the name ${keyArn}`);
  return { region: owner.region, account: owner.account, aggregate: 'customKeyStore', id };
}
