import { randomBytes } from 'node:crypto';
import { IV_LENGTH } from '#crypto/aes-gcm';
import { type ImportClaims, ImportTokens, type OpenedImportToken } from '#crypto/import-token';
import { type CheckedMaterial, importedMaterialId } from '#crypto/imported-material';
import { placeOfCopy } from '#domain/key/imported/status';
import type { KeySpec } from '#domain/key/key-kinds';
import type { AggregateRef } from '#domain/subjects';
import type { MaterialVault } from '#hsm/material-vault';
import type { Call, ImportPorts, WorkerCommand } from '#operations/operation';
import type { WorkerCommands } from './worker-commands';

const UNIQUE_BYTES = 16;

/** Stores and erases what is imported; what becomes of the keys, a key-manager decides. */
export class Imports implements ImportPorts {
  private readonly tokens: ImportTokens;
  private idKey: Promise<Buffer> | undefined;

  /** `seed`: that of the TokenIssuer. The caller may zeroise it afterwards. */
  constructor(
    seed: Uint8Array,
    private readonly vault: MaterialVault,
    private readonly commands: WorkerCommands,
  ) {
    this.tokens = new ImportTokens(seed);
  }

  newToken(claims: ImportClaims, privateKey: Uint8Array): Buffer {
    return this.tokens.seal(claims, privateKey, randomBytes(IV_LENGTH));
  }

  openToken(token: Uint8Array): OpenedImportToken | undefined {
    return this.tokens.open(token);
  }

  async materialId(ownerArn: string, material: CheckedMaterial): Promise<string> {
    return importedMaterialId(await this.keyOfIds(), ownerArn, material);
  }

  async store(keyArn: string, materialId: string, keySpec: KeySpec, material: Uint8Array): Promise<string> {
    const place = placeOfCopy(materialId, randomBytes(UNIQUE_BYTES).toString('hex'));
    await this.vault.storeImported(keyArn, place, keySpec, material);
    return place;
  }

  runCommand(ref: AggregateRef<'key'>, command: WorkerCommand<'key'>, call: Call): Promise<void> {
    return this.commands.run(ref, command, call);
  }

  erase(place: string): Promise<void> {
    return this.vault.destroy(place);
  }

  /** Needed by no worker that nothing is imported by, so that it is made with the first import. */
  private keyOfIds(): Promise<Buffer> {
    this.idKey ??= this.vault.own.importKey().catch((failure: unknown) => {
      this.idKey = undefined;
      throw failure;
    });
    return this.idKey;
  }
}
