import { type Wrapped, WrappedMaterialError } from './hsm-provider';

const TYPES = ['AES_256', 'ROOT_CANARY', 'ACCESS_KEY', 'TOKEN_SEED', 'AUDIT_KEY', 'TREE_SEED', 'TRAIL_KEY'] as const;

/** A backing key, the canary of a root key, the secret of an access key, or what signs tokens, seals records, signs tree heads or digests. */
export type MaterialType = (typeof TYPES)[number];

const isMaterialType = (type: unknown): type is MaterialType => (TYPES as readonly unknown[]).includes(type);

/** Wrapped material as it is stored. */
export interface MaterialRecord {
  type: MaterialType;
  /** Of the key it belongs to; of the principal, for an access key. */
  keyArn: string;
  wrapped: Wrapped;
}

/** Each version ever written stays readable. */
const SCHEMA = 1;

export function encodeRecord({ type, keyArn, wrapped }: MaterialRecord): Buffer {
  const ciphertext = Buffer.from(wrapped.ciphertext).toString('base64');
  return Buffer.from(JSON.stringify({ schema: SCHEMA, type, keyArn, epoch: wrapped.epoch, ciphertext }), 'utf8');
}

/** Throws WrappedMaterialError for bytes that this release did not write. */
export function decodeRecord(bytes: Uint8Array): MaterialRecord {
  let stored: Record<string, unknown> | null;
  try {
    stored = JSON.parse(Buffer.from(bytes).toString('utf8')) as typeof stored;
  } catch (cause) {
    throw new WrappedMaterialError('not a material record', { cause });
  }
  const { schema, type, keyArn, epoch, ciphertext } = stored ?? {};
  if (schema !== SCHEMA) throw new WrappedMaterialError(`unknown schema of a material record: ${schema}`);
  if (
    !isMaterialType(type) ||
    typeof keyArn !== 'string' ||
    typeof epoch !== 'number' ||
    typeof ciphertext !== 'string'
  ) {
    throw new WrappedMaterialError('not a material record');
  }
  return { type, keyArn, wrapped: { epoch, ciphertext: Buffer.from(ciphertext, 'base64') } };
}

/** Binds wrapped material to its type, key and id; each text is preceded by its length. */
export function recordAad(type: MaterialType, keyArn: string, materialId: string): Buffer {
  const parts = [type, keyArn, materialId].flatMap((text) => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}
