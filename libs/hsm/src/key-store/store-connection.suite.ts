import type { ClusterConnection, StoreConnection } from './store-connection';

export interface OpenedStore<C extends StoreConnection> {
  connection: C;
  /** Two keys that there are, and a name in the same form of one that there is not. */
  keys: readonly [string, string];
  missing: string;
  remove(): Promise<void>;
}

const aad = Buffer.from('header and context');
const plaintext = Buffer.from('what is encrypted');
const failure = (name: string) => expect.objectContaining({ name: 'StoreError', failure: name });

/** What operations rely on of every connection, of those in tests too; each kind's spec runs it. */
export function describeStoreConnection<C extends StoreConnection>(
  name: string,
  open: () => Promise<OpenedStore<C>>,
): void {
  describe(`${name}, as a connection to a custom key store`, () => {
    let store: OpenedStore<C>;

    beforeAll(async () => {
      store = await open();
    });
    afterAll(async () => {
      await store?.remove();
    });

    it.each([1, 16, 4096])('decrypts %i bytes that it encrypted', async (length) => {
      const { connection, keys } = store;
      const bytes = Buffer.alloc(length, 7);
      const sealed = await connection.encrypt(keys[0], bytes, aad);
      expect(sealed.includes(bytes.subarray(0, 16)) && length > 15).toBe(false);
      expect(await connection.decrypt(keys[0], sealed, aad)).toEqual(bytes);
    });

    it('encrypts to something else each time', async () => {
      const { connection, keys } = store;
      const [one, other] = await Promise.all([1, 2].map(() => connection.encrypt(keys[0], plaintext, aad)));
      expect(one!.equals(other!)).toBe(false);
    });

    it('refuses another AAD, another key, and what was altered anywhere or cut', async () => {
      const { connection, keys } = store;
      const sealed = await connection.encrypt(keys[0], plaintext, aad);
      const refused = failure('invalid-ciphertext');
      await expect(connection.decrypt(keys[0], sealed, Buffer.from('else'))).rejects.toThrow(refused);
      await expect(connection.decrypt(keys[1], sealed, aad)).rejects.toThrow(refused);
      for (let at = 0; at < sealed.length; at++) {
        const altered = Buffer.from(sealed);
        altered[at]! ^= 0x10;
        await expect(connection.decrypt(keys[0], altered, aad)).rejects.toThrow(refused);
      }
      for (const length of [0, 1, 12, sealed.length - 1]) {
        await expect(connection.decrypt(keys[0], sealed.subarray(0, length), aad)).rejects.toThrow(refused);
      }
      await expect(connection.decrypt(keys[0], Buffer.concat([sealed, Buffer.of(0)]), aad)).rejects.toThrow(refused);
    });

    it('says so where there is no such key', async () => {
      const { connection, missing } = store;
      await expect(connection.encrypt(missing, plaintext, aad)).rejects.toThrow(failure('key-not-found'));
    });

    it('takes many calls at once', async () => {
      const { connection, keys } = store;
      const calls = Array.from({ length: 40 }, async (_, at) => {
        const bytes = Buffer.from(`plaintext ${at}`);
        const sealed = await connection.encrypt(keys[at % 2]!, bytes, aad);
        expect(await connection.decrypt(keys[at % 2]!, sealed, aad)).toEqual(bytes);
      });
      await Promise.all(calls);
    });
  });
}

/** Beside that, what clusters do. */
export function describeClusterConnection(name: string, open: () => Promise<OpenedStore<ClusterConnection>>): void {
  describe(`${name}, as a connection to a cluster`, () => {
    let store: OpenedStore<ClusterConnection>;

    beforeAll(async () => {
      store = await open();
    });
    afterAll(async () => {
      await store?.remove();
    });

    it('makes one key of an id, however often it is asked, and gives its masked copy', async () => {
      const { connection, missing } = store;
      const masked = await connection.makeKey(missing);
      const sealed = await connection.encrypt(missing, plaintext, aad);
      expect((await connection.makeKey(missing)).equals(masked)).toBe(true);
      expect(await connection.decrypt(missing, sealed, aad)).toEqual(plaintext);
    });

    it('destroys a key, and takes it again that there is none', async () => {
      const { connection, keys } = store;
      await connection.destroyKey(keys[0]);
      await connection.destroyKey(keys[0]);
      await expect(connection.encrypt(keys[0], plaintext, aad)).rejects.toThrow(failure('key-not-found'));
      await expect(connection.encrypt(keys[1], plaintext, aad)).resolves.toBeInstanceOf(Buffer);
    });

    it.each([1, 32, 1024])('gives %i random bytes', async (length) => {
      const [one, other] = await Promise.all([1, 2].map(() => store.connection.random(length)));
      expect(one).toHaveLength(length);
      if (length > 1) expect(one!.equals(other!)).toBe(false);
    });
  });
}
