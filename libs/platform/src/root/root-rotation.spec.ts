import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { livingEpochs, type RootCommand, rootAggregate } from '#domain/root/root';
import { decodeRecord } from '#hsm/material-record';
import { MaterialVault } from '#hsm/material-vault';
import { MemoryMaterialStore } from '#hsm/memory-material-store';
import { SoftwareHsmProvider } from '#hsm/software-provider';
import { followRoot } from './root-in-use';
import { RootRotation } from './root-rotation';

const OWNER = 'arn:aws:iam::000000000000:user/ann';
const TIME = '2026-12-01T00:00:00.000Z';
const idOf = (nth: number): string => String(nth).padStart(2, '0').repeat(32);

let folder: string;
let store: MemoryMaterialStore;
let provider: SoftwareHsmProvider;
let vault: MaterialVault;
/** What was done, in order. */
let steps: string[];
let root = rootAggregate.initial;
let listeners: (() => void)[];
/** Called while a command is being appended, before it returns. */
let during: (command: RootCommand['type']) => Promise<void>;
let sweeps: () => Promise<void>;
let rotation: RootRotation;

/** As the key-manager does, and every crypto-worker. */
async function append(_ref: unknown, command: RootCommand): Promise<void> {
  const place = { region: 'global', account: 'keytrail', id: 'root', now: TIME };
  const events = rootAggregate.decide(command, root, place);
  steps.push(events[0]?.type ?? `nothing for ${command.type}`);
  for (const event of events) root = rootAggregate.evolve(root, event, TIME);
  for (const listener of listeners) listener();
  await during(command.type);
}

const newRotation = (failPoint: (name: string) => void = () => {}): RootRotation =>
  new RootRotation({
    ...{ instance: 'one', provider, vault, failPoint },
    view: {
      projection: {
        get root() {
          return root;
        },
      } as never,
    },
    commands: { append: append as never },
    caughtUp: async () => {},
    sweep: () => sweeps(),
    clock: { now: () => Date.parse(TIME) },
  });

