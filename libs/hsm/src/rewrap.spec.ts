import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keyArn } from '#domain/arn';
import type { HsmProvider } from './hsm-provider';
import { decodeRecord, encodeRecord, recordAad } from './material-record';
import { MaterialVault } from './material-vault';
import { MemoryMaterialStore } from './memory-material-store';
import { WrongRootKeyError } from './root-canary';
import { MaterialUnusableError, type StoringTenure } from './sealed-materials';
import { SoftwareHsmProvider } from './software-provider';

const ARN = keyArn('eu-central-1', '000000000000', '1234abcd-12ab-34cd-56ef-1234567890ab');
const ALICE = 'arn:aws:iam::000000000000:user/alice';
const ids = ['aa', 'bb', 'cc'].map((byte) => byte.repeat(32));
const [ID, SECOND, SECRET] = ids as [string, string, string];
const never = new AbortController().signal;

let folder: string;
let provider: SoftwareHsmProvider;
let store: MemoryMaterialStore;
/** What the log says. */
let epochs: readonly number[];
/** Called with the name of each fail-point. */
let at: (name: string) => void | Promise<void>;
let tenure: () => StoringTenure | undefined;
let vault: MaterialVault;

const vaultWith = (root: HsmProvider, known: () => readonly number[] = () => epochs): MaterialVault =>
  new MaterialVault(root, store, { epochs: known, failPoint: (name) => at(name), tenure: () => tenure() });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rewrap-'));
  provider = SoftwareHsmProvider.open({ rootKeyFile: join(folder, 'root-key.json'), mayCreate: true });
  store = new MemoryMaterialStore();
  epochs = [];
  at = () => {};
  tenure = () => undefined;
  vault = vaultWith(provider);
  await vault.verifyRoot();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As RootRotationBegun does. */
async function begin(to: number): Promise<void> {
  provider.use(await provider.makeEpoch(to));
  epochs = [to, to - 1];
}
/** As RootEpochRetired and RootEpochDestroyed do. */
async function end(to: number): Promise<void> {
  await provider.destroyEpoch(to - 1);
  epochs = [to];
}
async function rotate(to: number): Promise<void> {
  await begin(to);
  expect((await vault.rewrap(to - 1, to).pass(never)).unusable).toEqual([]);
  expect(await vault.rewrap(to - 1, to).left(never)).toBe(0);
  await end(to);
}

const keyBytes = async (id: string): Promise<Buffer> => (await vault.load(ARN, id)).keyObject.export();
const places = async (): Promise<string[]> =>
  (await store.list()).map(({ materialId, epoch }) => `${materialId.slice(0, 12)} ${epoch ?? 'first'}`).sort();
/** With other letters in its base64. */
const altered = (record: Uint8Array): Buffer => {
  const bytes = Buffer.from(record);
  return bytes.fill(0x41, bytes.length - 20, bytes.length - 10);
};
const epochAt = async (id: string, place?: number): Promise<number> =>
  decodeRecord((await store.get(id, place))!.bytes).wrapped.epoch;

