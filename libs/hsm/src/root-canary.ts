import { MATERIAL_STREAM } from '#domain/subjects';
import type { MaterialEntry } from './material-store';
import { MaterialUnusableError, type SealedMaterials } from './sealed-materials';

const CANARY_PREFIX = 'root-epoch-';
const CANARY = Buffer.from('keytrail root key canary', 'latin1');

/** The root key is not the one that wrapped what the store holds: nothing could be decrypted, new keys would be split. */
export class WrongRootKeyError extends Error {
  override readonly name = 'WrongRootKeyError';
}

/**
 * Proves that this is the root key that wrapped what the store holds. The first start leaves a canary for it, before
 * any other material, and each rotation another one. Throws WrongRootKeyError; whatever provider or store throw when they are out of reach.
 */
export async function verifyRoot(materials: SealedMaterials): Promise<void> {
  const { provider, store } = materials;
  await provider.check();
  const current = await provider.currentEpoch();
  const known = materials.epochs();
  if (await openCanaries(materials, known.length === 0 ? [current] : known)) return;
  const others = await store.list();
  // Another process may have begun the store since: its canary is there before all that it lists.
  if (others.length > 0 && !(await store.get(canaryId(current)))) throw new WrongRootKeyError(whose(others, current));
  await sealCanary(materials);
}

/** Whether there are any, of these epochs; each that is there must open. */
async function openCanaries(materials: SealedMaterials, epochs: readonly number[]): Promise<boolean> {
  const there = await Promise.all(epochs.map((epoch) => materials.store.get(canaryId(epoch))));
  for (const canary of there) if (canary) await openCanary(materials, canary.materialId, canary.bytes);
  return there.some((canary) => canary !== undefined);
}

/** Leaves one for the epoch in use, and sees that it opens. Harmless to repeat. */
export async function sealCanary(materials: SealedMaterials): Promise<void> {
  const id = canaryId(await materials.provider.currentEpoch());
  await materials.seal(id, 'ROOT_CANARY', '', CANARY);
  // Another process may have been first, with another root key: the one that was stored counts.
  await openCanary(materials, id, (await materials.store.get(id))?.bytes ?? Buffer.alloc(0));
}

async function openCanary(materials: SealedMaterials, id: string, bytes: Uint8Array): Promise<void> {
  try {
    await materials.unseal(id, 'ROOT_CANARY', '', bytes);
  } catch (cause) {
    if (!(cause instanceof MaterialUnusableError)) throw cause;
    throw new WrongRootKeyError(`the root key is not the one that wrapped the materials in this store; ${RESTORE}`, {
      cause,
    });
  }
}

export const isCanary = (materialId: string): boolean => materialId.startsWith(CANARY_PREFIX);

export const canaryId = (epoch: number): string => `${CANARY_PREFIX}${epoch}`;

/** What the canaries of other epochs say of a store that has none of this one. */
function whose(others: readonly MaterialEntry[], current: number): string {
  const epochs = others
    .filter(({ materialId }) => isCanary(materialId))
    .map(({ materialId }) => Number(materialId.slice(CANARY_PREFIX.length)));
  const newest = Math.max(...epochs);
  if (newest < current) {
    return `the stream ${MATERIAL_STREAM} is a copy from before a rotation of the root key: it holds ${others.length} materials of epoch ${newest}, and the root key is of epoch ${current}, since the rotation destroyed epoch ${newest}. Nothing opens that copy any more; restore the one that belongs to this root key`;
  }
  if (newest > current && Number.isFinite(newest)) {
    return `the root key is of epoch ${current}, but the store holds ${others.length} materials of epoch ${newest}: the root key is a copy from before a rotation; restore the one of after it`;
  }
  return `the store holds ${others.length} materials, but none was wrapped under epoch ${current} of this root key; ${RESTORE}`;
}

const RESTORE =
  'restore the root key file (or KEYTRAIL_ROOT_KEY) that belongs to this data, and never make a new one for it';