const rotated = async (one = rotation): Promise<void> => {
  one.go(await one.prepare());
  while ((await one.status()).progress) await new Promise((resume) => setImmediate(resume));
};
const epochs = async (): Promise<number[]> => {
  const found: number[] = [];
  for (let copy = await store.next(0); copy; copy = await store.next(copy.sequence)) {
    found.push(decodeRecord(copy.bytes).wrapped.epoch);
  }
  return [...new Set(found)];
};
/** As a crypto-worker does that has not heard of the rotation. */
async function storeUnder(old: SoftwareHsmProvider, nth: number): Promise<void> {
  (await new MaterialVault(old, store).createAccessKey(OWNER, idOf(nth), 30)).fill(0);
}
const openOld = (): SoftwareHsmProvider =>
  SoftwareHsmProvider.open({ rootKeyFile: join(folder, 'root-key.json'), mayCreate: false });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'root-rotation-'));
  store = new MemoryMaterialStore();
  provider = SoftwareHsmProvider.open({ rootKeyFile: join(folder, 'root-key.json'), mayCreate: true });
  root = rootAggregate.initial;
  steps = [];
  listeners = [];
  during = async () => {};
  sweeps = async () => void steps.push('swept');
  vault = new MaterialVault(provider, store, { epochs: () => livingEpochs(root) });
  const view = {
    projection: {
      get root() {
        return root;
      },
    },
    onCommit: (listener: (commit: never, position: number) => void) =>
      void listeners.push(() => listener({ aggregate: 'root' } as never, 1)),
  };
  const observed = {
    use: (key: { epoch: number; id: string }) => provider.use(key),
    async destroyEpoch(epoch: number) {
      steps.push(`destroyed here ${epoch}`);
      await provider.destroyEpoch(epoch);
    },
  };
  followRoot(view as never, observed, (error) => steps.push(String(error)));
  await vault.verifyRoot();
  for (const nth of [1, 2, 3]) (await vault.createAccessKey(OWNER, idOf(nth), 30)).fill(0);
  rotation = newRotation();
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a rotation of the root key', () => {
  test('takes its steps in order', async () => {
    await rotated();
    expect(steps).toEqual([
      ...['RootRotationBegun', 'swept', 'RootEpochRetired', 'RootEpochDestroyed', 'destroyed here 1'],
    ]);
    expect(await epochs()).toEqual([2]);
    expect(root).toMatchObject({ rootState: 'Rotated', key: { epoch: 2 } });
    expect(await rotation.status()).toMatchObject({ instance: 'one', provider: 'software', epoch: 2, root });
  });

  test.each<RootCommand['type']>(['BeginRootRotation', 'RetireRootEpoch'])(
    'finds what is stored under the old epoch until every crypto-worker has applied %s',
    async (type) => {
      const old = openOld();
      during = async (command) => {
        if (command === type) await storeUnder(old, 9);
      };
      await rotated();
      expect(await epochs()).toEqual([2]);
      expect(await vault.loadAccessKey(OWNER, idOf(9))).toHaveLength(30);
    },
  );

  test('does not go on to the next step while one is not appended', async () => {
    during = async (command) => {
      if (command === 'BeginRootRotation') throw new Error('the log is out of reach');
    };
    await rotated();
    expect((await rotation.status()).failure).toBe('the log is out of reach');
    expect(steps).toEqual(['RootRotationBegun']);
    expect(await epochs()).toEqual([1]);
    // Begun it is: gone on with, it waits for every crypto-worker all the same.
    during = async () => {};
    await rotated();
    expect(steps.slice(1, 4)).toEqual(['nothing for BeginRootRotation', 'swept', 'RootEpochRetired']);
    expect((await rotation.status()).failure).toBeUndefined();
  });

  test('names what cannot be opened, and destroys nothing', async () => {
    const record = Buffer.from((await store.get(idOf(2)))!.bytes);
    await store.erase(idOf(2));
    await store.put(idOf(2), record.fill(0x41, record.length - 20, record.length - 10));
    await rotated();
    expect((await rotation.status()).failure).toMatch(`material ${idOf(2)} of ${OWNER} cannot be unwrapped`);
    expect(steps).toEqual(['RootRotationBegun']);
    await expect(provider.check({ epoch: 1, id: '' })).resolves.toBeUndefined();
  });

  test('is not begun anew by whoever comes late, and is one for two who ask at once', async () => {
    const other = newRotation();
    const [prepared, again] = await Promise.all([rotation.prepare(), other.prepare()]);
    expect(again).toEqual(prepared);
    rotation.go(prepared);
    other.go(prepared);
    rotation.go(prepared);
    for (const each of [rotation, other]) {
      while ((await each.status()).progress) await new Promise((resume) => setImmediate(resume));
      expect((await each.status()).failure).toBeUndefined();
    }
    expect(root).toMatchObject({ rootState: 'Rotated', key: prepared.key });
    expect(await epochs()).toEqual([2]);
    other.go(prepared);
    while ((await other.status()).progress) await new Promise((resume) => setImmediate(resume));
    expect(root).toMatchObject({ rootState: 'Rotated', key: prepared.key });
  });

  test('says whether a key that it is asked about can be used', async () => {
    const { key } = await rotation.prepare();
    expect(await rotation.status(key)).not.toHaveProperty('without');
    expect(await rotation.status({ ...key, id: 'another' })).toMatchObject({
      without: expect.stringContaining('no such root key of epoch 2'),
    });
  });

  test('ends with the process, and says nothing of it', async () => {
    const failures: unknown[] = [];
    rotation.onFailure = (error) => failures.push(error);
    rotation.stop();
    await rotated();
    expect(failures).toEqual([]);
    expect(root.rootState).toBe('Rotating');
    await rotated(newRotation());
    expect(root.rootState).toBe('Rotated');
  });

  test('of a root key from the environment is refused, with what to do', async () => {
    provider = SoftwareHsmProvider.open({ rootKeyBase64: Buffer.alloc(32, 1).toString('base64'), mayCreate: false });
    await expect(newRotation().prepare()).rejects.toMatchObject({
      code: 'ValidationException',
      message: expect.stringContaining('the root key is in KEYTRAIL_ROOT_KEY, which Keytrail cannot change'),
    });
  });
});
