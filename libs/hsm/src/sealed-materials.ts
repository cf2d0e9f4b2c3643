import { KmsError } from '#domain/errors';
import { MATERIAL_STREAM } from '#domain/subjects';
import { type HsmProvider, HsmUnavailableError, WrappedMaterialError } from './hsm-provider';
import { decodeRecord, encodeRecord, type MaterialRecord, type MaterialType, recordAad } from './material-record';
import {
  type MaterialEntry,
  type MaterialStore,
  MaterialStoreUnavailableError,
  type StoredMaterial,
} from './material-store';

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
  /** What material may be wrapped under, as the log says, the newest first; none before the first rotation of the root key. */
  epochs?: () => readonly number[];
  /** Of each wrapping and storing. Absent before this process serves, when nobody waits for it. */
  tenure?: () => StoringTenure | undefined;
}

/** From the wrapping of material until it is stored: so long, no rotation of the root key takes the next step. */
export interface StoringTenure {
  /** Throws once it may have: what was stored then may be wrapped under a root key that is about to be destroyed. */
  assertNotOver(): void;
  end(): void;
}

/** What to make: so many random bytes of the provider's, or what the function gives. */
export type Made = number | (() => Promise<Buffer>);

/**
 * Materials as they are stored, each wrapped by the provider and bound to its type, owner and place. All but `seal` and `unseal`
 * throw KmsError alone: DependencyTimeoutException where provider or store is out of reach.
 */
export class SealedMaterials {
  readonly failPoint: (name: string) => void | Promise<void>;
  readonly logPosition: () => number;
  /** As SealedMaterialOptions has it. */
  readonly epochs: () => readonly number[];
  private readonly tenure: () => StoringTenure | undefined;

  constructor(
    readonly provider: HsmProvider,
    readonly store: MaterialStore,
    options: SealedMaterialOptions = {},
  ) {
    this.failPoint = options.failPoint ?? (() => {});
    this.logPosition = options.logPosition ?? (() => 0);
    this.epochs = options.epochs ?? (() => []);
    this.tenure = options.tenure ?? (() => undefined);
  }

  /** The record that lies there. */
  async stored(place: string): Promise<Uint8Array | undefined> {
    return (await reach(() => this.find(place)))?.bytes;
  }

  /** The copy that counts. Throws what the store throws. */
  async find(place: string): Promise<FoundMaterial | undefined> {
    const epochs = this.epochs();
    // Before the first rotation there is no other copy.
    if (epochs.length === 0) return this.store.get(place);
    // What a rotation moved between two looks is found by the next one.
    return (await this.newest(place, epochs)) ?? this.newest(place, this.epochs());
  }

  private async newest(place: string, epochs: readonly number[]): Promise<FoundMaterial | undefined> {
    const copies = await Promise.all(
      [...epochs, undefined].map(async (epoch): Promise<FoundMaterial | undefined> => {
        const found = await this.store.get(place, epoch);
        return found && (epoch === undefined ? found : { ...found, epoch });
      }),
    );
    return copies.find((copy) => copy !== undefined);
  }

  /** Every material once, the oldest first. */
  async list(): Promise<MaterialEntry[]> {
    const listed = new Map<string, MaterialEntry>();
    for (const { epoch: _, ...copy } of await reach(() => this.store.list())) {
      const { materialId, logPosition } = copy;
      const first = listed.get(materialId);
      if (!first) listed.set(materialId, copy);
      else first.logPosition = Math.max(first.logPosition, logPosition);
    }
    return [...listed.values()];
  }

  /** Of what lies there; undefined where nothing does. The caller zeroises it. */
  opened(place: string, type: MaterialType, owner: string): Promise<Buffer | undefined> {
    return reach(() => this.reading(place, (bytes) => this.unseal(place, type, owner, bytes)));
  }

