import { LRUCache } from 'lru-cache';
import { openMaterial, randomMaterialLength } from '#crypto/key-material';
import { KmsError } from '#domain/errors';
import { isAsymmetric, type KeySpec } from '#domain/key/key-kinds';
import type { BackingKey } from './backing-key';
import type { HsmProvider } from './hsm-provider';
import { generatePair, publicKeyOf } from './key-generation';
import { keySpecOf, type MaterialType, materialTypeOf } from './material-record';
import type { MaterialEntry, MaterialStore } from './material-store';
import { isOwnSecret, OwnSecrets } from './own-secrets';
import { countDestroyed, Rewrap } from './rewrap';
import { isCanary, verifyRoot } from './root-canary';
import {
  MaterialUnusableError,
  MISSING,
  missing,
  reach,
  recordOf,
  type SealedMaterialOptions,
  SealedMaterials,
} from './sealed-materials';

const DEFAULT_CACHED_KEYS = 10_000;

export interface VaultOptions extends SealedMaterialOptions {
  /** How many backing keys stay in memory; the least recently used go first. */
  cachedKeys?: number;
}

/** Creates, loads and destroys backing keys, and the secrets of access keys: the provider wraps, the store keeps, memory serves. */
export class MaterialVault {
  readonly own: OwnSecrets;
  private readonly materials: SealedMaterials;
  /** By place: keys of several regions can have copies of one material, and each its own end. */
  private readonly cache: LRUCache<string, BackingKey>;
  private readonly loading = new Map<string, Promise<BackingKey>>();
  private readonly creating = new Map<string, Promise<void>>();

  constructor(
    private readonly provider: HsmProvider,
    store: MaterialStore,
    { cachedKeys, ...options }: VaultOptions = {},
  ) {
    this.materials = new SealedMaterials(provider, store, options);
    this.own = new OwnSecrets(this.materials);
    this.cache = new LRUCache({ max: cachedKeys ?? DEFAULT_CACHED_KEYS });
  }

  /** As root-canary.ts has it. */
  verifyRoot(): Promise<void> {
    return verifyRoot(this.materials);
  }

  /**
   * Generates and stores material under this id; where it is stored already, that one stays. Returns the public key of
   * what is stored, SubjectPublicKeyInfo, of an asymmetric key.
   */
  async create(keyArn: string, materialId: string, keySpec: KeySpec): Promise<Buffer | undefined> {
    const created = this.creating.get(materialId) ?? this.createOnce(keyArn, materialId, keySpec);
    this.creating.set(materialId, created);
    try {
      await created;
    } finally {
      this.creating.delete(materialId);
    }
    if (!isAsymmetric(keySpec)) return undefined;
    const { keyObject } = await this.load(keyArn, materialId);
    return publicKeyOf(keySpec, keyObject);
  }

  private async createOnce(keyArn: string, materialId: string, keySpec: KeySpec): Promise<void> {
    const length = randomMaterialLength(keySpec);
    // A key pair may take seconds: whoever asks again, after a time-out, finds it.
    if (length === undefined && (await this.materials.stored(materialId))) return;
    const made = length ?? (async () => (await generatePair(keySpec)).privateKey);
    (await this.materials.generate(materialId, materialTypeOf(keySpec), keyArn, made)).fill(0);
  }

  /**
   * Stores material that somebody brought, which the caller zeroises. The place must be new. A crash afterwards leaves a copy
   * that no event names: the sweep erases it.
   */
  async storeImported(keyArn: string, place: string, keySpec: KeySpec, material: Uint8Array): Promise<void> {
    await this.materials.keep(place, materialTypeOf(keySpec), keyArn, material);
  }

  /**
   * Generates and stores the secret of an access key: `length` bytes, which the caller zeroises. The id must be new.
   * A crash afterwards leaves a secret that no event names: the sweep erases it.
   */
  createAccessKey(principalArn: string, materialId: string, length: number): Promise<Buffer> {
    return this.materials.generate(materialId, 'ACCESS_KEY', principalArn, length);
  }

  /** The secret of an access key, which the caller zeroises. Throws as `load` does. */
  async loadAccessKey(principalArn: string, materialId: string): Promise<Buffer> {
    const secret = await this.materials.opened(materialId, 'ACCESS_KEY', principalArn);
    if (!secret) throw missing('The secret of the access key is missing.', principalArn, materialId);
    return secret;
  }

  /** Stores what is no backing key, and is the caller's to zeroise. What lies there already stays. */
  async storeSealed(type: MaterialType, owner: string, place: string, bytes: Uint8Array): Promise<void> {
    await this.materials.keep(place, type, owner, bytes);
  }

