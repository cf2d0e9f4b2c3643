import { LRUCache } from 'lru-cache';
import { openMaterial, randomMaterialLength } from '#crypto/key-material';
import { KmsError } from '#domain/errors';
import { isAsymmetric, type KeySpec } from '#domain/key/key-kinds';
import type { BackingKey } from './backing-key';
import { type HsmProvider, HsmUnavailableError, WrappedMaterialError } from './hsm-provider';
import { generatePair, publicKeyOf } from './key-generation';
import {
  decodeRecord,
  encodeRecord,
  keySpecOf,
  type MaterialRecord,
  type MaterialType,
  materialTypeOf,
  recordAad,
} from './material-record';
import { type MaterialEntry, type MaterialStore, MaterialStoreUnavailableError } from './material-store';

const DEFAULT_CACHED_KEYS = 10_000;
const CANARY_PREFIX = 'root-epoch-';
const TOKEN_SEED_ID = 'token-seed-1';
const AUDIT_KEY_PREFIX = 'audit-key-';
const AUDIT_KEY_LENGTH = 32;
const TREE_SEED_ID = 'tree-seed-1';
const TRAIL_KEY_ID = 'trail-key-1';
const IMPORT_KEY_ID = 'import-key-1';
const IMPORT_KEY_LENGTH = 32;
const CANARY = Buffer.from('keytrail root key canary', 'latin1');

/** The root key is not the one that wrapped what the store holds: nothing could be decrypted, new keys would be split. */
export class WrongRootKeyError extends Error {
  override readonly name = 'WrongRootKeyError';
}

/** Material is not there, or cannot be unwrapped. Names it and its owner, which a caller of the API is not told. */
export class MaterialUnusableError extends Error {
  override readonly name = 'MaterialUnusableError';

  constructor(owner: string, materialId: string, problem: string, options?: ErrorOptions) {
    super(
      `material ${materialId} of ${owner || 'Keytrail itself'} ${problem}; restore log and material from one backup`,
      options,
    );
  }
}

/** Which key records are sealed under. */
export interface AuditKey {
  account: string;
  /** `2026-11` */
  month: string;
  /** From 1: after a shredding comes the next. */
  generation: number;
}

export interface VaultOptions {
  /** How many backing keys stay in memory; the least recently used go first. */
  cachedKeys?: number;
  /** Called with the name of each place where a test may have the process killed. */
  failPoint?: (name: string) => void | Promise<void>;
  /** How far the event log has come, to be kept beside what is stored. */
  logPosition?: () => number;
}

/** Creates, loads and destroys backing keys: the provider wraps, the store keeps, memory serves. */
export class MaterialVault {
  /** By place: keys of several regions can have copies of one material, and each its own end. */
  private readonly cache: LRUCache<string, BackingKey>;
  private readonly loading = new Map<string, Promise<BackingKey>>();
  private readonly creating = new Map<string, Promise<void>>();
  private readonly failPoint: (name: string) => void | Promise<void>;
  private readonly logPosition: () => number;

  constructor(
    private readonly provider: HsmProvider,
    private readonly store: MaterialStore,
    options: VaultOptions = {},
  ) {
    this.cache = new LRUCache({ max: options.cachedKeys ?? DEFAULT_CACHED_KEYS });
    this.failPoint = options.failPoint ?? (() => {});
    this.logPosition = options.logPosition ?? (() => 0);
  }

  /**
   * Proves that this is the root key that wrapped what the store holds. The first start leaves a canary for it, before
   * any other material. Throws WrongRootKeyError; whatever provider or store throw when they are out of reach.
   */
  async verifyRoot(): Promise<void> {
    await this.provider.check();
    const epoch = await this.provider.currentEpoch();
    const canaryId = `${CANARY_PREFIX}${epoch}`;
    let canary = await this.store.get(canaryId);
    if (!canary) {
      const others = await this.store.list();
      // Another process may have begun the store since: its canary is there before all that it lists.
      canary = await this.store.get(canaryId);
      if (!canary && others.length > 0) {
        throw new WrongRootKeyError(
          `the store holds ${others.length} materials, but none was wrapped under epoch ${epoch} of this root key; ${RESTORE}`,
        );
      }
    }
    if (!canary) {
      await this.seal(canaryId, 'ROOT_CANARY', '', CANARY);
      // Another process may have been first, with another root key: the one that was stored counts.
      canary = await this.store.get(canaryId);
    }
    try {
      await this.unseal(canaryId, 'ROOT_CANARY', '', canary?.bytes ?? Buffer.alloc(0));
    } catch (cause) {
      if (!(cause instanceof MaterialUnusableError)) throw cause;
      throw new WrongRootKeyError(`the root key is not the one that wrapped the materials in this store; ${RESTORE}`, {
        cause,
      });
    }
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
    if (length === undefined && (await reach(() => this.store.get(materialId)))) return;
    const made = length ?? (async () => (await generatePair(keySpec)).privateKey);
    (await this.generate(materialId, materialTypeOf(keySpec), keyArn, made)).fill(0);
  }

