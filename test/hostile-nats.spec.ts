import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, headers, type Msg, type NatsConnection } from 'nats';
import { CLOCK_STREAM, EVENTS_STREAM, HEADER_AFTER, HEADER_REQUEST_ID, MATERIAL_STREAM } from '#domain/subjects';
import { readEndpoint } from '#platform/embedded-nats';
import { inboxPrefix } from '#platform/nats-users';
import { connectAsRoot, ROOT_INBOX } from './support/nats-client';
import { until } from './support/nats-server';
import { type KeytrailProcess, startProcess } from './support/processes';

let dataDir: string;
let server: KeytrailProcess;
let client: NatsConnection;
let operator: NatsConnection;

const connectAs = (name: 'embedded'): Promise<NatsConnection> => {
  const { url, users } = readEndpoint(dataDir)!;
  const { user, password: pass } = users[name];
  return connect({ servers: url, user, pass, inboxPrefix: inboxPrefix(user) });
};

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-hostile-'));
  server = await startProcess(dataDir);
  client = await connectAsRoot(readEndpoint(dataDir)!.url, dataDir);
  operator = await connectAs('embedded');
});

afterAll(async () => {
  await client?.close();
  await operator?.close();
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

const subjectOf = (operation: string, region = 'us-east-1'): string =>
  `kms.req.${region}.000000000000.root.${operation}`;

const ask = (operation: string, input: object, sent: Record<string, string> = {}, region?: string): Promise<Msg> => {
  const given = headers();
  for (const [name, value] of Object.entries(sent)) given.set(name, value);
  return client.request(subjectOf(operation, region), JSON.stringify(input), { headers: given, timeout: 20_000 });
};

async function createKey(): Promise<string> {
  return (await ask('CreateKey', {})).json<{ KeyMetadata: { KeyId: string } }>().KeyMetadata.KeyId;
}

async function streams(): Promise<[string, number][]> {
  const manager = await operator.jetstreamManager();
  const names = [EVENTS_STREAM, MATERIAL_STREAM, CLOCK_STREAM];
  return Promise.all(names.map(async (name) => [name, (await manager.streams.info(name)).state.last_seq]));
}

describe('a client of NATS', () => {
  test.each([
    ['the event log', 'kms.evt.us-east-1.000000000000.key.forged'],
    ['the material store', 'kms.mat.forged'],
    ['the clock', 'kms.clock'],
    ['the deletion of a stream', `$JS.API.STREAM.DELETE.${MATERIAL_STREAM}`],
    ['the purge of a stream', `$JS.API.STREAM.PURGE.${MATERIAL_STREAM}`],
    ['a service of Keytrail', 'kms.int.settle'],
    ["another's inbox", '_INBOX_operator.stolen'],
  ])('that names %s as its inbox has nothing done there', async (_what, reply) => {
    const KeyId = await createKey();
    const before = await streams();
    client.publish(subjectOf('EnableKey'), JSON.stringify({ KeyId }), { reply });
    client.publish(subjectOf('GenerateRandom'), JSON.stringify({ NumberOfBytes: 1 }), { reply });
    // Served in order, so the two above are over when these are answered.
    await ask('EnableKey', { KeyId });
    await ask('GenerateRandom', { NumberOfBytes: 1 });
    await operator.flush();
    expect(await streams()).toEqual(before);
  });

  test.each(['XX', '*', '>', '$JS', '-x', 'ü', 'a'.repeat(33)])(
    'cannot make a key in the region %j',
    async (region) => {
      const reply = await ask('CreateKey', {}, {}, region);
      expect(reply.json()).toMatchObject({ __type: 'ValidationException' });
    },
  );

  test.each(['mine-1', 'two words', 'R'.repeat(200_000)])(
    'cannot name its request %#, which is no UUID',
    async (id) => {
      const reply = await ask('ListKeys', {}, { [HEADER_REQUEST_ID]: id });
      expect(reply.json()).toMatchObject({ __type: 'ValidationException' });
    },
  );

  test.each(['NaN', '-1', '1e308', 'Infinity', '0x10', '9'.repeat(16)])(
    'that wants an answer after position %j is refused at once',
    async (after) => {
      const reply = await ask('ListKeys', {}, { [HEADER_AFTER]: after });
      expect(reply.json()).toMatchObject({ __type: 'ValidationException' });
    },
  );

  test('is throttled once a thousand requests wait for a position that is not there', async () => {
    const inbox = `${ROOT_INBOX}.waiting`;
    const codes: string[] = [];
    const subscription = client.subscribe(inbox, {
      callback: (_error, message) => codes.push(message.json<{ __type: string }>().__type),
    });
    const sent = headers();
    sent.set(HEADER_AFTER, '999999999');
    for (let i = 0; i < 1_005; i++) client.publish(subjectOf('ListKeys'), '{}', { headers: sent, reply: inbox });
    expect((await ask('ListKeys', {})).json()).toHaveProperty('Keys');
    await until(() => codes.length >= 5, 'nobody was throttled');
    expect(codes).toEqual(Array(5).fill('ThrottlingException'));
    subscription.unsubscribe();
  });

  test('gets an error in place of a reply that the server would not carry, and the process lives', async () => {
    const position = Number((await ask('ListKeys', {})).headers?.get('Keytrail-Position'));
    const Tags = Array.from({ length: 200_000 }, () => ({}));
    const waiting = ask('TagResource', { KeyId: 'x', Tags }, { [HEADER_AFTER]: String(position + 1) });
    await createKey();
    expect((await waiting).json()).toHaveProperty('__type');
    expect((await ask('ListKeys', {})).json()).toHaveProperty('Keys');
  });
});
