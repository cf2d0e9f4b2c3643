import { isKeySpec, type KeySpec } from '#domain/key/key-kinds';
import { type Wrapped, WrappedMaterialError } from './hsm-provider';

const OWN_TYPES = [
  'ROOT_CANARY',
  'ACCESS_KEY',
  'TOKEN_SEED',
  'AUDIT_KEY',
  'TREE_SEED',
  'TRAIL_KEY',
  'IMPORT_KEY',
  'KEY_STORE_SECRET',
  'CLUSTER_KEY',
  'CLUSTER_KEY_COPY',
] as const;

/** Symmetric encryption keys were the first there were, and have kept the name of their shape. */
const SYMMETRIC = 'AES_256';

/** A backing key, by its spec. */
export type KeyMaterialType = typeof SYMMETRIC | Exclude<KeySpec, 'SYMMETRIC_DEFAULT'>;

/**
 * A backing key, the canary of a root key, the secret of an access key, or what signs tokens, seals records, signs tree heads or
 * digests, or makes ids of imported material; the secret of a custom key store; of a key in a CloudHSM cluster, which store it is
 * in, and its copy that only the cluster opens.
 */
export type MaterialType = KeyMaterialType | (typeof OWN_TYPES)[number];

export const materialTypeOf = (keySpec: KeySpec): KeyMaterialType =>
  keySpec === 'SYMMETRIC_DEFAULT' ? SYMMETRIC : keySpec;

/** Undefined for what is no backing key. */
export function keySpecOf(type: MaterialType): KeySpec | undefined {
  if (type === SYMMETRIC) return 'SYMMETRIC_DEFAULT';
  return isKeySpec(type) ? type : undefined;
}

const isMaterialType = (type: unknown): type is MaterialType =>
  (OWN_TYPES as readonly unknown[]).includes(type) ||
  type === SYMMETRIC ||
  (isKeySpec(type) && type !== 'SYMMETRIC_DEFAULT');

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