  /**
   * Stores material that somebody brought, which the caller zeroises. The place must be new. A crash afterwards leaves a copy
   * that no event names: the sweep erases it.
   */
  async storeImported(keyArn: string, place: string, keySpec: KeySpec, material: Uint8Array): Promise<void> {
    await this.keep(place, materialTypeOf(keySpec), keyArn, material);
  }

  /** What the ids of imported materials are made with, the same in every crypto-worker. */
  importKey(): Promise<Buffer> {
    return this.madeOnce(IMPORT_KEY_ID, 'IMPORT_KEY', '', IMPORT_KEY_LENGTH);
  }

  /**
   * Generates and stores the secret of an access key: `length` bytes, which the caller zeroises. The id must be new.
   * A crash afterwards leaves a secret that no event names: the sweep erases it.
   */
  createAccessKey(principalArn: string, materialId: string, length: number): Promise<Buffer> {
    return this.generate(materialId, 'ACCESS_KEY', principalArn, length);
  }

  /** The secret of an access key, which the caller zeroises. Throws as `load` does. */
  async loadAccessKey(principalArn: string, materialId: string): Promise<Buffer> {
    const stored = await reach(() => this.store.get(materialId));
    if (!stored) throw missing('The secret of the access key is missing.', principalArn, materialId);
    return reach(() => this.unseal(materialId, 'ACCESS_KEY', principalArn, stored.bytes));
  }

  /** Throws MaterialUnusableError; KMSInternalException where the store is out of reach. Keeps nothing. */
  async assertUsable(type: MaterialType, owner: string, materialId: string): Promise<void> {
    const stored = await reach(() => this.store.get(materialId));
    if (!stored) throw new MaterialUnusableError(owner, materialId, MISSING);
    (await this.unseal(materialId, type, owner, stored.bytes)).fill(0);
  }

  /** What tokens are signed with: `length` bytes, made at the first start, the same in every crypto-worker. */
  tokenSeed(length: number): Promise<Buffer> {
    return this.madeOnce(TOKEN_SEED_ID, 'TOKEN_SEED', '', length);
  }

  /** What tree heads are signed with, as tokenSeed. */
  treeSeed(length: number): Promise<Buffer> {
    return this.madeOnce(TREE_SEED_ID, 'TREE_SEED', '', length);
  }

  /** What digests of trail files are signed with: what `make` gives, of the first who needs it. */
  trailKey(make: () => Promise<Buffer>): Promise<Buffer> {
    return this.madeOnce(TRAIL_KEY_ID, 'TRAIL_KEY', '', make);
  }

  /** What the records of an account and month (`2026-11`) are sealed under, made when it is first needed. */
  auditKey(which: AuditKey): Promise<Buffer> {
    return this.madeOnce(auditKeyId(which), 'AUDIT_KEY', which.account, AUDIT_KEY_LENGTH);
  }

  /** The same to read with: undefined where there is none, or none any more. */
  async existingAuditKey(which: AuditKey): Promise<Buffer | undefined> {
    const { account } = which;
    const id = auditKeyId(which);
    const stored = await reach(() => this.store.get(id));
    return stored && reach(() => this.unseal(id, 'AUDIT_KEY', account, stored.bytes));
  }

  /** All of them that are there. */
  async auditKeys(): Promise<AuditKey[]> {
    const entries = await reach(() => this.store.list());
    return entries.flatMap(({ materialId }) => auditKeyOf(materialId) ?? []);
  }

  /** Erases one for good, and with it what is sealed under it. Harmless to repeat. */
  destroyAuditKey(which: AuditKey): Promise<void> {
    return this.destroy(auditKeyId(which));
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
    await this.failPoint('before-erase:material');
    await reach(() => this.store.erase(place));
    await this.failPoint('after-erase:material');
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
    const entries = await reach(() => this.store.list());
    return entries.filter(({ materialId }) => !isOfKeytrail(materialId));
  }

  async close(): Promise<void> {
    this.loading.clear();
    this.cache.clear();
    await this.provider.close();
  }

