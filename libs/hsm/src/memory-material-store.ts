import { materialSubject } from '#domain/subjects';
import type { MaterialEntry, MaterialOnTheWay, MaterialPlace, MaterialStore, StoredMaterial } from './material-store';

interface Kept extends MaterialPlace {
  bytes: Uint8Array;
  storedAt: number;
  logPosition: number;
  sequence: number;
}

/** For tests of what is built on a material store. */
export class MemoryMaterialStore implements MaterialStore {
  private readonly materials = new Map<string, Kept>();
  private stored = 0;

  constructor(private readonly now: () => number = Date.now) {}

  async put(materialId: string, bytes: Uint8Array, logPosition = 0, epoch?: number): Promise<'stored' | 'exists'> {
    const place = materialSubject(materialId, epoch);
    if (this.materials.has(place)) return 'exists';
    this.materials.set(place, {
      ...{ materialId, bytes: Uint8Array.from(bytes), storedAt: this.now(), logPosition, sequence: ++this.stored },
      ...(epoch === undefined ? {} : { epoch }),
    });
    return 'stored';
  }

  async get(materialId: string, epoch?: number): Promise<StoredMaterial | undefined> {
    const found = this.materials.get(materialSubject(materialId, epoch));
    return found && { materialId, bytes: Uint8Array.from(found.bytes), sequence: found.sequence };
  }

  async erase(materialId: string, epoch?: number, sequence?: number): Promise<boolean> {
    const place = materialSubject(materialId, epoch);
    const found = this.materials.get(place);
    if (sequence !== undefined && found?.sequence !== sequence) return false;
    found?.bytes.fill(0);
    return this.materials.delete(place);
  }

  async list(): Promise<MaterialEntry[]> {
    return [...this.materials.values()].map(({ bytes: _, sequence: __, ...entry }) => entry);
  }

  async next(after: number): Promise<MaterialOnTheWay | undefined> {
    const found = [...this.materials.values()].find(({ sequence }) => sequence > after);
    if (!found) return undefined;
    const { storedAt: _, logPosition: __, ...copy } = found;
    return { ...copy, bytes: Uint8Array.from(copy.bytes) };
  }

  async count(): Promise<number> {
    return this.materials.size;
  }
}
