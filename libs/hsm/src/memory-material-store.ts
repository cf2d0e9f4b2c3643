import type { MaterialEntry, MaterialStore, StoredMaterial } from './material-store';

/** For tests of what is built on a material store. */
export class MemoryMaterialStore implements MaterialStore {
  private readonly materials = new Map<string, { bytes: Uint8Array; storedAt: number; logPosition: number }>();

  constructor(private readonly now: () => number = Date.now) {}

  async put(materialId: string, bytes: Uint8Array, logPosition = 0): Promise<'stored' | 'exists'> {
    if (this.materials.has(materialId)) return 'exists';
    this.materials.set(materialId, { bytes: Uint8Array.from(bytes), storedAt: this.now(), logPosition });
    return 'stored';
  }

  async get(materialId: string): Promise<StoredMaterial | undefined> {
    const found = this.materials.get(materialId);
    return found && { materialId, bytes: Uint8Array.from(found.bytes) };
  }

  async erase(materialId: string): Promise<boolean> {
    this.materials.get(materialId)?.bytes.fill(0);
    return this.materials.delete(materialId);
  }

  async list(): Promise<MaterialEntry[]> {
    return [...this.materials].map(([materialId, { storedAt, logPosition }]) => ({
      materialId,
      storedAt,
      logPosition,
    }));
  }
}
