import { randomBytes } from 'node:crypto';
import { connect, headers, type NatsConnection } from 'nats';
import { requestSubject } from '#domain/subjects';
import { ROOT_INBOX } from './support/nats-client';
import { startNats, type TestNats, until } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';

const ACCOUNT = '000000000000';
const REGIONS = ['us-east-1', 'eu-west-1', 'ap-south-1'] as const;
const [HOME, AWAY, THIRD] = REGIONS;
const Plaintext = Buffer.from('the same everywhere').toString('base64');

type Reply = Record<string, unknown> & { __type?: string; message?: string };

let server: TestNats;
let nats: NatsConnection;
let apps: AppProcess[] = [];
/** The newest position seen: a request that carries it is answered by a view that has reached it. */
let after = 0;

async function kms(region: string, operation: string, input: object): Promise<Reply> {
  const sent = headers();
  sent.set('Keytrail-After', String(after));
  const reply = await nats.request(requestSubject(region, ACCOUNT, 'root', operation), JSON.stringify(input), {
    timeout: 30_000,
    headers: sent,
  });
  after = Math.max(after, Number(reply.headers?.get('Keytrail-Position') || 0));
  return reply.json<Reply>();
}

const ok = async (region: string, operation: string, input: object): Promise<Reply> => {
  const reply = await kms(region, operation, input);
  expect([operation, reply.__type, reply.message]).toEqual([operation, undefined, undefined]);
  return reply;
};

interface Described {
  KeyState: string;
  MultiRegionConfiguration: { MultiRegionKeyType: string };
}
const described = async (region: string, KeyId: string): Promise<Described | undefined> =>
  (await kms(region, 'DescribeKey', { KeyId }))['KeyMetadata'] as Described | undefined;

async function createReplicated(...replicas: string[]): Promise<string> {
  const { KeyMetadata } = await ok(HOME, 'CreateKey', { MultiRegion: true });
  const { KeyId } = KeyMetadata as { KeyId: string };
  for (const ReplicaRegion of replicas) await ok(HOME, 'ReplicateKey', { KeyId, ReplicaRegion });
  return KeyId;
}

/** Once what was begun is done: which key is the primary, and that what each encrypts all decrypt. */
async function settledPrimary(KeyId: string): Promise<string> {
  let keys: [string, Described][] = [];
  await until(async () => {
    const found = await Promise.all(
      REGIONS.map(async (region): Promise<[string, Described | undefined]> => [region, await described(region, KeyId)]),
    );
    keys = found.filter((one): one is [string, Described] => one[1] !== undefined);
    return keys.every(([, { KeyState }]) => KeyState !== 'Creating' && KeyState !== 'Updating');
  }, `the keys related to ${KeyId} do not come to rest`);
  const primaries = keys.filter(([, key]) => key.MultiRegionConfiguration.MultiRegionKeyType === 'PRIMARY');
  expect(primaries).toHaveLength(1);
  const usable = keys.filter(([, { KeyState }]) => KeyState === 'Enabled').map(([region]) => region);
  for (const from of usable) {
    const { CiphertextBlob } = await ok(from, 'Encrypt', { KeyId, Plaintext });
    for (const to of usable) expect(await ok(to, 'Decrypt', { CiphertextBlob })).toMatchObject({ Plaintext });
  }
  return primaries[0]![0];
}

const codes = (replies: Reply[]): string[] => replies.map(({ __type }) => __type ?? 'OK').sort();

beforeAll(async () => {
  server = await startNats();
  const parts = ['crypto-worker', 'key-manager', 'key-manager', 'deletion-scheduler', 'deletion-scheduler'];
  const environment = {
    KEYTRAIL_CLOCK: 'virtual',
    KEYTRAIL_ROOT_KEY: randomBytes(32).toString('base64'),
    KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
    KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
  };
  apps = await Promise.all(parts.map((part) => startApp(part, server.url, environment)));
  nats = await connect({ servers: server.url, inboxPrefix: ROOT_INBOX });
});

afterAll(async () => {
  await nats?.close();
  await Promise.all(apps.map((app) => app.stop()));
  await server?.stop();
});

describe('two key-managers and two schedulers that decide at once', () => {
  test('make one replica of a region, whoever asks for it', async () => {
    const KeyId = await createReplicated();
    const asked = Array.from({ length: 6 }, () => kms(HOME, 'ReplicateKey', { KeyId, ReplicaRegion: AWAY }));
    expect(codes(await Promise.all(asked))).toEqual([...Array(5).fill('AlreadyExistsException'), 'OK']);
    expect(await settledPrimary(KeyId)).toBe(HOME);
  });

  test('make one key the primary, where several are to be', async () => {
    const KeyId = await createReplicated(AWAY, THIRD);
    const to = [AWAY, THIRD, AWAY, THIRD];
    const replies = await Promise.all(
      to.map((PrimaryRegion) => kms(HOME, 'UpdatePrimaryRegion', { KeyId, PrimaryRegion })),
    );
    expect(codes(replies)).toEqual(['OK', ...Array(3).fill('UnsupportedOperationException')]);
    expect(await settledPrimary(KeyId)).toBe(to[replies.findIndex(({ __type }) => __type === undefined)]);
  });

  test('delete no primary whose replica is being made, and make none of what is to be deleted', async () => {
    const KeyId = await createReplicated();
    const [replicated, scheduled] = await Promise.all([
      kms(HOME, 'ReplicateKey', { KeyId, ReplicaRegion: AWAY }),
      kms(HOME, 'ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 }),
    ]);
    expect(scheduled).toMatchObject({
      KeyState: replicated.__type === undefined ? 'PendingReplicaDeletion' : 'PendingDeletion',
    });
    expect(replicated.__type ?? 'KMSInvalidStateException').toBe('KMSInvalidStateException');
    expect(await settledPrimary(KeyId)).toBe(HOME);
  });

  test('let a key that is to be the primary be deleted after its replicas alone', async () => {
    const KeyId = await createReplicated(AWAY);
    const [moved, scheduled] = await Promise.all([
      kms(HOME, 'UpdatePrimaryRegion', { KeyId, PrimaryRegion: AWAY }),
      kms(AWAY, 'ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 }),
    ]);
    // Whichever came first, or the deletion between the two commits of the other.
    const primary = await settledPrimary(KeyId);
    const state = (await described(AWAY, KeyId))!.KeyState;
    if (moved.__type !== undefined) expect([primary, state]).toEqual([HOME, 'PendingDeletion']);
    else if (scheduled.__type !== undefined) expect([primary, state]).toEqual([AWAY, 'Enabled']);
    else expect([primary, state]).toEqual([AWAY, 'PendingReplicaDeletion']);
  });

  test('rotate while the primary changes, and every ciphertext decrypts everywhere', async () => {
    const KeyId = await createReplicated(AWAY);
    const [moved, ...rotated] = await Promise.all([
      kms(HOME, 'UpdatePrimaryRegion', { KeyId, PrimaryRegion: AWAY }),
      ...Array.from({ length: 4 }, (_, i) => kms(i % 2 === 0 ? HOME : AWAY, 'RotateKeyOnDemand', { KeyId })),
    ]);
    expect(codes([moved!])).toEqual(['OK']);
    expect(await settledPrimary(KeyId)).toBe(AWAY);
    const rotations = async (region: string) =>
      ((await ok(region, 'ListKeyRotations', { KeyId }))['Rotations'] as object[]).length;
    const done = rotated.filter(({ __type }) => __type === undefined).length;
    await until(async () => (await rotations(HOME)) === done, 'a rotation was not passed on');
    expect(await rotations(AWAY)).toBe(done);
  });
});
