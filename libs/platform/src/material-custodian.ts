import type { NatsConnection } from 'nats';
import { isAsymmetric, type KeySpec } from '#domain/key/key-kinds';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import { doomedMaterialOf, newMaterialOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import type { PlaceInStore } from './key-stores/keys-in-stores';
import type { ServedRequests } from './served-requests';

/** Material is created or destroyed in far less: whoever was asked has died, or its answer was lost. */
const MATERIAL_ATTEMPT_MS = 4_000;
/** A key pair of RSA takes seconds to make, more of them where the machine is busy. */
const KEY_PAIR_TIMEOUT_MS = 90_000;
const KEY_PAIR_ATTEMPT_MS = 30_000;

/** What the key-manager asks of whoever holds key material. */
export interface MaterialCustodian {
  /**
   * Generates and durably stores, in a custom key store where `place` says so; harmless to repeat. Returns the public key, SubjectPublicKeyInfo in base64, of an
   * asymmetric key.
   */
  create(keyArn: string, materialId: string, keySpec: KeySpec, place?: PlaceInStore): Promise<string | undefined>;
  /** Erases material of a deleted key, or a copy that a key has released, for good; harmless to repeat. */
  destroy(ref: AggregateRef, materialId: string): Promise<void>;
}

/** Material by way of a crypto-worker. */
export class RemoteMaterialCustodian implements MaterialCustodian {
  constructor(private readonly nats: NatsConnection) {}

  create(keyArn: string, materialId: string, keySpec: KeySpec, place?: PlaceInStore): Promise<string | undefined> {
    const patience = isAsymmetric(keySpec)
      ? { timeoutMs: KEY_PAIR_TIMEOUT_MS, attemptMs: KEY_PAIR_ATTEMPT_MS }
      : { attemptMs: MATERIAL_ATTEMPT_MS };
    return ask(this.nats, INTERNAL.materialCreate, { keyArn, materialId, keySpec, place }, patience);
  }

  destroy(ref: AggregateRef, materialId: string): Promise<void> {
    return ask(this.nats, INTERNAL.materialDestroy, { ref, materialId }, { attemptMs: MATERIAL_ATTEMPT_MS });
  }
}

/** Serves RemoteMaterialCustodian. */
export function serveMaterials(
  served: ServedRequests,
  custodian: MaterialCustodian,
  caughtUp: () => Promise<void>,
  onError: (error: unknown) => void,
): void {
  answer<unknown, string | undefined>(
    served,
    INTERNAL.materialCreate,
    QUEUE.data,
    (question) => {
      const { keyArn, materialId, keySpec, place } = newMaterialOf(question);
      return custodian.create(keyArn, materialId, keySpec, place);
    },
    onError,
  );
  answer<unknown, void>(
    served,
    INTERNAL.materialDestroy,
    QUEUE.data,
    async (question) => {
      const { ref, materialId } = doomedMaterialOf(question);
      await caughtUp();
      await custodian.destroy(ref, materialId);
    },
    onError,
  );
}
