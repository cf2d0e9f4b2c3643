import { keyArn } from '#domain/arn';
import { materialIdOf } from '#domain/key/material-id';
import { type HsmProvider, HsmUnavailableError } from './hsm-provider';
import { decodeRecord } from './material-record';
import { MaterialStoreUnavailableError } from './material-store';
import { MaterialVault, type VaultOptions } from './material-vault';
import { MemoryMaterialStore } from './memory-material-store';
import { WrongRootKeyError } from './root-canary';
import { MaterialUnusableError } from './sealed-materials';
import { SoftwareHsmProvider } from './software-provider';

const ARN = keyArn('eu-central-1', '000000000000', '1234abcd-12ab-34cd-56ef-1234567890ab');
const OTHER_ARN = keyArn('eu-central-1', '000000000000', '99999999-12ab-34cd-56ef-1234567890ab');
const ID = materialIdOf(ARN, 1);
const idOf = (version: number): string => materialIdOf(ARN, version);

const providerOf = (fill: number): SoftwareHsmProvider =>
  SoftwareHsmProvider.open({ rootKeyBase64: Buffer.alloc(32, fill).toString('base64'), mayCreate: false });

/** A store whose reads wait until the test lets them go on. */
class HeldStore extends MemoryMaterialStore {
  reads = 0;
  private release: (() => void) | undefined;
  private held: Promise<void> | undefined;

  hold(): () => void {
    this.held = new Promise((resolve) => {
      this.release = resolve;
    });
    return () => this.release?.();
  }

  override async get(materialId: string) {
    this.reads += 1;
    const found = await super.get(materialId);
    await this.held;
    return found;
  }
}

function vaultOn(store = new HeldStore(), options: VaultOptions = {}, provider: HsmProvider = providerOf(1)) {
  return { store, vault: new MaterialVault(provider, store, options) };
}

const internal = (message: RegExp) =>
  expect.objectContaining({ code: 'KMSInternalException', message: expect.stringMatching(message) });

