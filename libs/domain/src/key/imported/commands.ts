import type { ImportType } from './events';

export type ImportCommand =
  | {
      type: 'ImportKeyMaterial';
      /** Of what was unwrapped, which is stored already. */
      materialId: string;
      storedAs: string;
      /** As the request has them. */
      importType?: ImportType | undefined;
      keyMaterialId?: string | undefined;
      description?: string | undefined;
      validTo?: string | undefined;
      /** SubjectPublicKeyInfo in base64; of asymmetric keys. */
      publicKey?: string | undefined;
    }
  /** Without an id, of the current material. */
  | { type: 'DeleteImportedKeyMaterial'; keyMaterialId?: string | undefined }
  /** The timer. `deadline` is the date that came due. */
  | { type: 'FireMaterialExpiry'; deadline: string }
  | { type: 'RecordReleasedErased'; storedAs: string[] };
