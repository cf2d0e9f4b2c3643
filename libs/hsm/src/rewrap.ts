import { timingSafeEqual } from 'node:crypto';
import { decodeRecord, encodeRecord, type MaterialRecord, recordAad } from './material-record';
import type { MaterialOnTheWay } from './material-store';
import { canaryId, isCanary, sealCanary } from './root-canary';
import { type FoundMaterial, MaterialUnusableError, type SealedMaterials } from './sealed-materials';

/** Materials under way at once: each waits for the store several times. */
const AT_ONCE = 16;

export interface RewrapReport {
  /** One sentence for each material of the old epoch that could not be opened, and so is still there. */
  unusable: string[];
  /** Whether something was erased while it was being moved: what was made of it has to be looked for, and erased too. */
  erasedMeanwhile: boolean;
}

/**
 * The third step of a rotation of the root key, from epoch `from` to `to`, once every crypto-worker wraps under `to`: leaves nothing of
 * epoch `from`. It may be done by several processes at once, and anew after a crash: what is there says what is left to do. Throws what
 * provider and store throw.
 */
export class Rewrap {
  /** Copies met so far. */
  walked = 0;
  private report: RewrapReport = { unusable: [], erasedMeanwhile: false };

  constructor(
    private readonly materials: SealedMaterials,
    private readonly from: number,
    private readonly to: number,
  ) {}

  /** How many copies there are. */
  count(): Promise<number> {
    return this.materials.store.count();
  }

  /** Moves what it meets on one way through the store. */
  async pass(stopping: AbortSignal): Promise<RewrapReport> {
    this.walked = 0;
    this.report = { unusable: [], erasedMeanwhile: false };
    await sealCanary(this.materials);
    const moving = new Set<Promise<void>>();
    const failures: unknown[] = [];
    for await (const copy of this.everyCopy(stopping)) {
      if (failures.length > 0) break;
      if (moving.size >= AT_ONCE) await Promise.race(moving);
      const move = this.moved(copy)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => {
          this.walked++;
          moving.delete(move);
        });
      moving.add(move);
    }
    await Promise.all(moving);
    if (failures.length > 0) throw failures[0];
    return this.report;
  }

  /** How many copies there are of the old epoch. To be believed once every crypto-worker wraps under the new one. */
  async left(stopping: AbortSignal): Promise<number> {
    let left = 0;
    for await (const { bytes } of this.everyCopy(stopping)) if (recordIn(bytes)?.wrapped.epoch === this.from) left++;
    return left;
  }

  private async *everyCopy(stopping: AbortSignal): AsyncGenerator<MaterialOnTheWay> {
    const { store } = this.materials;
    for (let copy = await store.next(0); copy; copy = await store.next(copy.sequence)) {
      stopping.throwIfAborted();
      yield copy;
    }
  }

  private async moved(copy: MaterialOnTheWay): Promise<void> {
    const { materialId } = copy;
    const record = recordIn(copy.bytes);
    // What is no record at all, or is wrapped as it should be, and where it should be.
    if (!record || (record.wrapped.epoch === this.to && (copy.epoch ?? this.to) === this.to)) return;
    if (isCanary(materialId)) {
      if (materialId !== canaryId(this.to)) await this.erase(copy);
      return;
    }
    const counts = await this.materials.find(materialId);
    if (!counts) {
      // Erased meanwhile; or it is what a rotation that was held up has put beside it.
      if (copy.epoch !== undefined && copy.epoch < this.from) await this.erase(copy);
      return;
    }
    try {
      await this.settled(copy, counts);
    } catch (error) {
      if (!(error instanceof MaterialUnusableError)) throw error;
      // Of an epoch that was destroyed before: it is nothing that this rotation has to save.
      if (record.wrapped.epoch === this.from) this.report.unusable.push(error.message);
    }
  }

  /** Sees that what counts is wrapped under the new epoch, and erases the copy that was met, unless it is that. */
  private async settled(copy: MaterialOnTheWay, counts: FoundMaterial): Promise<void> {
    const { materialId } = copy;
    const record = decodeRecord(counts.bytes);
    const secret = await this.open(materialId, record, counts.bytes);
    try {
      // A crash anywhere leaves the old copy, or both, of which either opens.
      if (record.wrapped.epoch !== this.to) await this.moveTo(materialId, record, secret);
      if (counts.sequence === copy.sequence && record.wrapped.epoch === this.to) return;
      await this.erase(copy);
    } finally {
      secret.fill(0);
    }
  }

  private async moveTo(materialId: string, { type, keyArn }: MaterialRecord, secret: Buffer): Promise<void> {
    const { provider, store, failPoint } = this.materials;
    const wrapped = await provider.wrap(secret, recordAad(type, keyArn, materialId));
    if (wrapped.epoch !== this.to) throw new Error(`wrapped under epoch ${wrapped.epoch}, not ${this.to}`);
    await failPoint('before-store:rewrapped');
    const bytes = encodeRecord({ type, keyArn, wrapped });
    await store.put(materialId, bytes, this.materials.logPosition(), this.to);
    await failPoint('after-store:rewrapped');
    const stored = await store.get(materialId, this.to);
    if (!stored) {
      // A deletion came first, and took the old copy as well.
      this.report.erasedMeanwhile = true;
      return;
    }
    const again = await this.open(materialId, decodeRecord(stored.bytes), stored.bytes);
    const same = again.length === secret.length && timingSafeEqual(again, secret);
    again.fill(0);
    if (!same) throw new Error(`${materialId}: what was read back is not what was stored`);
  }

  private open(materialId: string, { type, keyArn }: MaterialRecord, bytes: Uint8Array): Promise<Buffer> {
    return this.materials.unseal(materialId, type, keyArn, bytes);
  }

  private async erase({ materialId, epoch, sequence }: MaterialOnTheWay): Promise<void> {
    const { store, failPoint } = this.materials;
    await failPoint('before-erase:rewrapped');
    // Another process that rotates may have been first, or a deletion, which may not have seen the new copy.
    if (!(await store.erase(materialId, epoch, sequence))) this.report.erasedMeanwhile = true;
    await failPoint('after-erase:rewrapped');
  }
}

/** How many copies are wrapped under an epoch that the log says was destroyed: a copy of the store from before brought them back. */
export async function countDestroyed(materials: SealedMaterials): Promise<number> {
  const { store } = materials;
  let destroyed = 0;
  if (materials.epochs().length === 0) return destroyed;
  for (let copy = await store.next(0); copy; copy = await store.next(copy.sequence)) {
    if (recordIn(copy.bytes) && materials.isDestroyed(copy.bytes)) destroyed++;
  }
  return destroyed;
}

function recordIn(bytes: Uint8Array): MaterialRecord | undefined {
  try {
    return decodeRecord(bytes);
  } catch {
    return undefined;
  }
}
