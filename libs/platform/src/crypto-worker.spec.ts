import { AttestationVerifier } from '#crypto/attestation/attestation-verifier';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import { keyArn } from '#domain/arn';
import type { KeyCommand } from '#domain/key/commands';
import { materialIdOf } from '#domain/key/material-id';
import type { AggregateRef } from '#domain/subjects';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { MaterialVault } from '#hsm/material-vault';
import { MemoryMaterialStore } from '#hsm/memory-material-store';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import type { Call } from '#operations/operation';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { NO_CLUSTERS, NO_KEY_STORES } from '../../../test/support/no-key-stores';
import { rootCaller } from '../../../test/support/root-caller';
import { AccessKeys } from './access-keys';
import { CryptoWorker } from './crypto-worker';
import { Imports } from './imports';
import { KeyManager } from './key-manager';
import { KeyTimers } from './key-timers';
import { UNTRACKED } from './last-uses';
import { neededMaterial } from './material-check';
import { WorkerCommands } from './worker-commands';

const REF: AggregateRef<'key'> = {
  region: 'us-east-1',
  account: '000000000000',
  aggregate: 'key',
  id: '1234abcd-12ab-34cd-56ef-1234567890ab',
};
const ARN = keyArn(REF.region, REF.account, REF.id);
const EXTERNAL = { ...REF, id: '5b2f8a5e-93c4-4a86-9d53-3f6a30c1e7d2' };
const EXTERNAL_ARN = keyArn(EXTERNAL.region, EXTERNAL.account, EXTERNAL.id);
const MATERIAL = 'a'.repeat(64);
const NOW = Date.parse('2026-01-01T00:00:00.000Z');
const DAY_MS = 86_400_000;
const GRACE_MS = DAY_MS;