describe('the material vault', () => {
  it('creates 32 bytes that load again, in this process and in the next', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const backingKey = await vault.load(ARN, ID);
    expect(backingKey).toMatchObject({ materialId: ID, keyArn: ARN });
    expect(backingKey.keyObject.symmetricKeySize).toBe(32);
    const next = vaultOn(store).vault;
    expect((await next.load(ARN, ID)).keyObject.equals(backingKey.keyObject)).toBe(true);
  });

  it('stores the material only wrapped', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const material = (await vault.load(ARN, ID)).keyObject.export();
    const record = (await store.get(ID))!.bytes;
    const stored = Buffer.concat([Buffer.from(record), Buffer.from(decodeRecord(record).wrapped.ciphertext)]);
    for (const form of [material, material.toString('base64'), material.toString('hex')]) {
      expect(stored.includes(form)).toBe(false);
    }
  });

  it('keeps the first material when it is created again', async () => {
    const { vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const first = (await vault.load(ARN, ID)).keyObject;
    vault.evict(ID);
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect((await vault.load(ARN, ID)).keyObject.equals(first)).toBe(true);
  });

  it('makes other material for every id', async () => {
    const { vault } = vaultOn();
    await Promise.all([
      vault.create(ARN, idOf(1), 'SYMMETRIC_DEFAULT'),
      vault.create(ARN, idOf(2), 'SYMMETRIC_DEFAULT'),
    ]);
    const [one, two] = await Promise.all([vault.load(ARN, idOf(1)), vault.load(ARN, idOf(2))]);
    expect(one.keyObject.equals(two.keyObject)).toBe(false);
  });

  it('has a key in memory once it was loaded, not before', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(vault.peek(ID)).toBeUndefined();
    const loaded = await vault.load(ARN, ID);
    expect(vault.peek(ID)).toBe(loaded);
    expect(await vault.load(ARN, ID)).toBe(loaded);
    expect(store.reads).toBe(1);
  });

  it('reads the store once for all who ask at the same time', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const loaded = await Promise.all(Array.from({ length: 5 }, () => vault.load(ARN, ID)));
    expect(store.reads).toBe(1);
    expect(new Set(loaded).size).toBe(1);
  });

  it('keeps no more keys in memory than it may', async () => {
    const { vault } = vaultOn(undefined, { cachedKeys: 2 });
    for (const version of [1, 2, 3]) {
      await vault.create(ARN, idOf(version), 'SYMMETRIC_DEFAULT');
      await vault.load(ARN, idOf(version));
    }
    expect([1, 2, 3].map((version) => vault.peek(idOf(version)) !== undefined)).toEqual([false, true, true]);
  });

  it('reads the store again after a load that failed', async () => {
    const { vault } = vaultOn();
    await expect(vault.load(ARN, ID)).rejects.toThrow(internal(/missing/));
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    expect(await vault.load(ARN, ID)).toMatchObject({ materialId: ID });
  });

  it('destroys: gone from memory and from the store, as often as asked', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await vault.load(ARN, ID);
    await vault.destroy(ID);
    await vault.destroy(ID);
    expect(vault.peek(ID)).toBeUndefined();
    expect(await store.get(ID)).toBeUndefined();
    await expect(vault.load(ARN, ID)).rejects.toThrow(internal(/missing/));
  });

  it('lets a load that is under way not bring back what was destroyed', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const release = store.hold();
    const loading = vault.load(ARN, ID);
    await vault.destroy(ID);
    release();
    await loading;
    expect(vault.peek(ID)).toBeUndefined();
  });

  it('loads material only for the key that it was made for', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await expect(vault.load(OTHER_ARN, ID)).rejects.toThrow(internal(/cannot be unwrapped/));
    await vault.load(ARN, ID);
    await expect(vault.load(OTHER_ARN, ID)).rejects.toThrow(internal(/another key/));
    await store.put(idOf(2), (await store.get(ID))!.bytes);
    await expect(vault.load(ARN, idOf(2))).rejects.toThrow(internal(/cannot be unwrapped/));
  });

  it.each([
    ['no record', 'garbage'],
    ['null', 'null'],
    ['a later schema', '{"schema":2}'],
    ['a record without its parts', '{"schema":1,"type":"AES_256"}'],
  ])('answers with an internal error for %s', async (_what, content) => {
    const { store, vault } = vaultOn();
    await store.put(ID, Buffer.from(content));
    await expect(vault.load(ARN, ID)).rejects.toThrow(internal(/cannot be unwrapped/));
  });

  it('names key and material to the log, and not to the caller', async () => {
    const { store, vault } = vaultOn();
    const named = (problem: string) => ({
      message: expect.not.stringContaining(ID),
      cause: new MaterialUnusableError(ARN, ID, problem),
    });
    await expect(vault.load(ARN, ID)).rejects.toMatchObject(named('is missing'));
    await expect(vault.loadAccessKey(ARN, ID)).rejects.toMatchObject(named('is missing'));
    await store.put(ID, Buffer.from('garbage'));
    await expect(vault.load(ARN, ID)).rejects.toMatchObject(named('cannot be unwrapped: not a material record'));
  });

  it('tells usable material from what is missing, altered or of another kind', async () => {
    const { store, vault } = vaultOn();
    await expect(vault.assertUsable('AES_256', ARN, ID)).rejects.toThrow(`material ${ID} of ${ARN} is missing`);
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await expect(vault.assertUsable('AES_256', ARN, ID)).resolves.toBeUndefined();
    await expect(vault.assertUsable('ACCESS_KEY', ARN, ID)).rejects.toThrow(/cannot be unwrapped: altered/);
    const bytes = Buffer.from((await store.get(ID))!.bytes);
    const at = bytes.indexOf('"ciphertext":"') + 20;
    bytes[at] = bytes[at] === 0x41 ? 0x42 : 0x41;
    await store.erase(ID);
    await store.put(ID, bytes);
    await expect(vault.assertUsable('AES_256', ARN, ID)).rejects.toThrow(/cannot be unwrapped: altered/);
  });

  it('says that it takes too long, and keeps the reason to itself, when provider or store are out of reach', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    store.get = async () => {
      throw new MaterialStoreUnavailableError('nats://10.0.0.1');
    };
    const cause = expect.any(MaterialStoreUnavailableError);
    await expect(vault.load(ARN, ID)).rejects.toEqual(
      expect.objectContaining({
        code: 'DependencyTimeoutException',
        message: expect.not.stringMatching('nats'),
        cause,
      }),
    );
    await vault.close();
    await expect(vault.create(ARN, ID, 'SYMMETRIC_DEFAULT')).rejects.toMatchObject({
      code: 'DependencyTimeoutException',
      cause: expect.any(HsmUnavailableError),
    });
  });

  it('forgets every key when it closes', async () => {
    const { vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await vault.load(ARN, ID);
    await vault.close();
    expect(vault.peek(ID)).toBeUndefined();
  });

  it('wipes the bytes that the provider handed out', async () => {
    const handedOut: Buffer[] = [];
    const provider = providerOf(1);
    const { random, unwrap } = provider;
    provider.random = async (length) => keep(await random.call(provider, length));
    provider.unwrap = async (wrapped, aad) => keep(await unwrap.call(provider, wrapped, aad));
    const keep = (bytes: Buffer): Buffer => {
      handedOut.push(bytes);
      return bytes;
    };
    const { vault } = vaultOn(undefined, {}, provider);
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    const { keyObject } = await vault.load(ARN, ID);
    expect(handedOut).toEqual([Buffer.alloc(32), Buffer.alloc(32)]);
    expect(keyObject.export()).not.toEqual(Buffer.alloc(32));
  });

  it('passes its fail-points around each store and each erase', async () => {
    const seen: string[] = [];
    const { store, vault } = vaultOn(undefined, {
      failPoint: async (name) => {
        seen.push(`${name}: ${(await store.list()).length}`);
      },
    });
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await vault.destroy(ID);
    expect(seen).toEqual([
      'before-store:material: 0',
      'after-store:material: 1',
      'before-erase:material: 1',
      'after-erase:material: 0',
    ]);
  });
});