  /**
   * What `open` makes of the record that lies there; undefined where none does. Where a rotation has moved it meanwhile, and destroyed
   * what it was wrapped under, of the one that lies there now. Throws what `open` and the store throw.
   */
  async reading<T>(place: string, open: (bytes: Uint8Array) => Promise<T>): Promise<T | undefined> {
    const found = await this.find(place);
    if (!found) return undefined;
    try {
      return await open(found.bytes);
    } catch (error) {
      const now = error instanceof MaterialUnusableError ? await this.find(place) : undefined;
      if (!now || now.sequence === found.sequence) throw error;
      return open(now.bytes);
    }
  }

  /** Erases for good. Harmless to repeat. */
  async erase(place: string): Promise<void> {
    await this.failPoint('before-erase:material');
    await reach(async () => {
      await this.store.erase(place);
      // After it, and what a rotation reads before what it writes: it sees that what it has copied is gone, or this its copy.
      for (const epoch of [...this.epochs()].reverse()) await this.store.erase(place, epoch);
    });
    await this.failPoint('after-erase:material');
  }

  /** What lies there; made where nothing does, the same for every crypto-worker. The caller zeroises it. */
  async madeOnce(materialId: string, type: MaterialType, owner: string, made: Made): Promise<Buffer> {
    const there = await this.opened(materialId, type, owner);
    if (there) return there;
    (await this.generate(materialId, type, owner, made)).fill(0);
    // Another process may have been first: the one that was stored counts.
    const stored = await this.opened(materialId, type, owner);
    if (!stored) throw missing('The key material cannot be unwrapped.', owner, materialId);
    return stored;
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
    const tenure = this.tenure();
    try {
      const wrapped = await this.provider.wrap(material, recordAad(type, keyArn, materialId));
      await this.put(materialId, encodeRecord({ type, keyArn, wrapped }));
      tenure?.assertNotOver();
    } finally {
      tenure?.end();
    }
  }

  /** Unless the material is there already, if only where a rotation has moved it. */
  private async put(materialId: string, bytes: Uint8Array): Promise<void> {
    const epochs = this.epochs();
    for (const epoch of epochs) if (await this.store.get(materialId, epoch)) return;
    if ((await this.store.put(materialId, bytes, this.logPosition())) === 'stored' || epochs.length === 0) return;
    const there = await this.store.get(materialId);
    if (!there || !this.isDestroyed(there.bytes)) return;
    // Left by a process that was held up over a rotation, and was refused for it: nobody has ever used it, or can.
    await this.store.erase(materialId, undefined, there.sequence);
    await this.store.put(materialId, bytes, this.logPosition());
  }

  /** Whether a rotation has destroyed what the record is wrapped under. */
  isDestroyed(bytes: Uint8Array): boolean {
    const oldest = this.epochs().at(-1);
    return oldest !== undefined && decodeRecord(bytes).wrapped.epoch < oldest;
  }

  /** Of a record. Throws MaterialUnusableError where it, or its owner, is another, and what the provider throws. */
  async unseal(materialId: string, type: MaterialType, keyArn: string, bytes: Uint8Array): Promise<Buffer> {
    const { wrapped } = recordOf(bytes, keyArn, materialId);
    if (this.isDestroyed(bytes)) {
      throw new MaterialUnusableError(keyArn, materialId, ofDestroyedEpoch(wrapped.epoch, this.epochs()[0]!));
    }
    try {
      return await this.provider.unwrap(wrapped, recordAad(type, keyArn, materialId));
    } catch (error) {
      throw unusable(error, keyArn, materialId);
    }
  }
}

/** A copy, and the epoch of its place where a rotation has put it there. */
export interface FoundMaterial extends StoredMaterial {
  epoch?: number;
}

const ofDestroyedEpoch = (epoch: number, now: number): string =>
  `is wrapped under epoch ${epoch} of the root key, which was destroyed: it is from a copy of ${MATERIAL_STREAM} from before the rotation to epoch ${now}`;

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
    if (cause instanceof KmsError) throw cause;
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
