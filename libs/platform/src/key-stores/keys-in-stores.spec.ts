import { keyArn } from '#domain/arn';
import { materialIdOf, placeOfClusterCopy } from '#domain/key/material-id';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { MaterialVault } from '#hsm/material-vault';
import { MemoryMaterialStore } from '#hsm/memory-material-store';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import type { StoreRef } from '#operations/custom-key-stores/key-store-ports';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../../test/support/always-serving';
import { CLUSTER_ID, FakeKeyStores } from '../../../../test/support/fake-key-stores';
import { NO_KEY_STORES } from '../../../../test/support/no-key-stores';
import { rootCaller } from '../../../../test/support/root-caller';
import { CryptoWorker } from '../crypto-worker';
import { KeyManager } from '../key-manager';
import { UNTRACKED } from '../last-uses';
import { neededMaterial } from '../material-check';
import { WorkerCommands } from '../worker-commands';
import { KeyStores } from './key-stores';

const REGION = 'us-east-1';
const ACCOUNT = '000000000000';
const STORE: StoreRef = { region: REGION, account: ACCOUNT, aggregate: 'customKeyStore', id: 'cks-0123456789abcdef0' };
const KEY = { region: REGION, account: ACCOUNT, aggregate: 'key', id: '1234abcd-12ab-34cd-56ef-1234567890ab' } as const;
const ARN = keyArn(REGION, ACCOUNT, KEY.id);
const MATERIAL = materialIdOf(ARN, 1);
const PLACE = { customKeyStoreId: STORE.id };
const GRACE_MS = 86_400_000;
const NOW = Date.parse('2026-01-01T00:00:00.000Z');

