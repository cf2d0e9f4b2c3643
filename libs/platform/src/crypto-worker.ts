import type { RecipientInfo } from '@aws-sdk/client-kms';
import type { AttestationVerifier } from '#crypto/attestation/attestation-verifier';
import { RandomPool } from '#crypto/random-pool';
import type { TokenIssuer } from '#crypto/signed-token';
import { keyArn, parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import type { KeyEvent } from '#domain/key/events';
import { materialOf, placesOf, releasedPlaces } from '#domain/key/imported/copies';
import type { KeySpec } from '#domain/key/key-kinds';
import { materialIdOf, placeOfClusterCopy } from '#domain/key/material-id';
import { materialOwner } from '#domain/key/material-owner';
import { isLiving, type Key, type KeyVersion } from '#domain/key/state';
import { hasAccessKeys } from '#domain/principal/state';
import type { AggregateRef } from '#domain/subjects';
import { shorterThanMaterial } from '#event-store/log-damage';
import type { BackingKey } from '#hsm/backing-key';
import type { MaterialEntry } from '#hsm/material-store';
import type { MaterialVault } from '#hsm/material-vault';
import type { StoreRef } from '#operations/custom-key-stores/key-store-ports';
import type { ManagedKey, MintingCause } from '#operations/managed-keys';
import {
  type AccessKeyPorts,
  type Call,
  type DataPorts,
  type HsmPorts,
  type ImportPorts,
  MaterialNotLoaded,
} from '#operations/operation';
import { type Recipient, verifiedRecipient } from '#operations/recipient';
import { storeOf } from '#views/key-store';
import type { LiveView } from '#views/live-view';
import { KeysInStores, type PlaceInStore } from './key-stores/keys-in-stores';
import type { MintManagedKey } from './managed-keys';
import { type NeededMaterial, neededMaterial } from './material-check';
import type { MaterialCustodian } from './material-custodian';

/** Where material of the key may lie that is to be erased. */
const mayErase = (key: Key): readonly string[] =>
  key.keyState === 'Deleted' ? key.allMaterialIds : isLiving(key) ? releasedPlaces(key) : [];

/** What may release material. */
const RELEASING: ReadonlySet<KeyEvent['type']> = new Set([
  'KeyMaterialImported',
  'KeyMaterialExpired',
  'ImportedKeyMaterialDeleted',
  'KeySynchronized',
  'KeyMadePrimary',
  'KeyDeleted',
]);

/** More orphans than crashes explain: the log and the store may not belong together, so nothing is erased. */
const MAX_ORPHANS = 100;

export interface SweepReport {
  erased: number;
  kept: number;
  /** What is not there: what these keys encrypted is lost unless a backup has it, and these access keys sign nothing. */
  missing: NeededMaterial[];
}

/** Serves data operations and looks after material. The only part that ever holds a backing key. */
export class CryptoWorker implements DataPorts, MaterialCustodian {
  private readonly pool = new RandomPool();
  private readonly inStores: KeysInStores;

  constructor(
    private readonly view: LiveView,
    private readonly vault: MaterialVault,
    readonly tokens: TokenIssuer,
    readonly accessKeys: AccessKeyPorts,
    readonly imports: ImportPorts,
    private readonly stores: Pick<DataPorts, 'keyStores' | 'clusters'>,
    readonly hsms: HsmPorts,
    private readonly mint: MintManagedKey,
    private readonly attestations: AttestationVerifier,
    /** Absent where nobody but this process appends. */
    readonly wasBehind?: (held?: number) => Promise<boolean>,
  ) {
    this.inStores = new KeysInStores(vault, stores.keyStores);
    // Backing keys of a deleted key, and imported material that is gone, leave memory in every worker as soon as it hears of it.
    view.onCommit((commit) => {
      if (commit.aggregate === 'key') for (const event of commit.events) this.forget(commit, event as KeyEvent);
    });
  }

  get keyStores() {
    return this.stores.keyStores;
  }

  get clusters() {
    return this.stores.clusters;
  }

  get projection() {
    return this.view.projection;
  }

  backingKey(
    arn: string,
    { materialId, storedAs = materialId }: Pick<KeyVersion, 'materialId' | 'storedAs'>,
  ): BackingKey {
    const backingKey = this.vault.peek(storedAs);
    if (backingKey?.keyArn !== arn) throw new MaterialNotLoaded(arn, materialId);
    return backingKey;
  }

  async loadBackingKey(arn: string, materialId: string): Promise<void> {
    const place = this.placeOf(arn, materialId);
    try {
      await this.vault.load(arn, materialId, place);
    } catch (failure) {
      // Imported again meanwhile, it lies elsewhere, and the copy before has been erased.
      const now = this.placeOf(arn, materialId);
      if (now === place) throw failure;
      await this.vault.load(arn, materialId, now);
    }
  }

  private placeOf(arn: string, materialId: string): string {
    const owner = parseKmsArn(arn);
    // What related keys share lies under its id.
    if (!owner) return materialId;
    const { region, account, resource } = owner;
    const key = this.projection.key(region, account, resource.slice('key/'.length))?.state;
    return (key && isLiving(key) ? materialOf(key, materialId)?.storedAs : undefined) ?? materialId;
  }

  private forget({ region, account, id }: AggregateRef, event: KeyEvent): void {
    if (!RELEASING.has(event.type)) return;
    const key = this.projection.key(region, account, id)?.state;
    if (key) for (const place of mayErase(key)) this.vault.evict(place);
  }

  async mintManagedKey(which: ManagedKey, cause: MintingCause): Promise<void> {
    const { position } = await this.mint(which, cause);
    await this.view.waitFor(position);
  }

  systemSeconds(): number {
    return Date.now() / 1000;
  }

  random(length: number): Buffer {
    return this.pool.take(length);
  }

  recipient(given: RecipientInfo, call: Call): Recipient {
    return verifiedRecipient(given, call, this.attestations);
  }

  async create(arn: string, materialId: string, keySpec: KeySpec, place?: PlaceInStore): Promise<string | undefined> {
    if (place) {
      await this.inStores.create(arn, materialId, place);
      return undefined;
    }
    return (await this.vault.create(arn, materialId, keySpec))?.toString('base64');
  }

  /** Refuses while the log, as this worker knows it, still has the key use the material: erasing is for ever. */
  async destroy(ref: AggregateRef, place: string): Promise<void> {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (!key || !mayErase(key).includes(place) || this.isShared(ref, place)) {
      throw new KmsError(
        'KMSInternalException',
        `${keyArn(ref.region, ref.account, ref.id)} is not known to be deleted, nor to have released the material`,
      );
    }
    await this.destroyInStore(ref, key, place);
    await this.vault.destroy(place);
  }

  /** A key that is in a cluster, where its note is to be erased. */
  private async destroyInStore(ref: AggregateRef, key: Key, place: string): Promise<void> {
    if (key.keyState !== 'Deleted' || !key.allMaterialIds.includes(placeOfClusterCopy(place))) return;
    const store = storeOf(this.projection, ref, key);
    // The store has been deleted: what is in its cluster is its owner's.
    if (store) await this.inStores.destroyInCluster(store.ref, place);
  }

  /** Whether a related key that is not deleted has the material: the primary is deleted last, so that none should. */
  private isShared(ref: AggregateRef, materialId: string): boolean {
    for (const { state } of this.projection.relatedKeys(ref)) {
      if (isLiving(state) && state.versions.some((version) => version.materialId === materialId)) return true;
    }
    return false;
  }

  /**
   * Throws LogDamagedError if the log has lost commits that it had when material was stored. Served on such a log, keys
   * would be gone without a word, and their material be taken for left-over.
   */
  async checkLog(lastPosition: () => Promise<number>): Promise<void> {
    const reached = (await this.vault.list()).reduce((most, { logPosition }) => Math.max(most, logPosition), 0);
    // Asked for after the list: meanwhile another worker may store material at a newer position.
    const last = await lastPosition();
    if (reached > last) throw shorterThanMaterial(last, reached);
  }

  /**
   * Erases material that no living key or access key needs: of deleted keys at once (a backup brought it back), of no known key once
   * it is older than the grace (a crash came between storing it and the event that names it). The next version of a
   * living key is not touched, however old: a rotation that crashed has stored it, and the retry, which may come at any
   * moment and from any key-manager, takes what is stored. Erased under it, the rotated key would have no material. What is in a
   * custom key store that is not connected waits until it is.
   */
  async sweep(now: number, graceMs: number, caughtUp: () => Promise<void>): Promise<SweepReport> {
    // First the list, then the log up to now: material that is listed and in use is then known to be.
    const expected = [...neededMaterial(this.projection)];
    const listed = await this.vault.list();
    await caughtUp();
    const living = new Set<string>();
    const deleted = new Set<string>();
    for (const { ref, state } of this.projection.allKeys()) {
      if (state.keyState === 'None') continue;
      for (const place of mayErase(state)) deleted.add(place);
      const used = isLiving(state) ? placesOf(state) : [];
      const versions = isLiving(state) ? state.versions.length : mayErase(state).length;
      const next = materialIdOf(ownerOf(ref, state), versions + 1);
      for (const place of used) living.add(place);
      (isLiving(state) ? living : deleted).add(next);
    }
    for (const { state } of this.projection.all('principal')) {
      if (hasAccessKeys(state)) for (const accessKey of state.accessKeys) living.add(accessKey.materialId);
    }
    for (const { state } of this.projection.all('customKeyStore')) {
      if (state.storeState === 'Existing') living.add(state.secretId);
      else if (state.storeState === 'Deleted') deleted.add(state.secretId);
    }
    const stored = listed.filter(({ materialId }) => !living.has(materialId));
    // Where the log has not grown since, it may have lost the very commit that names the material.
    const orphans = stored.filter(
      ({ materialId, storedAt, logPosition }) =>
        !deleted.has(materialId) && storedAt + graceMs <= now && logPosition < this.view.position,
    );
    const leftOver = stored.filter(({ materialId }) => deleted.has(materialId));
    const doomed = orphans.length > MAX_ORPHANS ? leftOver : [...leftOver, ...(await this.released(orphans))];
    for (const { materialId } of doomed) await this.vault.destroy(materialId);
    const there = new Set(listed.map(({ materialId }) => materialId));
    const missing = expected.filter(({ materialId }) => living.has(materialId) && !there.has(materialId));
    return { erased: doomed.length, kept: stored.length - doomed.length, missing };
  }

  /** Those of them that may be erased now. */
  private async released(orphans: readonly MaterialEntry[]): Promise<MaterialEntry[]> {
    const isDeleted = (store: StoreRef): boolean => this.projection.folded(store)?.state.storeState === 'Deleted';
    const released: MaterialEntry[] = [];
    for (const orphan of orphans) {
      if (await this.inStores.destroyOrphan(orphan.materialId, isDeleted)) released.push(orphan);
    }
    return released;
  }
}

/** Of a deleted key it is not known any more whether its material was imported; then it has no next version either. */
function ownerOf({ region, account, id }: AggregateRef, key: Key): string {
  const arn = keyArn(region, account, id);
  if (isLiving(key)) return materialOwner(arn, key);
  const multiRegion = key.keyState === 'Deleted' && key.family !== undefined;
  return materialOwner(arn, { multiRegion, origin: 'AWS_KMS' });
}
