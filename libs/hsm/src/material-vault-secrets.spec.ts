import { MaterialVault } from './material-vault';
import { MemoryMaterialStore } from './memory-material-store';
import { SoftwareHsmProvider } from './software-provider';

const ALICE = 'arn:aws:iam::000000000000:user/alice';
const ID = 'ab'.repeat(32);

const vaultOn = (store: MemoryMaterialStore): MaterialVault =>
  new MaterialVault(
    SoftwareHsmProvider.open({ rootKeyBase64: Buffer.alloc(32, 1).toString('base64'), mayCreate: false }),
    store,
  );

describe('secrets in the material vault', () => {
  it('are answered once when made, and load again in another process', async () => {
    const store = new MemoryMaterialStore();
    const secret = await vaultOn(store).createAccessKey(ALICE, ID, 30);
    expect(secret).toHaveLength(30);
    expect(await vaultOn(store).loadAccessKey(ALICE, ID)).toEqual(secret);
    expect(Buffer.from((await store.get(ID))!.bytes).includes(secret.toString('base64'))).toBe(false);
  });

  it('load for no other principal, not as a backing key, and not once erased', async () => {
    const vault = vaultOn(new MemoryMaterialStore());
    (await vault.createAccessKey(ALICE, ID, 30)).fill(0);
    await expect(vault.loadAccessKey(`${ALICE}2`, ID)).rejects.toMatchObject({ code: 'KMSInternalException' });
    await expect(vault.load(ALICE, ID)).rejects.toMatchObject({ code: 'KMSInternalException' });
    await vault.destroy(ID);
    await expect(vault.loadAccessKey(ALICE, ID)).rejects.toMatchObject({ code: 'KMSInternalException' });
  });

  it('of tokens are the same in every process, and are no material that a sweep could take for an orphan', async () => {
    const store = new MemoryMaterialStore();
    const vaults = [vaultOn(store), vaultOn(store), vaultOn(store)];
    const [first, ...others] = await Promise.all(vaults.map((vault) => vault.own.tokenSeed(32)));
    expect(first).toHaveLength(32);
    for (const other of others) expect(other).toEqual(first);
    expect(await vaults[0]!.list()).toEqual([]);
  });
});
