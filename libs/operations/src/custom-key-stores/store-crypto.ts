import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { TAG_LENGTH } from '#crypto/aes-gcm';
import type { ClusterBlob, ExternalBlob, KeyPlace, SymmetricBlob } from '#crypto/ciphertext-blob';
import { innerBlob } from '#crypto/symmetric';
import { currentVersion, type KeyFacts } from '#domain/key/state';
import { eventSubject } from '#domain/subjects';
import type { StoreCall } from '#hsm/key-store/store-connection';
import type { FoundKey } from '../key-lookup';
import { Lane, workedOut } from '../off-loop';
import type { Call, DataPorts } from '../operation';
import type { StoreRef } from './key-store-ports';
import { asking } from './store-failures';

/** Where the key encrypts. */
export const placeOf = ({ origin }: KeyFacts): KeyPlace =>
  origin === 'AWS_CLOUDHSM' ? 'cluster' : origin === 'EXTERNAL_KEY_STORE' ? 'external' : 'kms';

/** Calls to one store that a process has under way. */
const MOST_OF_A_STORE = 128;
const lanes = new LRUCache<string, Lane>({ max: 10_000 });

/** Of each store: one that hangs keeps nobody waiting but who asks it. */
function laneOf(store: StoreRef): Lane {
  const name = eventSubject(store);
  let lane = lanes.get(name);
  if (!lane) {
    lane = new Lane(MOST_OF_A_STORE);
    lanes.set(name, lane);
  }
  return lane;
}

const storeOf = ({ ref: { region, account }, key }: FoundKey): StoreRef => ({
  ...{ region, account, aggregate: 'customKeyStore' },
  id: key.customKeyStoreId!,
});

/** What a call to a store does, of an operation that may do both: the key and its material say the rest. */
const nameOf = (what: string, { arn }: FoundKey, materialId: string): string => `${what} ${arn} ${materialId}`;

/** As workedOut, of a store: what it answers is on no record. */
export function answered(call: Call, what: string, ask: () => Promise<Buffer>, store: StoreRef): Buffer {
  call.beyondRecord?.();
  return workedOut(call, what, ask, laneOf(store));
}

/** The whole blob. `prefix`: of its header; `context`: canonical. */
export function sealInCluster(
  found: FoundKey,
  prefix: Buffer,
  plaintext: Uint8Array,
  context: Buffer,
  call: Call,
  { keyStores }: DataPorts,
): Buffer {
  const { materialId } = currentVersion(found.key);
  const store = storeOf(found);
  const seal = () =>
    asking('cluster use', async () => {
      const cluster = await keyStores.cluster(store);
      const sealed = await cluster.encrypt(materialId, plaintext, Buffer.concat([prefix, context]));
      return Buffer.concat([prefix, sealed]);
    });
  return answered(call, nameOf('encrypt', found, materialId), seal, store);
}

export function openInCluster(
  found: FoundKey,
  { header, sealed, materialId }: ClusterBlob,
  context: Buffer,
  call: Call,
  { keyStores }: DataPorts,
): Buffer {
  const store = storeOf(found);
  const open = () =>
    asking('cluster use', async () => {
      const cluster = await keyStores.cluster(store);
      return cluster.decrypt(materialId, sealed, Buffer.concat([header, context]));
    });
  return answered(call, nameOf('decrypt', found, materialId), open, store);
}

/** What an external key manager is told of a call. */
const storeCall = ({ arn }: FoundKey, { caller, operation, requestId }: Call): StoreCall => ({
  ...{ principalArn: caller.principalArn, keyArn: arn },
  ...{ operation, requestId },
});

/** What binds the external key's ciphertext to the blob's header and the encryption context. */
const outerAad = (header: Uint8Array, context: Uint8Array): Buffer =>
  createHash('sha256').update(header).update(context).digest();

/** The whole blob: the external key goes over what KMS's own, `encrypt`, makes. */
export function sealExternally(
  found: FoundKey,
  encrypt: () => Buffer,
  plaintextLength: number,
  context: Buffer,
  call: Call,
  { keyStores }: DataPorts,
): Buffer {
  const { materialId } = currentVersion(found.key);
  const store = storeOf(found);
  const seal = () =>
    asking('external use', async () => {
      const external = await keyStores.external(store);
      const inner = encrypt();
      const headerLength = inner.length - plaintextLength - TAG_LENGTH;
      const header = inner.subarray(0, headerLength);
      const sealed = await external.encrypt(
        found.key.xksKeyId!,
        inner.subarray(headerLength),
        outerAad(header, context),
        storeCall(found, call),
      );
      return Buffer.concat([header, sealed]);
    });
  return answered(call, nameOf('encrypt', found, materialId), seal, store);
}

/** What KMS's own key made: the external key is taken off. */
export function openExternally(
  found: FoundKey,
  blob: ExternalBlob,
  context: Buffer,
  call: Call,
  { keyStores }: DataPorts,
): SymmetricBlob {
  const store = storeOf(found);
  const open = () =>
    asking('external use', async () => {
      const external = await keyStores.external(store);
      return external.decrypt(found.key.xksKeyId!, blob.sealed, outerAad(blob.header, context), storeCall(found, call));
    });
  return innerBlob(blob, answered(call, nameOf('decrypt', found, blob.materialId), open, store));
}