describe('a rotation of the root key', () => {
  test('moves whatever is stored, and what it was stays the same', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await vault.storeImported(ARN, SECOND, 'HMAC_256', Buffer.alloc(32, 7));
    const secret = await vault.createAccessKey(ALICE, SECRET, 30);
    const seed = await vault.own.tokenSeed(32);
    const sealing = await vault.own.auditKey({ account: '000000000000', month: '2026-12', generation: 1 });
    const key = await keyBytes(ID);
    await rotate(2);
    vault.evict(ID);
    expect(await keyBytes(ID)).toEqual(key);
    expect(await keyBytes(SECOND)).toEqual(Buffer.alloc(32, 7));
    expect(await vault.loadAccessKey(ALICE, SECRET)).toEqual(secret);
    expect(await vault.own.tokenSeed(32)).toEqual(seed);
    expect(await vault.own.auditKey({ account: '000000000000', month: '2026-12', generation: 1 })).toEqual(sealing);
    expect(await places()).toEqual([
      ...['aaaaaaaaaaaa 2', 'audit-key-00 2', 'bbbbbbbbbbbb 2', 'cccccccccccc 2', 'root-epoch-2 first'],
      'token-seed-1 2',
    ]);
  });

  test('leaves alone what was made since it was begun, and lists each material once', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await begin(2);
    await vault.create(ARN, SECOND, 'SYMMETRIC_DEFAULT');
    const rewrap = vault.rewrap(1, 2);
    expect(await rewrap.left(never)).toBe(2);
    await rewrap.pass(never);
    expect(await rewrap.left(never)).toBe(0);
    expect(await places()).toEqual(['aaaaaaaaaaaa 2', 'bbbbbbbbbbbb first', 'root-epoch-2 first']);
    expect((await vault.list()).map(({ materialId }) => materialId)).toEqual([SECOND, ID]);
    await end(2);
    await rotate(3);
    expect(await places()).toEqual(['aaaaaaaaaaaa 3', 'bbbbbbbbbbbb 3', 'root-epoch-3 first']);
  });

  test.each(['before-store', 'after-store', 'before-erase', 'after-erase'])(
    'that ends %s goes on where it was',
    async (point) => {
      await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
      await vault.create(ARN, SECOND, 'SYMMETRIC_DEFAULT');
      const before = [await keyBytes(ID), await keyBytes(SECOND)];
      await begin(2);
      at = (name) => {
        if (name === `${point}:rewrapped`) throw new Error('crash');
      };
      await expect(vault.rewrap(1, 2).pass(never)).rejects.toThrow('crash');
      at = () => {};
      vault = vaultWith(provider);
      await expect(vault.verifyRoot()).resolves.toBeUndefined();
      expect([await keyBytes(ID), await keyBytes(SECOND)]).toEqual(before);
      await rotate(2);
      vault = vaultWith(provider);
      expect([await keyBytes(ID), await keyBytes(SECOND)]).toEqual(before);
      expect(await places()).toEqual(['aaaaaaaaaaaa 2', 'bbbbbbbbbbbb 2', 'root-epoch-2 first']);
    },
  );

  test('may be made by several processes at once', async () => {
    for (const id of ids) await vault.create(ARN, id, 'SYMMETRIC_DEFAULT');
    const before = await Promise.all(ids.map(keyBytes));
    await begin(2);
    await Promise.all([1, 2, 3].map(() => vaultWith(provider).rewrap(1, 2).pass(never)));
    await end(2);
    vault = vaultWith(provider);
    expect(await Promise.all(ids.map(keyBytes))).toEqual(before);
    expect(await store.count()).toBe(4);
  });

  test('never erases a copy whose successor does not open', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await begin(2);
    const put = store.put.bind(store);
    store.put = (id, bytes, position, epoch) => put(id, epoch === undefined ? bytes : altered(bytes), position, epoch);
    const { unusable } = await vault.rewrap(1, 2).pass(never);
    expect(unusable).toEqual([expect.stringContaining(`material ${ID} of ${ARN} cannot be unwrapped`)]);
    expect(await vault.rewrap(1, 2).left(never)).toBe(1);
    expect(await epochAt(ID)).toBe(1);
  });

  test('never erases a copy whose successor is something else', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await begin(2);
    at = async (name) => {
      if (name !== 'before-store:rewrapped') return;
      const wrapped = await provider.wrap(Buffer.alloc(32), recordAad('AES_256', ARN, ID));
      await store.put(ID, encodeRecord({ type: 'AES_256', keyArn: ARN, wrapped }), 0, 2);
    };
    await expect(vault.rewrap(1, 2).pass(never)).rejects.toThrow('what was read back is not what was stored');
    expect(await epochAt(ID)).toBe(1);
  });

  test('names what it cannot open, moves the rest, and does not take it for done', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await vault.create(ARN, SECOND, 'SYMMETRIC_DEFAULT');
    const record = (await store.get(ID))!.bytes;
    await store.erase(ID);
    await store.put(ID, altered(record));
    await begin(2);
    const { unusable } = await vault.rewrap(1, 2).pass(never);
    expect(unusable).toEqual([expect.stringContaining(`material ${ID} of ${ARN} cannot be unwrapped`)]);
    expect(await vault.rewrap(1, 2).left(never)).toBe(1);
    expect(await epochAt(SECOND, 2)).toBe(2);
  });

  test('ends where it is told to, before the next material', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await begin(2);
    await expect(vault.rewrap(1, 2).pass(AbortSignal.abort())).rejects.toThrow();
    expect(await epochAt(ID)).toBe(1);
  });
});