  /** What lies there, which the caller zeroises; undefined where nothing of this type does. */
  async openSealed(type: MaterialType, owner: string, place: string): Promise<Buffer | undefined> {
    return this.materials.opened(place, type, owner);
  }

  /** Of what type and whose is what lies there, as its record says. */
  async describe(place: string): Promise<{ type: MaterialType; owner: string } | undefined> {
    const stored = await this.materials.stored(place);
    if (!stored) return undefined;
    const { type, keyArn } = recordOf(stored, '', place);
    return { type, owner: keyArn };
  }

  /** Throws MaterialUnusableError; KMSInternalException where the store is out of reach. Keeps nothing. */
  async assertUsable(type: MaterialType, owner: string, materialId: string): Promise<void> {
    if (!(await this.materials.stored(materialId))) throw new MaterialUnusableError(owner, materialId, MISSING);
    const opened = await this.materials.reading(materialId, (bytes) =>
      this.materials.unseal(materialId, type, owner, bytes),
    );
    if (!opened) throw new MaterialUnusableError(owner, materialId, MISSING);
    opened.fill(0);
  }

  /** What lies at the place, from memory only; undefined when it must be loaded. */
  peek(place: string): BackingKey | undefined {
    return this.cache.get(place);
  }

  /**
   * Throws KMSInternalException when the material is missing, another key's or altered, and DependencyTimeoutException
   * while it is out of reach. `place`: where it lies, where that is not under its id.
   */
  async load(keyArn: string, materialId: string, place = materialId): Promise<BackingKey> {
    const backingKey = this.cache.get(place) ?? (await this.loadOnce(keyArn, materialId, place));
    if (backingKey.keyArn !== keyArn) {
      throw new KmsError('KMSInternalException', 'The key material belongs to another key.');
    }
    return backingKey;
  }

  /** Erases for good what lies there, and no other copy of it. Harmless to repeat. */
  async destroy(place: string): Promise<void> {
    this.evict(place);
    await this.materials.erase(place);
    // A load that read the store before the erasure may have cached it since.
    this.evict(place);
  }

  /** Forgets it, and lets no load that is under way bring it back. */
  evict(place: string): void {
    this.loading.delete(place);
    this.cache.delete(place);
  }

  /** All stored material that events name: without what Keytrail has for itself. */
  async list(): Promise<MaterialEntry[]> {
    const entries = await this.materials.list();
    return entries.filter(({ materialId }) => !isOwnSecret(materialId) && !isCanary(materialId));
  }

  /** Wraps everything that is stored under the root key's new epoch. */
  rewrap(from: number, to: number): Rewrap {
    return new Rewrap(this.materials, from, to);
  }

  /** As rewrap.ts has it. */
  countDestroyed(): Promise<number> {
    return countDestroyed(this.materials);
  }

  async close(): Promise<void> {
    this.loading.clear();
    this.cache.clear();
    await this.provider.close();
  }

  /** All who ask while a load is under way share it. */
  private loadOnce(keyArn: string, materialId: string, place: string): Promise<BackingKey> {
    const running = this.loading.get(place);
    if (running) return running;
    const settled = (): boolean => this.loading.get(place) === started && this.loading.delete(place);
    const started = this.fetch(keyArn, materialId, place).then(
      (backingKey) => {
        if (settled()) this.cache.set(place, backingKey);
        return backingKey;
      },
      (error: unknown) => {
        settled();
        throw error;
      },
    );
    this.loading.set(place, started);
    return started;
  }

  private async fetch(keyArn: string, materialId: string, place: string): Promise<BackingKey> {
    const read = await reach(() => this.materials.reading(place, (bytes) => this.unsealKey(place, keyArn, bytes)));
    if (!read) throw missing('The key material is missing.', keyArn, place);
    const { keySpec, material } = read;
    try {
      return { materialId, keyArn, keySpec, keyObject: openMaterial(keySpec, material) };
    } finally {
      material.fill(0);
    }
  }

  /** Its type is bound to the material, so that the record's word for it can be trusted once it is unwrapped. */
  private async unsealKey(
    materialId: string,
    keyArn: string,
    bytes: Uint8Array,
  ): Promise<{ keySpec: KeySpec; material: Buffer }> {
    const { type } = recordOf(bytes, keyArn, materialId);
    const keySpec = keySpecOf(type);
    if (!keySpec) throw new MaterialUnusableError(keyArn, materialId, `is no backing key, but ${type}`);
    return { keySpec, material: await this.materials.unseal(materialId, type, keyArn, bytes) };
  }
}
