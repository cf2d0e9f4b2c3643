import type { NatsConnection } from 'nats';
import { keyArn, rootArn, userArn } from '#domain/arn';
import { secretOwner } from '#domain/custom-key-store/secret-place';
import { placesOf } from '#domain/key/imported/copies';
import { placeOfClusterCopy } from '#domain/key/material-id';
import { materialOwner, sharesMaterial } from '#domain/key/material-owner';
import { isLiving } from '#domain/key/state';
import { hasAccessKeys } from '#domain/principal/state';
import { INTERNAL, QUEUE } from '#domain/subjects';
import { type KeyMaterialType, materialTypeOf } from '#hsm/material-record';
import type { MaterialVault } from '#hsm/material-vault';
import { MaterialUnusableError } from '#hsm/sealed-materials';
import type { Projection } from '#views/projection';
import { answer, ask } from './internal-requests';
import type { ServedRequests } from './served-requests';

/** Material that something cannot do without. */
export interface NeededMaterial {
  type: KeyMaterialType | 'ACCESS_KEY' | 'KEY_STORE_SECRET' | 'CLUSTER_KEY' | 'CLUSTER_KEY_COPY';
  materialId: string;
  /** ARN of the key; of the principal, for an access key. */
  owner: string;
}

/** What a crypto-worker found. */
export interface MaterialReport {
  checked: number;
  /** One sentence each, naming owner and material; not more than MAX_NAMED of them. */
  unusable: string[];
  unusableCount: number;
  /** Stored copies that a rotation of the root key has left unreadable for ever: of an old copy of the stream. */
  destroyed: number;
}

const MAX_NAMED = 100;
/** Long enough for very many materials; a worker that has died does not answer at all. */
const TIMEOUT_MS = 600_000;

/** Of every version of each living key, of every custom key store, and of every access key; what related keys share once. */
export function* neededMaterial(projection: Projection): Generator<NeededMaterial> {
  const shared = new Set<string>();
  for (const { ref, state } of projection.allKeys()) {
    if (!isLiving(state)) continue;
    const owner = materialOwner(keyArn(ref.region, ref.account, ref.id), state);
    const type = materialTypeOf(state.keySpec);
    if (state.origin === 'AWS_CLOUDHSM') {
      for (const { materialId } of state.versions) {
        yield { type: 'CLUSTER_KEY', materialId, owner };
        yield { type: 'CLUSTER_KEY_COPY', materialId: placeOfClusterCopy(materialId), owner };
      }
      continue;
    }
    for (const materialId of placesOf(state)) {
      if (shared.has(materialId)) continue;
      if (sharesMaterial(state)) shared.add(materialId);
      yield { type, materialId, owner };
    }
  }
  for (const { ref, state } of projection.all('customKeyStore')) {
    if (state.storeState !== 'Existing') continue;
    yield { type: 'KEY_STORE_SECRET', materialId: state.secretId, owner: secretOwner(ref) };
  }
  for (const { ref, state } of projection.all('principal')) {
    if (!hasAccessKeys(state)) continue;
    const owner = state.kind === 'User' ? userArn(ref.account, state.path, state.name) : rootArn(ref.account);
    for (const { materialId } of state.accessKeys) yield { type: 'ACCESS_KEY', materialId, owner };
  }
}

function isNeeded(projection: Projection, materialId: string): boolean {
  for (const needed of neededMaterial(projection)) if (needed.materialId === materialId) return true;
  return false;
}

/** Fetches and unwraps each. Rejects where the store is out of reach. */
export async function checkMaterial(
  projection: Projection,
  vault: Pick<MaterialVault, 'assertUsable' | 'countDestroyed'>,
): Promise<MaterialReport> {
  const report: MaterialReport = {
    checked: 0,
    unusable: [],
    unusableCount: 0,
    destroyed: await vault.countDestroyed(),
  };
  for (const { type, owner, materialId } of [...neededMaterial(projection)]) {
    report.checked++;
    try {
      await vault.assertUsable(type, owner, materialId);
    } catch (error) {
      if (!(error instanceof MaterialUnusableError)) throw error;
      // It may have been erased rightly, by a deletion that came while this went on.
      if (!isNeeded(projection, materialId)) continue;
      report.unusableCount++;
      if (report.unusable.length < MAX_NAMED) report.unusable.push(error.message);
    }
  }
  return report;
}

/** Has this crypto-worker check for the operator. */
export const serveMaterialCheck = (
  served: ServedRequests,
  projection: Projection,
  vault: MaterialVault,
  onError: (error: unknown) => void,
): void => answer(served, INTERNAL.materialCheck, QUEUE.data, () => checkMaterial(projection, vault), onError);

/** Rejects with DependencyTimeoutException where no crypto-worker answers. */
export const checkMaterialRemotely = (nats: NatsConnection): Promise<MaterialReport> =>
  ask(nats, INTERNAL.materialCheck, {}, { timeoutMs: TIMEOUT_MS });
