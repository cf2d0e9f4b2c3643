import { randomBytes } from 'node:crypto';
import { type ImportClaims, ImportTokens, type OpenedImportToken } from '#crypto/import-token';
import { type CheckedMaterial, importedMaterialId } from '#crypto/imported-material';
import { openMaterial } from '#crypto/key-material';
import { placeOfCopy } from '#domain/key/imported/status';
import type { KeySpec } from '#domain/key/key-kinds';
import type { BackingKey } from '#hsm/backing-key';
import type { ImportPorts } from '#operations/operation';

/** Imports into backing keys in memory. */
export class MemoryImports implements ImportPorts {
  private readonly tokens = new ImportTokens(Buffer.alloc(32, 1));

  /** What a test has come between a copy that is stored and the append of its event. */
  beforeAppend: () => Promise<unknown> = async () => {};

  constructor(
    private readonly backingKeys: Map<string, BackingKey>,
    private readonly append: ImportPorts['runCommand'],
  ) {}

  readonly runCommand: ImportPorts['runCommand'] = async (ref, command, call) => {
    await this.beforeAppend();
    await this.append(ref, command, call);
  };

  newToken(claims: ImportClaims, privateKey: Uint8Array): Buffer {
    return this.tokens.seal(claims, privateKey, randomBytes(12));
  }

  openToken(token: Uint8Array): OpenedImportToken | undefined {
    return this.tokens.open(token);
  }

  async materialId(ownerArn: string, material: CheckedMaterial): Promise<string> {
    return importedMaterialId(Buffer.alloc(32, 2), ownerArn, material);
  }

  async store(keyArn: string, materialId: string, keySpec: KeySpec, material: Uint8Array): Promise<string> {
    const place = placeOfCopy(materialId, randomBytes(8).toString('hex'));
    const keyObject = openMaterial(keySpec, Buffer.from(material));
    this.backingKeys.set(place, { keyArn, materialId, keySpec, keyObject });
    return place;
  }

  async erase(place: string): Promise<void> {
    this.backingKeys.delete(place);
  }
}