describe('the check of the root key', () => {
  it('leaves a canary at the first start and passes at each later one', async () => {
    const { store, vault } = vaultOn();
    await vault.verifyRoot();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await vaultOn(store).vault.verifyRoot();
    expect((await store.list()).map(({ materialId }) => materialId)).toEqual(['root-epoch-1', ID]);
    expect((await vault.list()).map(({ materialId }) => materialId)).toEqual([ID]);
  });

  it('refuses another root key, and says what to restore', async () => {
    const { store, vault } = vaultOn();
    await vault.verifyRoot();
    const next = vaultOn(store, {}, providerOf(2)).vault;
    await expect(next.verifyRoot()).rejects.toThrow(WrongRootKeyError);
    await expect(next.verifyRoot()).rejects.toThrow(/restore the root key file/);
  });

  it('refuses a store with materials but no canary for this epoch', async () => {
    const { store, vault } = vaultOn();
    await vault.create(ARN, ID, 'SYMMETRIC_DEFAULT');
    await expect(vault.verifyRoot()).rejects.toThrow(WrongRootKeyError);
    expect(await store.get('root-epoch-1')).toBeUndefined();
  });

  it('lets only one of two root keys begin an empty store', async () => {
    const store = new HeldStore();
    const vaults = [1, 2].map((fill) => vaultOn(store, {}, providerOf(fill)).vault);
    const outcomes = await Promise.allSettled(vaults.map((vault) => vault.verifyRoot()));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('passes where another process with the same root key begins the store meanwhile', async () => {
    const store = new (class extends HeldStore {
      begun = false;
      override async list() {
        if (!this.begun) {
          this.begun = true;
          const first = vaultOn(store).vault;
          await first.verifyRoot();
          await first.create(ARN, ID, 'SYMMETRIC_DEFAULT');
        }
        return super.list();
      }
    })();
    await expect(vaultOn(store).vault.verifyRoot()).resolves.toBeUndefined();
    expect(await store.list()).toHaveLength(2);
  });

  it('refuses an altered canary', async () => {
    const { store, vault } = vaultOn();
    await store.put('root-epoch-1', Buffer.from('{}'));
    await expect(vault.verifyRoot()).rejects.toThrow(WrongRootKeyError);
  });

  it('does not take a provider that is out of reach for a wrong root key', async () => {
    const provider = providerOf(1);
    await provider.close();
    await expect(vaultOn(undefined, {}, provider).vault.verifyRoot()).rejects.toThrow(HsmUnavailableError);
  });
});