/** A key-manager and a crypto-worker on one log and one material store, at a time that the test moves. */
async function started() {
  let now = NOW;
  const log = new MemoryEventStore();
  const view = new LiveView();
  await view.start(log);
  const provider = SoftwareHsmProvider.open({
    rootKeyBase64: Buffer.alloc(32, 1).toString('base64'),
    mayCreate: false,
  });
  const store = new MemoryMaterialStore(() => now);
  const vault = new MaterialVault(provider, store, { logPosition: () => view.position });
  const tokens = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH));
  const commands = new WorkerCommands(view, (...command) => manager.runFor(...command));
  const accessKeys = new AccessKeys(vault, commands);
  const imports = new Imports(Buffer.alloc(TOKEN_SEED_LENGTH, 2), vault, commands);
  const worker = new CryptoWorker(
    view,
    vault,
    tokens,
    accessKeys,
    imports,
    NO_KEY_STORES,
    { obstacle: () => 'none here', runCommand: async () => {} },
    () => Promise.reject(new Error('mints nothing')),
    new AttestationVerifier([]),
  );
  const manager: KeyManager = new KeyManager({
    store: log,
    view,
    serving: ALWAYS_SERVING,
    materials: worker,
    appliedEverywhere: async () => {},
    failPoint: () => {},
    signGrantToken: async () => undefined,
    clusters: NO_CLUSTERS,
    lastUses: UNTRACKED,
  });
  const timers = new KeyTimers({ manager, materials: worker, clock: { now: () => now } });
  const isoNow = (): string => new Date(now).toISOString();
  const run = (command: KeyCommand) => manager.runCommand(REF, command, { ...CALL, now: isoNow() });
  await run({
    type: 'CreateKey',
    description: '',
    keyUsage: 'ENCRYPT_DECRYPT',
    keySpec: 'SYMMETRIC_DEFAULT',
    multiRegion: false,
    policy: '',
    tags: [],
  });
  /** A key of origin EXTERNAL beside it, and an import into it. */
  const runExternal = (command: KeyCommand) => manager.runCommand(EXTERNAL, command, { ...CALL, now: isoNow() });
  const bring = async (materialId: string): Promise<string> => {
    const place = await imports.store(EXTERNAL_ARN, materialId, 'SYMMETRIC_DEFAULT', Buffer.alloc(32, 7));
    await runExternal({ type: 'ImportKeyMaterial', materialId, storedAs: place });
    return place;
  };
  return {
    worker,
    store,
    vault,
    manager,
    projection: view.projection,
    run,
    runExternal,
    bring,
    imports,
    erase: (place: string) => worker.destroy(EXTERNAL, place),
    sweep: () => worker.sweep(now, GRACE_MS, () => view.catchUp(log)),
    later: (ms: number) => {
      now += ms;
      return isoNow();
    },
    deleteKey: async () => {
      await run({ type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
      now += 7 * DAY_MS;
      await timers.fire({ kind: 'Deletion', ref: REF, deadline: isoNow() });
    },
  };
}

const CALL: Omit<Call, 'now'> = {
  caller: rootCaller(REF.region, REF.account),
  requestId: 'request',
  operation: 'Test',
};

describe('the sweep', () => {
  test('leaves a living key all its material, and what a crashed rotation stored for its next version', async () => {
    const { worker, run, sweep, later } = await started();
    await worker.create(ARN, materialIdOf(ARN, 2), 'SYMMETRIC_DEFAULT');
    later(2 * GRACE_MS);
    expect(await sweep()).toMatchObject({ erased: 0 });
    await run({ type: 'RotateKeyOnDemand' });
    await expect(worker.loadBackingKey(ARN, materialIdOf(ARN, 1))).resolves.toBeUndefined();
    await expect(worker.loadBackingKey(ARN, materialIdOf(ARN, 2))).resolves.toBeUndefined();
  });

  test('does not take the material from under a rotation that comes while it is under way', async () => {
    const { worker, run, later } = await started();
    await worker.create(ARN, materialIdOf(ARN, 2), 'SYMMETRIC_DEFAULT');
    const now = Date.parse(later(2 * GRACE_MS));
    const sweeping = worker.sweep(now, GRACE_MS, async () => {});
    await Promise.all([sweeping, run({ type: 'RotateKeyOnDemand' })]);
    await expect(worker.loadBackingKey(ARN, materialIdOf(ARN, 2))).resolves.toBeUndefined();
  });

  test('erases what a crashed rotation of a key that is deleted by now has stored', async () => {
    const { worker, sweep, deleteKey } = await started();
    await worker.create(ARN, materialIdOf(ARN, 2), 'SYMMETRIC_DEFAULT');
    await deleteKey();
    expect(await sweep()).toMatchObject({ erased: 1, kept: 0 });
    await expect(worker.loadBackingKey(ARN, materialIdOf(ARN, 2))).rejects.toMatchObject({
      code: 'KMSInternalException',
    });
  });

  test('keeps material of no known key while the log has not grown: it may have lost the commit that names it', async () => {
    const { worker, run, sweep, later } = await started();
    await worker.create('arn:aws:kms:us-east-1:000000000000:key/never-was', 'f'.repeat(64), 'SYMMETRIC_DEFAULT');
    later(2 * GRACE_MS);
    expect(await sweep()).toMatchObject({ erased: 0, kept: 1 });
    await run({ type: 'DisableKey' });
    expect(await sweep()).toMatchObject({ erased: 1, kept: 0 });
  });

  test('erases material of no known key once it is older than the grace', async () => {
    const { worker, run, sweep, later } = await started();
    await worker.create('arn:aws:kms:us-east-1:000000000000:key/never-was', 'f'.repeat(64), 'SYMMETRIC_DEFAULT');
    await run({ type: 'DisableKey' });
    expect(await sweep()).toMatchObject({ erased: 0, kept: 1 });
    later(GRACE_MS);
    expect(await sweep()).toMatchObject({ erased: 1, kept: 0 });
  });
});

describe('imported material', () => {
  const CREATE: KeyCommand = {
    ...{ type: 'CreateKey', description: '', keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT' },
    ...{ multiRegion: false, policy: '', tags: [], origin: 'EXTERNAL' },
  };

  async function withImport() {
    const all = await started();
    await all.runExternal(CREATE);
    return { ...all, place: await all.bring(MATERIAL) };
  }

  test('is loaded from where its newest copy lies', async () => {
    const { worker, bring, erase, place } = await withImport();
    await worker.loadBackingKey(EXTERNAL_ARN, MATERIAL);
    expect(worker.backingKey(EXTERNAL_ARN, { materialId: MATERIAL, storedAs: place }).keyObject.symmetricKeySize).toBe(
      32,
    );
    const newer = await bring(MATERIAL);
    expect(newer).not.toBe(place);
    await erase(place);
    await worker.loadBackingKey(EXTERNAL_ARN, MATERIAL);
  });

  test('leaves memory with the event that takes it away', async () => {
    const { worker, runExternal, place } = await withImport();
    await worker.loadBackingKey(EXTERNAL_ARN, MATERIAL);
    const copy = { materialId: MATERIAL, storedAs: place };
    expect(worker.backingKey(EXTERNAL_ARN, copy)).toMatchObject({ materialId: MATERIAL });
    await runExternal({ type: 'DeleteImportedKeyMaterial' });
    expect(() => worker.backingKey(EXTERNAL_ARN, copy)).toThrow('material must be loaded first');
  });

  test('is erased only once its key has released it', async () => {
    const { store, runExternal, erase, place } = await withImport();
    await expect(erase(place)).rejects.toMatchObject({ code: 'KMSInternalException' });
    await runExternal({ type: 'DeleteImportedKeyMaterial' });
    await erase(place);
    expect(await store.get(place)).toBeUndefined();
  });

  test('is left alone by the sweep, however old; a copy that was released is not, nor one that was never named', async () => {
    const { store, imports, bring, sweep, later, place } = await withImport();
    const never = await imports.store(EXTERNAL_ARN, 'b'.repeat(64), 'SYMMETRIC_DEFAULT', Buffer.alloc(32));
    const newer = await bring(MATERIAL);
    expect(await sweep()).toMatchObject({ erased: 1, kept: 1, missing: [] });
    expect([await store.get(place), await store.get(never)]).toEqual([undefined, expect.anything()]);
    later(2 * GRACE_MS);
    expect(await sweep()).toMatchObject({ erased: 1, kept: 0 });
    expect([await store.get(never), await store.get(newer)]).toEqual([undefined, expect.anything()]);
  });

  test('that a backup has brought back is erased again', async () => {
    const { store, runExternal, erase, sweep, place } = await withImport();
    const { bytes } = (await store.get(place))!;
    await runExternal({ type: 'DeleteImportedKeyMaterial' });
    await erase(place);
    await runExternal({ type: 'RecordReleasedErased', storedAs: [place] });
    await store.put(place, bytes);
    expect(await sweep()).toMatchObject({ erased: 1 });
    expect(await store.get(place)).toBeUndefined();
  });

  test('of related keys is a copy of each: where one ends, in memory and in the store, the others stay', async () => {
    const { worker, manager, imports, store, sweep, later } = await started();
    const home = { ...REF, id: 'mrk-0123456789abcdef0123456789abcdef' };
    const away = { ...home, region: 'eu-west-1' };
    const arnOf = ({ region, account, id }: typeof home): string => keyArn(region, account, id);
    const call = { ...CALL, now: later(0) };
    const bringTo = async (ref: typeof home) => {
      const storedAs = await imports.store(arnOf(ref), MATERIAL, 'SYMMETRIC_DEFAULT', Buffer.alloc(32, 7));
      await manager.runCommand(ref, { type: 'ImportKeyMaterial', materialId: MATERIAL, storedAs }, call);
      await worker.loadBackingKey(arnOf(ref), MATERIAL);
      return { materialId: MATERIAL, storedAs };
    };
    await manager.runCommand(home, { ...CREATE, multiRegion: true } as KeyCommand, call);
    const here = await bringTo(home);
    const own = { description: '', policy: '', tags: [] };
    const begin = { type: 'BeginReplication', replicaRegion: away.region, generation: 1, ...own } as const;
    await manager.runCommand(home, begin, call);
    await manager.settleRelated(home, call);
    const there = await bringTo(away);
    expect(worker.backingKey(arnOf(home), here).keyArn).toBe(arnOf(home));
    expect(worker.backingKey(arnOf(away), there).keyArn).toBe(arnOf(away));
    expect(() => worker.backingKey(arnOf(away), here)).toThrow('material must be loaded first');

    await manager.runCommand(away, { type: 'DeleteImportedKeyMaterial' }, call);
    expect(() => worker.backingKey(arnOf(away), there)).toThrow('material must be loaded first');
    await expect(worker.loadBackingKey(arnOf(away), MATERIAL)).rejects.toMatchObject({ code: 'KMSInternalException' });
    await expect(worker.destroy(away, here.storedAs)).rejects.toMatchObject({ code: 'KMSInternalException' });
    await worker.destroy(away, there.storedAs);
    expect(worker.backingKey(arnOf(home), here).keyArn).toBe(arnOf(home));
    expect([await store.get(here.storedAs), await store.get(there.storedAs)]).toEqual([expect.anything(), undefined]);
    expect(await sweep()).toMatchObject({ erased: 0, missing: [] });
  });

  test('is named by the sweep where it is missing', async () => {
    const { store, sweep, place } = await withImport();
    await store.erase(place);
    expect(await sweep()).toMatchObject({ missing: [{ owner: EXTERNAL_ARN, materialId: place }] });
  });
});

test('the sweep names material of living keys that is not there', async () => {
  const { sweep, store } = await started();
  expect(await sweep()).toMatchObject({ missing: [] });
  await store.erase(materialIdOf(ARN, 1));
  expect(await sweep()).toMatchObject({ missing: [{ owner: ARN, materialId: materialIdOf(ARN, 1) }] });
});

test('a log that is shorter than it was when material was stored is refused', async () => {
  const { worker, run } = await started();
  await run({ type: 'RotateKeyOnDemand' });
  await expect(worker.checkLog(async () => 2)).resolves.toBeUndefined();
  await expect(worker.checkLog(async () => 1)).resolves.toBeUndefined();
  await expect(worker.checkLog(async () => 0)).rejects.toThrow(
    'the event log ends at position 0, but key material was stored when it had reached 1',
  );
});

test('a log that others write to while it is checked is not taken for a shorter one', async () => {
  const { worker, run } = await started();
  await run({ type: 'RotateKeyOnDemand' });
  const answeredLate = async (): Promise<number> => {
    await run({ type: 'RotateKeyOnDemand' });
    await run({ type: 'RotateKeyOnDemand' });
    return 2;
  };
  await expect(worker.checkLog(answeredLate)).resolves.toBeUndefined();
});

describe('the material of multi-Region keys', () => {
  const HOME: AggregateRef<'key'> = { ...REF, id: 'mrk-0123456789abcdef0123456789abcdef' };
  const AWAY: AggregateRef<'key'> = { ...HOME, region: 'eu-west-1' };
  const OWNER = `arn:aws:kms::${REF.account}:key/${HOME.id}`;

  /** A primary that was rotated, and its replica. */
  async function startedWithReplica() {
    const one = await started();
    const ask = (ref: AggregateRef<'key'>, command: KeyCommand) =>
      one.manager.runCommand(ref, command, { ...CALL, now: one.later(0) });
    const own = { description: '', policy: '{}', tags: [] };
    const kind = { keyUsage: 'ENCRYPT_DECRYPT', keySpec: 'SYMMETRIC_DEFAULT', multiRegion: true } as const;
    await ask(HOME, { type: 'CreateKey', ...own, ...kind });
    await ask(HOME, { type: 'BeginReplication', ...own, replicaRegion: AWAY.region, generation: 1 });
    const settle = () => one.manager.settleRelated(HOME, { ...CALL, now: one.later(0) });
    await settle();
    await ask(HOME, { type: 'RotateKeyOnDemand' });
    return { ...one, ask, settle };
  }
  const ids = [materialIdOf(OWNER, 1), materialIdOf(OWNER, 2)];

  test('is one, whose it is without a region, and is needed once', async () => {
    const { vault, worker, projection } = await startedWithReplica();
    expect((await vault.list()).map(({ materialId }) => materialId)).toEqual(expect.arrayContaining(ids));
    for (const id of ids) expect((await vault.load(OWNER, id)).keyArn).toBe(OWNER);
    const needed = [...neededMaterial(projection)].filter(({ owner }) => owner === OWNER);
    expect(needed.map(({ materialId }) => materialId)).toEqual(ids);
    await expect(worker.loadBackingKey(OWNER, ids[1]!)).resolves.toBeUndefined();
    expect(worker.backingKey(OWNER, { materialId: ids[1]! }).materialId).toBe(ids[1]);
  });

  test('stays when a replica is deleted, whatever is asked, and goes with the primary', async () => {
    const { ask, settle, later, sweep, vault, worker } = await startedWithReplica();
    const stored = async () => (await vault.list()).filter(({ materialId }) => ids.includes(materialId)).length;
    await settle();
    const goes = async (ref: AggregateRef<'key'>) => {
      await ask(ref, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 });
      await ask(ref, { type: 'FireDeletion', deadline: later(7 * DAY_MS) });
    };
    await goes(AWAY);
    for (const id of ids) await expect(worker.destroy(AWAY, id)).rejects.toThrow('not known to be deleted');
    await settle();
    expect(await sweep()).toMatchObject({ erased: 0, missing: [] });
    expect(await stored()).toBe(2);
    await goes(HOME);
    for (const id of ids) await worker.destroy(HOME, id);
    expect(await stored()).toBe(0);
  });
});