describe('material that is erased while it is being moved', () => {
  test.each(['before-store:rewrapped', 'after-store:rewrapped', 'before-erase:rewrapped', 'after-erase:rewrapped'])(
    'at %s is gone, or the rotation says that it has to be looked for',
    async (point) => {
      await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
      await begin(2);
      const other = vaultWith(provider);
      at = async (name) => {
        if (name !== point) return;
        at = () => {};
        await other.destroy(ID);
      };
      const { erasedMeanwhile } = await vault.rewrap(1, 2).pass(never);
      const left = (await places()).filter((place) => place.startsWith('aa'));
      expect(left.length === 0 || erasedMeanwhile).toBe(true);
      // The sweep does it, by what the log says.
      await vault.destroy(ID);
      expect((await places()).filter((place) => place.startsWith('aa'))).toEqual([]);
    },
  );
});

describe('what is read while a rotation goes on', () => {
  test('is found, moved or not, by a process that has heard of it', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const key = await keyBytes(ID);
    await begin(2);
    const others: Promise<Buffer>[] = [];
    at = () => {
      others.push(
        vaultWith(provider)
          .load(ARN, ID)
          .then(({ keyObject }) => keyObject.export()),
      );
    };
    await vault.rewrap(1, 2).pass(never);
    expect(others.length).toBeGreaterThanOrEqual(4);
    for (const other of others) expect(await other).toEqual(key);
  });

  test('is looked for once more where it is moved between two looks', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const key = await keyBytes(ID);
    await begin(2);
    const get = store.get.bind(store);
    store.get = async (id, epoch) => {
      // The new place is looked at before the move, the old one after it.
      const found = await get(id, epoch);
      if (id !== ID || epoch !== undefined) return found;
      store.get = get;
      await vault.rewrap(1, 2).pass(never);
      return get(id, epoch);
    };
    expect((await vaultWith(provider).load(ARN, ID)).keyObject.export()).toEqual(key);
    expect(await store.get(ID)).toBeUndefined();
  });

  test('is read anew where its epoch was destroyed on the way', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const key = await keyBytes(ID);
    await begin(2);
    const slow = vaultWith(provider);
    const get = store.get.bind(store);
    let reads = 0;
    store.get = async (id, epoch) => {
      const found = await get(id, epoch);
      if (id === ID && epoch === undefined && ++reads === 1) {
        // It holds the old copy, when all the rest happens.
        store.get = get;
        await rotate(2);
      }
      return found;
    };
    expect((await slow.load(ARN, ID)).keyObject.export()).toEqual(key);
    expect(reads).toBe(1);
  });

  test('is made once, although it was made before the rotation and moved by it', async () => {
    const seed = await vault.own.tokenSeed(32);
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const key = await keyBytes(ID);
    await rotate(2);
    vault = vaultWith(provider);
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(await keyBytes(ID)).toEqual(key);
    expect(await vault.own.tokenSeed(32)).toEqual(seed);
    expect(await places()).toEqual(['aaaaaaaaaaaa 2', 'root-epoch-2 first', 'token-seed-1 2']);
  });
});

