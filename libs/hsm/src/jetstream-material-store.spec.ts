import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { MATERIAL_STREAM, materialSubject } from '#domain/subjects';
import { ensureMaterialStream } from '#event-store/streams';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { JetStreamMaterialStore } from './jetstream-material-store';
import { MaterialStoreUnavailableError } from './material-store';
import { describeMaterialStore } from './material-store.suite';

let server: TestNats;
let nats: NatsConnection;

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  await ensureMaterialStream(nats, { replicas: 1 });
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

/** Emptied, not made anew: the server removes a deleted stream's folder only after it has answered. */
async function emptyStore(): Promise<JetStreamMaterialStore> {
  await ensureMaterialStream(nats, { replicas: 1 });
  const store = new JetStreamMaterialStore(nats);
  for (const { materialId, epoch } of await store.list()) await store.erase(materialId, epoch);
  return store;
}

describeMaterialStore('JetStream', emptyStore);

describe('the JetStream material store', () => {
  const id = 'ab'.repeat(32);
  let secret: Buffer;

  // Other bytes for each test, since a purge alone leaves the last test's on disk.
  beforeEach(() => {
    secret = randomBytes(48);
  });

  const filesWith = (bytes: Buffer): string[] =>
    readdirSync(server.storeDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => readFileSync(path).includes(bytes));

  it('leaves no erased byte in any file of the store', async () => {
    const store = await emptyStore();
    await store.put('before', Buffer.from('kept before'));
    await store.put(id, secret);
    await store.put('after', Buffer.from('kept after'));
    expect(filesWith(secret)).toHaveLength(1);
    await store.erase(id);
    expect(filesWith(secret)).toEqual([]);
    expect(filesWith(Buffer.from('kept after'))).toHaveLength(1);

    await server.restart();
    expect(await store.get(id)).toBeUndefined();
    expect(Buffer.from((await store.get('after'))!.bytes).toString()).toBe('kept after');
    expect(filesWith(secret)).toEqual([]);
  });

  it('keeps what it acknowledged when the server is killed, and erases it afterwards', async () => {
    const store = await emptyStore();
    await store.put(id, secret);
    await server.kill9();
    await server.restart();
    expect(await store.put(id, Buffer.from('other'))).toBe('exists');
    expect(await store.erase(id)).toBe(true);
    expect(filesWith(secret)).toEqual([]);
  });

  it('finishes a put that began while the server was down', async () => {
    const store = await emptyStore();
    await server.kill9();
    const put = store.put(id, secret);
    await server.restart();
    // The first attempt may have been stored before its answer was lost.
    expect(['stored', 'exists']).toContain(await put);
    expect(Buffer.from((await store.get(id))!.bytes)).toEqual(secret);
  });

  it('lists more than one batch', async () => {
    const store = await emptyStore();
    const ids = Array.from({ length: 2_500 }, (_, i) => `m${i}`);
    for (const each of ids) nats.publish(materialSubject(each), 'x');
    await store.put('last', secret);
    expect((await store.list()).map(({ materialId }) => materialId)).toEqual([...ids, 'last']);
  });

  it('says that it is unavailable once the connection is closed', async () => {
    const own = await connect({ servers: server.url });
    const store = new JetStreamMaterialStore(own);
    await own.close();
    await expect(store.get(id)).rejects.toThrow(MaterialStoreUnavailableError);
    await expect(store.put(id, secret)).rejects.toThrow(MaterialStoreUnavailableError);
  });

  it('says that it is unavailable when its stream is missing', async () => {
    const store = await emptyStore();
    await (await nats.jetstreamManager()).streams.delete(MATERIAL_STREAM);
    await expect(store.get(id)).rejects.toThrow(MaterialStoreUnavailableError);
    await expect(store.list()).rejects.toThrow(MaterialStoreUnavailableError);
    await expect(store.erase(id)).rejects.toThrow(MaterialStoreUnavailableError);
  });
});