/** A key-manager and a crypto-worker with a custom key store in a cluster, on one log and one material store. */
async function started(log = new MemoryEventStore(), materials?: MemoryMaterialStore, backings = new FakeKeyStores()) {
  let now = NOW;
  const view = new LiveView();
  await view.start(log);
  const store = materials ?? new MemoryMaterialStore(() => now);
  const rootKeyBase64 = Buffer.alloc(32, 1).toString('base64');
  const vault = new MaterialVault(SoftwareHsmProvider.open({ rootKeyBase64, mayCreate: false }), store, {
    logPosition: () => view.position,
  });
  const commands = new WorkerCommands(view, (...command) => manager.runFor(...command));
  const clock = { now: () => now };
  const keyStores = new KeyStores({ view, vault, commands, clock, connectors: backings, onError: () => {} });
  const worker = new CryptoWorker(
    view,
    vault,
    ...([undefined, undefined, undefined] as unknown as [never, never, never]),
    { ...NO_KEY_STORES, keyStores },
    undefined as never,
    () => Promise.reject(new Error('mints nothing')),
    undefined as never,
  );
  const manager: KeyManager = new KeyManager({
    ...{ store: log, view, materials: worker, serving: ALWAYS_SERVING, lastUses: UNTRACKED },
    appliedEverywhere: async () => {},
    signGrantToken: async () => undefined,
    clusters: backings.directory,
    failPoint: () => {},
  });
  keyStores.start();
  const call = () => ({
    caller: rootCaller(REGION, ACCOUNT),
    requestId: 'r',
    operation: 'Test',
    now: new Date(now).toISOString(),
  });
  const reaches = async (connection: string) => {
    const reached = () =>
      (view.projection.folded(STORE)?.state as { connection?: string } | undefined)?.connection === connection;
    if (!reached()) await new Promise<void>((resolve) => view.onCommit(() => reached() && resolve()));
  };
  return {
    ...{ log, view, store, vault, worker, manager, keyStores, backings, call, reaches },
    run: (command: Parameters<typeof manager.runCommand<'customKeyStore'>>[1]) =>
      manager.runCommand(STORE, command, call()),
    createKey: () =>
      manager.runCommand(
        KEY,
        {
          ...{ type: 'CreateKey', description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
          ...{ origin: 'AWS_CLOUDHSM', multiRegion: false, policy: '{}', tags: [], customKeyStoreId: STORE.id },
        },
        call(),
      ),
    later: (ms: number) => {
      now += ms;
    },
    sweep: () => worker.sweep(now, GRACE_MS, () => view.catchUp(log)),
    places: async () => (await vault.list()).map(({ materialId }) => materialId),
  };
}

async function withStore() {
  const process = await started();
  const secretId = await process.keyStores.storeSecret(STORE, 'kmsuser-password');
  const backing = {
    storeType: 'AWS_CLOUDHSM',
    clusterId: CLUSTER_ID,
    trustAnchorCertificate: process.backings.certificate,
  } as const;
  await process.run({ type: 'CreateCustomKeyStore', name: 'a', backing, secretId });
  await process.run({ type: 'ConnectCustomKeyStore' });
  await process.reaches('CONNECTED');
  return { ...process, secretId };
}

describe('a key in a cluster', () => {
  test('is made there before its event, and has a note and a copy, which are needed', async () => {
    const { createKey, backings, places, view, secretId, sweep } = await withStore();
    await createKey();
    expect([...backings.ofCluster.keys.keys()]).toEqual([MATERIAL]);
    expect((await places()).sort()).toEqual([MATERIAL, placeOfClusterCopy(MATERIAL), secretId].sort());
    expect([...neededMaterial(view.projection)].map(({ type, materialId }) => [type, materialId]).sort()).toEqual([
      ['CLUSTER_KEY', MATERIAL],
      ['CLUSTER_KEY_COPY', placeOfClusterCopy(MATERIAL)],
      ['KEY_STORE_SECRET', secretId],
    ]);
    expect(await sweep()).toEqual({ erased: 0, kept: 0, missing: [] });
  });

  test('is the same however often it is made', async () => {
    const { worker, backings, createKey, keyStores } = await withStore();
    await worker.create(ARN, MATERIAL, 'SYMMETRIC_DEFAULT', PLACE);
    const made = backings.ofCluster.keys.get(MATERIAL);
    await createKey();
    expect(backings.ofCluster.keys.get(MATERIAL)).toBe(made);
    const cluster = await keyStores.cluster(STORE);
    await expect(cluster.encrypt(MATERIAL, Buffer.alloc(1), Buffer.alloc(1))).resolves.toBeInstanceOf(Buffer);
  });

  test.each(['before the key was made', 'after it'])('that a crash left %s is destroyed by the sweep', async (when) => {
    const { worker, backings, later, sweep, places, run, secretId } = await withStore();
    if (when === 'before the key was made') backings.ofCluster.failure = 'unreachable';
    await worker.create(ARN, MATERIAL, 'SYMMETRIC_DEFAULT', PLACE).catch(() => {});
    backings.ofCluster.failure = undefined;
    // The log goes on, or it may have lost the commit that names the key.
    await run({ type: 'UpdateCustomKeyStore', name: 'b' });
    expect(await sweep()).toMatchObject({ erased: 0 });
    later(2 * GRACE_MS);
    await sweep();
    expect(backings.ofCluster.keys.size).toBe(0);
    expect(await places()).toEqual([secretId]);
  });

  test('that a crash left in a store that is not connected waits until it is', async () => {
    const { worker, backings, later, sweep, places, run, reaches, secretId } = await withStore();
    await worker.create(ARN, MATERIAL, 'SYMMETRIC_DEFAULT', PLACE);
    await run({ type: 'DisconnectCustomKeyStore' });
    await reaches('DISCONNECTED');
    later(2 * GRACE_MS);
    await sweep();
    expect((await places()).sort()).toEqual([MATERIAL, secretId].sort());
    expect(backings.ofCluster.keys.size).toBe(1);
    await run({ type: 'ConnectCustomKeyStore' });
    await reaches('CONNECTED');
    await sweep();
    expect(backings.ofCluster.keys.size).toBe(0);
    expect(await places()).toEqual([secretId]);
  });

  test('is not destroyed while its key lives', async () => {
    const { worker, backings, createKey } = await withStore();
    await createKey();
    await expect(worker.destroy(KEY, MATERIAL)).rejects.toMatchObject({ code: 'KMSInternalException' });
    expect(backings.ofCluster.keys.size).toBe(1);
  });
});

describe('the secret of a store', () => {
  test('is stored sealed, bound to its store, and erased once the store is deleted', async () => {
    const { store, vault, secretId, run, reaches, places, view } = await withStore();
    expect(Buffer.from((await store.get(secretId))!.bytes).toString('latin1')).not.toContain('kmsuser-password');
    const other = 'arn:aws:kms:us-east-1:000000000000:custom-key-store/cks-0123456789abcdef1';
    await expect(vault.openSealed('KEY_STORE_SECRET', other, secretId)).rejects.toMatchObject({
      code: 'KMSInternalException',
    });
    await run({ type: 'DisconnectCustomKeyStore' });
    await reaches('DISCONNECTED');
    await run({ type: 'DeleteCustomKeyStore' });
    expect(view.projection.folded(STORE)!.state).toEqual({ storeState: 'Deleted', secretId });
    expect(await places()).toEqual([]);
  });

  test('that no event names is erased by the sweep; that of a deleted store at once', async () => {
    const { keyStores, later, sweep, places, run, secretId, reaches, vault } = await withStore();
    await keyStores.storeSecret(STORE, 'left over');
    await run({ type: 'UpdateCustomKeyStore', name: 'b' });
    later(2 * GRACE_MS);
    expect(await sweep()).toMatchObject({ erased: 1, kept: 0 });
    await run({ type: 'DisconnectCustomKeyStore' });
    await reaches('DISCONNECTED');
    await run({ type: 'DeleteCustomKeyStore' });
    // As a backup of the material would bring it back.
    await vault.storeSealed('KEY_STORE_SECRET', 'anybody', secretId, Buffer.from('again'));
    expect(await sweep()).toMatchObject({ erased: 1 });
    expect(await places()).toEqual([]);
  });
});

describe('another process', () => {
  test('connects what is connected, and takes part in its end', async () => {
    const one = await withStore();
    await one.createKey();
    const other = await started(one.log, one.store, one.backings);
    const cluster = await other.keyStores.cluster(STORE);
    const sealed = await (await one.keyStores.cluster(STORE)).encrypt(MATERIAL, Buffer.from('a'), Buffer.alloc(0));
    expect((await cluster.decrypt(MATERIAL, sealed, Buffer.alloc(0))).toString()).toBe('a');
    expect(one.backings.ofCluster).toMatchObject({ connected: 2, open: 2 });
    await one.run({ type: 'DisconnectCustomKeyStore' });
    await Promise.all([one.reaches('DISCONNECTED'), other.reaches('DISCONNECTED')]);
    await Promise.all([one.keyStores.stop(), other.keyStores.stop()]);
    expect(one.backings.ofCluster.open).toBe(0);
    await expect(other.keyStores.cluster(STORE)).rejects.toMatchObject({ failure: 'unreachable' });
  });
});

test('that a store is disconnected is appended once nobody acts on the state before', async () => {
  const { manager, reaches, run, view } = await withStore();
  const asked: { position: number; connection: string }[] = [];
  const connection = () => (view.projection.folded(STORE)!.state as { connection: string }).connection;
  Object.assign((manager as unknown as { ports: object }).ports, {
    appliedEverywhere: async (position: number) => {
      asked.push({ position, connection: connection() });
    },
  });
  await run({ type: 'DisconnectCustomKeyStore' });
  await reaches('DISCONNECTED');
  const begun = { position: view.position - 1, connection: 'DISCONNECTING' };
  // For whoever disconnects, and before the report.
  expect(asked.slice(0, 2)).toEqual([begun, begun]);
});
