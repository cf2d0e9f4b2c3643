import { MaterialUnusableError, type SealedMaterials } from './sealed-materials';

const CANARY_PREFIX = 'root-epoch-';
const CANARY = Buffer.from('keytrail root key canary', 'latin1');

/** The root key is not the one that wrapped what the store holds: nothing could be decrypted, new keys would be split. */
export class WrongRootKeyError extends Error {
  override readonly name = 'WrongRootKeyError';
}

/**
 * Proves that this is the root key that wrapped what the store holds. The first start leaves a canary for it, before
 * any other material. Throws WrongRootKeyError; whatever provider or store throw when they are out of reach.
 */
export async function verifyRoot(materials: SealedMaterials): Promise<void> {
  const { provider, store } = materials;
  await provider.check();
  const epoch = await provider.currentEpoch();
  const canaryId = `${CANARY_PREFIX}${epoch}`;
  let canary = await store.get(canaryId);
  if (!canary) {
    const others = await store.list();
    // Another process may have begun the store since: its canary is there before all that it lists.
    canary = await store.get(canaryId);
    if (!canary && others.length > 0) {
      throw new WrongRootKeyError(
        `the store holds ${others.length} materials, but none was wrapped under epoch ${epoch} of this root key; ${RESTORE}`,
      );
    }
  }
  if (!canary) {
    await materials.seal(canaryId, 'ROOT_CANARY', '', CANARY);
    // Another process may have been first, with another root key: the one that was stored counts.
    canary = await store.get(canaryId);
  }
  try {
    await materials.unseal(canaryId, 'ROOT_CANARY', '', canary?.bytes ?? Buffer.alloc(0));
  } catch (cause) {
    if (!(cause instanceof MaterialUnusableError)) throw cause;
    throw new WrongRootKeyError(`the root key is not the one that wrapped the materials in this store; ${RESTORE}`, {
      cause,
    });
  }
}

export const isCanary = (materialId: string): boolean => materialId.startsWith(CANARY_PREFIX);

const RESTORE =
  'restore the root key file (or KEYTRAIL_ROOT_KEY) that belongs to this data, and never make a new one for it';