describe('storing, over a rotation', () => {
  test('holds its tenure from before the wrapping to after the storing, and is refused once that is over', async () => {
    const steps: string[] = [];
    const put = store.put.bind(store);
    store.put = async (...given) => {
      steps.push('stored');
      return put(...given);
    };
    const wrap = provider.wrap.bind(provider);
    provider.wrap = (...given) => {
      steps.push('wrapped');
      return wrap(...given);
    };
    let over = false;
    tenure = () => {
      steps.push('begun');
      return {
        assertNotOver() {
          steps.push('asked');
          if (over) throw new Error('over');
        },
        end: () => void steps.push('ended'),
      };
    };
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(steps).toEqual(['begun', 'wrapped', 'stored', 'asked', 'ended']);
    over = true;
    await expect(vault.create(ARN, SECOND, 'SYMMETRIC_DEFAULT')).rejects.toThrow();
    expect(steps.slice(5)).toEqual(['begun', 'wrapped', 'stored', 'asked', 'ended']);
  });

  test('puts new material in place of what a process left that was held up until its epoch was destroyed', async () => {
    // It wraps, and does not hear of the rotation.
    const held = vaultWith(provider, () => []);
    const put = store.put.bind(store);
    store.put = async (...given) => {
      store.put = put;
      await rotate(2);
      return put(...given);
    };
    await held.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(await epochAt(ID)).toBe(1);
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(await epochAt(ID)).toBe(2);
    expect(await keyBytes(ID)).toHaveLength(32);
  });

  test('of what is beside a moved copy changes nothing: the moved one counts, and the next rotation clears it away', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const key = await keyBytes(ID);
    await rotate(2);
    const unaware = vaultWith(provider, () => []);
    await unaware.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(await places()).toEqual(['aaaaaaaaaaaa 2', 'aaaaaaaaaaaa first', 'root-epoch-2 first']);
    await rotate(3);
    expect(await places()).toEqual(['aaaaaaaaaaaa 3', 'root-epoch-3 first']);
    vault.evict(ID);
    expect(await keyBytes(ID)).toEqual(key);
  });
});

describe('an old copy of the store', () => {
  test('is named for what it is, and nothing in it opens', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const old = new MemoryMaterialStore();
    for (const { materialId } of await store.list()) await old.put(materialId, (await store.get(materialId))!.bytes);
    await rotate(2);
    store = old;
    for (const known of [epochs, []]) {
      epochs = known;
      const restored = vaultWith(provider);
      await expect(restored.verifyRoot()).rejects.toThrow(WrongRootKeyError);
      await expect(restored.verifyRoot()).rejects.toThrow(
        'the stream KMS_MATERIAL is a copy from before a rotation of the root key: it holds 2 materials of epoch 1, and the root key is of epoch 2',
      );
      await expect(restored.load(ARN, ID)).rejects.toMatchObject({ code: 'KMSInternalException' });
      await expect(restored.assertUsable('AES_256', ARN, ID)).rejects.toThrow(MaterialUnusableError);
    }
  });

  test('of one material is named, too', async () => {
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const { bytes } = (await store.get(ID))!;
    await rotate(2);
    await store.erase(ID, 2);
    await store.put(ID, bytes);
    await expect(vault.assertUsable('AES_256', ARN, ID)).rejects.toThrow(
      `material ${ID} of ${ARN} is wrapped under epoch 1 of the root key, which was destroyed: it is from a copy of KMS_MATERIAL from before the rotation to epoch 2`,
    );
  });

  test('of the root key is told from one of the store', async () => {
    const old = await vault.own.tokenSeed(32);
    expect(old).toHaveLength(32);
    const [begun] = [SoftwareHsmProvider.open({ rootKeyFile: join(folder, 'root-key.json'), mayCreate: false })];
    await rotate(2);
    epochs = [];
    await expect(vaultWith(begun!).verifyRoot()).rejects.toThrow(
      'the root key is of epoch 1, but the store holds 2 materials of epoch 2: the root key is a copy from before a rotation',
    );
  });
});