  private async madeOnce(
    materialId: string,
    type: MaterialType,
    owner: string,
    made: number | (() => Promise<Buffer>),
  ): Promise<Buffer> {
    const stored = async () => (await reach(() => this.store.get(materialId)))?.bytes;
    let bytes = await stored();
    if (!bytes) {
      (await this.generate(materialId, type, owner, made)).fill(0);
      // Another process may have been first: the one that was stored counts.
      bytes = await stored();
    }
    return reach(() => this.unseal(materialId, type, owner, bytes ?? Buffer.alloc(0)));
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
    const stored = await reach(() => this.store.get(place));
    if (!stored) throw missing('The key material is missing.', keyArn, place);
    const { keySpec, material } = await reach(() => this.unsealKey(place, keyArn, stored.bytes));
    try {
      return { materialId, keyArn, keySpec, keyObject: openMaterial(keySpec, material) };
    } finally {
      material.fill(0);
    }
  }

  /** The bytes made; what was stored under this id before, if anything was, has stayed. */
  private async generate(
    materialId: string,
    type: MaterialType,
    owner: string,
    made: number | (() => Promise<Buffer>),
  ): Promise<Buffer> {
    const material = await reach(() => (typeof made === 'number' ? this.provider.random(made) : made()));
    try {
      await this.keep(materialId, type, owner, material);
      return material;
    } catch (error) {
      material.fill(0);
      throw error;
    }
  }

  private async keep(materialId: string, type: MaterialType, owner: string, material: Uint8Array): Promise<void> {
    await this.failPoint('before-store:material');
    await reach(() => this.seal(materialId, type, owner, material));
    // A crash here leaves material that no event names: the retry uses it, or the sweep erases it.
    await this.failPoint('after-store:material');
  }

  private async seal(materialId: string, type: MaterialType, keyArn: string, material: Uint8Array): Promise<void> {
    const wrapped = await this.provider.wrap(material, recordAad(type, keyArn, materialId));
    await this.store.put(materialId, encodeRecord({ type, keyArn, wrapped }), this.logPosition());
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
    return { keySpec, material: await this.unseal(materialId, type, keyArn, bytes) };
  }

  private async unseal(materialId: string, type: MaterialType, keyArn: string, bytes: Uint8Array): Promise<Buffer> {
    const { wrapped } = recordOf(bytes, keyArn, materialId);
    try {
      return await this.provider.unwrap(wrapped, recordAad(type, keyArn, materialId));
    } catch (error) {
      throw unusable(error, keyArn, materialId);
    }
  }
}

function recordOf(bytes: Uint8Array, keyArn: string, materialId: string): MaterialRecord {
  try {
    return decodeRecord(bytes);
  } catch (error) {
    throw unusable(error, keyArn, materialId);
  }
}

/** What to throw instead of what a provider or a record's decoding threw. */
const unusable = (error: unknown, owner: string, materialId: string): unknown =>
  error instanceof WrappedMaterialError
    ? new MaterialUnusableError(owner, materialId, `cannot be unwrapped: ${error.message}`, { cause: error })
    : error;

const auditKeyId = ({ account, month, generation }: AuditKey): string =>
  `${AUDIT_KEY_PREFIX}${account}-${month}${generation === 1 ? '' : `-${generation}`}`;

function auditKeyOf(materialId: string): AuditKey | undefined {
  if (!materialId.startsWith(AUDIT_KEY_PREFIX)) return undefined;
  const [account, year, month, generation = '1'] = materialId.slice(AUDIT_KEY_PREFIX.length).split('-');
  return { account: account!, month: `${year}-${month}`, generation: Number(generation) };
}

const isOfKeytrail = (materialId: string): boolean =>
  materialId === TOKEN_SEED_ID ||
  materialId === TREE_SEED_ID ||
  materialId === TRAIL_KEY_ID ||
  materialId === IMPORT_KEY_ID ||
  materialId.startsWith(CANARY_PREFIX) ||
  materialId.startsWith(AUDIT_KEY_PREFIX);

const MISSING = 'is missing';

const missing = (said: string, owner: string, materialId: string): KmsError =>
  new KmsError('KMSInternalException', said, new MaterialUnusableError(owner, materialId, MISSING));

const RESTORE =
  'restore the root key file (or KEYTRAIL_ROOT_KEY) that belongs to this data, and never make a new one for it';

/**
 * What a provider or store throws is logged as the cause; the caller learns only whether trying again helps: with
 * DependencyTimeoutException where either is out of reach, with KMSInternalException otherwise.
 */
async function reach<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof MaterialStoreUnavailableError || cause instanceof HsmUnavailableError) {
      throw new KmsError('DependencyTimeoutException', 'The key material is out of reach; try again.', cause);
    }
    const message =
      cause instanceof MaterialUnusableError
        ? 'The key material cannot be unwrapped.'
        : 'The key material could not be used.';
    throw new KmsError('KMSInternalException', message, cause);
  }
}
