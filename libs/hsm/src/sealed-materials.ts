import { KmsError } from '#domain/errors';
import { type HsmProvider, HsmUnavailableError, WrappedMaterialError } from './hsm-provider';
import { decodeRecord, encodeRecord, type MaterialRecord, type MaterialType, recordAad } from './material-record';
import { type MaterialEntry, type MaterialStore, MaterialStoreUnavailableError } from './material-store';

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

export interface SealedMaterialOptions {
  /** Called with the name of each place where a test may have the process killed. */
  failPoint?: (name: string) => void | Promise<void>;
  /** How far the event log has come, to be kept beside what is stored. */
  logPosition?: () => number;
}

/** What to make: so many random bytes of the provider's, or what the function gives. */
export type Made = number | (() => Promise<Buffer>);

/**
 * Materials as they are stored, each wrapped by the provider and bound to its type, owner and place. All but `seal` and `unseal`
 * throw KmsError alone: DependencyTimeoutException where provider or store is out of reach.
 */
export class SealedMaterials {
  private readonly failPoint: (name: string) => void | Promise<void>;
  private readonly logPosition: () => number;

  constructor(
    readonly provider: HsmProvider,
    readonly store: MaterialStore,
    options: SealedMaterialOptions = {},
  ) {
    this.failPoint = options.failPoint ?? (() => {});
    this.logPosition = options.logPosition ?? (() => 0);
  }

  /** The record that lies there. */
  async stored(place: string): Promise<Uint8Array | undefined> {
    return (await reach(() => this.store.get(place)))?.bytes;
  }

  list(): Promise<MaterialEntry[]> {
    return reach(() => this.store.list());
  }

  /** Of what lies there; undefined where nothing does. The caller zeroises it. */
  async opened(place: string, type: MaterialType, owner: string): Promise<Buffer | undefined> {
    const bytes = await this.stored(place);
    return bytes && reach(() => this.unseal(place, type, owner, bytes));
  }

  /** Erases for good. Harmless to repeat. */
  async erase(place: string): Promise<void> {
    await this.failPoint('before-erase:material');
    await reach(() => this.store.erase(place));
    await this.failPoint('after-erase:material');
  }

  /** What lies there; made where nothing does, the same for every crypto-worker. The caller zeroises it. */
  async madeOnce(materialId: string, type: MaterialType, owner: string, made: Made): Promise<Buffer> {
    let bytes = await this.stored(materialId);
    if (!bytes) {
      (await this.generate(materialId, type, owner, made)).fill(0);
      // Another process may have been first: the one that was stored counts.
      bytes = await this.stored(materialId);
    }
    return reach(() => this.unseal(materialId, type, owner, bytes ?? Buffer.alloc(0)));
  }

  /** The bytes made; what was stored under this id before, if anything was, has stayed. */
  async generate(materialId: string, type: MaterialType, owner: string, made: Made): Promise<Buffer> {
    const material = await reach(() => (typeof made === 'number' ? this.provider.random(made) : made()));
    try {
      await this.keep(materialId, type, owner, material);
      return material;
    } catch (error) {
      material.fill(0);
      throw error;
    }
  }

  /** Stores it, unless something lies there already: that stays. */
  async keep(materialId: string, type: MaterialType, owner: string, material: Uint8Array): Promise<void> {
    await this.failPoint('before-store:material');
    await reach(() => this.seal(materialId, type, owner, material));
    // A crash here leaves material that no event names: the retry uses it, or the sweep erases it.
    await this.failPoint('after-store:material');
  }

  /** The same without fail-points; throws what provider and store throw. */
  async seal(materialId: string, type: MaterialType, keyArn: string, material: Uint8Array): Promise<void> {
    const wrapped = await this.provider.wrap(material, recordAad(type, keyArn, materialId));
    await this.store.put(materialId, encodeRecord({ type, keyArn, wrapped }), this.logPosition());
  }

  /** Of a record. Throws MaterialUnusableError where it, or its owner, is another, and what the provider throws. */
  async unseal(materialId: string, type: MaterialType, keyArn: string, bytes: Uint8Array): Promise<Buffer> {
    const { wrapped } = recordOf(bytes, keyArn, materialId);
    try {
      return await this.provider.unwrap(wrapped, recordAad(type, keyArn, materialId));
    } catch (error) {
      throw unusable(error, keyArn, materialId);
    }
  }
}

export function recordOf(bytes: Uint8Array, keyArn: string, materialId: string): MaterialRecord {
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

export const MISSING = 'is missing';

export const missing = (said: string, owner: string, materialId: string): KmsError =>
  new KmsError('KMSInternalException', said, new MaterialUnusableError(owner, materialId, MISSING));

/**
 * What a provider or store throws is logged as the cause; the caller learns only whether trying again helps: with
 * DependencyTimeoutException where either is out of reach, with KMSInternalException otherwise.
 */
export async function reach<T>(action: () => Promise<T>): Promise<T> {
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
