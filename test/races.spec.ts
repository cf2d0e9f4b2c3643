import { randomBytes } from 'node:crypto';
import { connect, headers, type NatsConnection } from 'nats';
import { EVENTS_STREAM, eventSubject, requestSubject } from '#domain/subjects';
import { ROOT_INBOX } from './support/nats-client';
import { startNats, type TestNats } from './support/nats-server';
import { type AppProcess, startApp } from './support/processes';

const ACCOUNT = '000000000000';
const REGION = 'us-east-1';
const ROOT_KEY = randomBytes(32).toString('base64');

interface StoredCommit {
  version: number;
  operation: string;
  events: { type: string }[];
}

type Reply = Record<string, unknown> & { __type?: string };

let server: TestNats;
let nats: NatsConnection;
let apps: AppProcess[] = [];

/** The newest position seen: a request that carries it is answered by a view that has reached it. */
let after = 0;

async function kms<T = Reply>(operation: string, input: object): Promise<T & { __type?: string }> {
  const sent = headers();
  sent.set('Keytrail-After', String(after));
  const reply = await nats.request(requestSubject(REGION, ACCOUNT, 'root', operation), JSON.stringify(input), {
    timeout: 20_000,
    headers: sent,
  });
  after = Math.max(after, Number(reply.headers?.get('Keytrail-Position') || 0));
  return reply.json<T & { __type?: string }>();
}

async function createKey(): Promise<string> {
  const reply = await kms<{ KeyMetadata?: { KeyId: string } }>('CreateKey', {});
  if (!reply.KeyMetadata) throw new Error(`no key was created: ${JSON.stringify(reply)}`);
  return reply.KeyMetadata.KeyId;
}

/** An aggregate's commits, read from the stream itself. */
async function history(id: string, aggregate: 'key' | 'grant' = 'key'): Promise<StoredCommit[]> {
  const manager = await nats.jetstreamManager();
  const subject = eventSubject({ region: REGION, account: ACCOUNT, aggregate, id });
  const commits: StoredCommit[] = [];
  for (let seq = 1; seq <= (await manager.streams.info(EVENTS_STREAM)).state.last_seq; seq++) {
    const message = await manager.streams.getMessage(EVENTS_STREAM, { seq });
    if (message.subject === subject) commits.push(message.json<StoredCommit>());
  }
  return commits;
}

const typesOf = (commits: StoredCommit[]): string[] => commits.flatMap(({ events }) => events.map(({ type }) => type));
const succeeded = (replies: Reply[]): Reply[] => replies.filter((reply) => reply.__type === undefined);

function expectContiguous(commits: StoredCommit[]): void {
  expect(commits.map(({ version }) => version)).toEqual(commits.map((_, i) => i + 1));
}

beforeAll(async () => {
  server = await startNats();
  apps = await Promise.all(
    ['key-manager', 'key-manager', 'crypto-worker'].map((app) =>
      startApp(app, server.url, {
        KEYTRAIL_CLOCK: 'virtual',
        KEYTRAIL_ROOT_KEY: ROOT_KEY,
        KEYTRAIL_ROOT_ACCESS_KEY_ID: 'AKIAROOT',
        KEYTRAIL_ROOT_SECRET_ACCESS_KEY: 'secret',
      }),
    ),
  );
  nats = await connect({ servers: server.url, inboxPrefix: ROOT_INBOX });
});

afterAll(async () => {
  await nats?.close();
  await Promise.all(apps.map((app) => app.stop()));
  await server?.stop();
});

describe('two key-managers that decide at once', () => {
  test('append every rotation that they acknowledge, once', async () => {
    const KeyId = await createKey();
    const replies = await Promise.all(Array.from({ length: 8 }, () => kms('RotateKeyOnDemand', { KeyId })));
    const commits = await history(KeyId);
    expectContiguous(commits);
    expect(succeeded(replies).length).toBeGreaterThan(0);
    expect(typesOf(commits).filter((type) => type === 'KeyRotated')).toHaveLength(succeeded(replies).length);
  });

  test('append every tagging that they acknowledge, once', async () => {
    const KeyId = await createKey();
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        kms('TagResource', { KeyId, Tags: [{ TagKey: `tag-${i}`, TagValue: `${i}` }] }),
      ),
    );
    const commits = await history(KeyId);
    expectContiguous(commits);
    const acknowledged = replies.flatMap((reply, i) => (reply.__type === undefined ? [`tag-${i}`] : []));
    expect(acknowledged.length).toBeGreaterThan(0);
    const { Tags } = await kms<{ Tags: { TagKey: string }[] }>('ListResourceTags', { KeyId });
    expect(Tags.map(({ TagKey }) => TagKey).sort()).toEqual(acknowledged.sort());
    expect(commits).toHaveLength(1 + acknowledged.length);
  });

  test('give an alias name to one key only', async () => {
    const keys = await Promise.all(Array.from({ length: 6 }, createKey));
    const AliasName = 'alias/contested';
    const replies = await Promise.all(keys.map((TargetKeyId) => kms('CreateAlias', { AliasName, TargetKeyId })));
    const winners = keys.filter((_, i) => replies[i]!.__type === undefined);
    expect(winners).toHaveLength(1);
    expect(replies.filter(({ __type }) => __type === 'AlreadyExistsException')).toHaveLength(keys.length - 1);
    const { Aliases } = await kms<{ Aliases: { AliasName: string; TargetKeyId: string }[] }>('ListAliases', {});
    expect(Aliases.filter((alias) => alias.AliasName === AliasName)).toMatchObject([{ TargetKeyId: winners[0] }]);
  });

  test('make one grant of one name and parameters, and after its end the next one', async () => {
    const KeyId = await createKey();
    const request = {
      KeyId,
      Name: 'contested',
      GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`,
      Operations: ['Decrypt', 'Encrypt'],
    };
    const ids = new Set<string>();
    for (let generation = 1; generation <= 3; generation++) {
      const replies = await Promise.all(
        Array.from({ length: 12 }, () => kms<{ GrantId: string; GrantToken: string }>('CreateGrant', request)),
      );
      expect(replies.filter(({ __type }) => __type !== undefined)).toEqual([]);
      const { GrantId } = replies[0]!;
      expect(new Set(replies.map((reply) => reply.GrantId))).toEqual(new Set([GrantId]));
      expect(new Set(replies.map((reply) => reply.GrantToken)).size).toBe(replies.length);
      expect(typesOf(await history(GrantId, 'grant'))).toEqual(['GrantCreated']);
      ids.add(GrantId);
      const ends = await Promise.all(Array.from({ length: 6 }, () => kms('RevokeGrant', { KeyId, GrantId })));
      expect(succeeded(ends)).toHaveLength(1);
      expect(ends.filter(({ __type }) => __type === 'NotFoundException')).toHaveLength(ends.length - 1);
      expect(typesOf(await history(GrantId, 'grant'))).toEqual(['GrantCreated', 'GrantRevoked']);
    }
    expect(ids.size).toBe(3);
  });

  test('make and end grants of one name at once, and agree on each of them', async () => {
    const KeyId = await createKey();
    const request = {
      KeyId,
      Name: 'fought-over',
      GranteePrincipal: `arn:aws:iam::${ACCOUNT}:root`,
      Operations: ['Decrypt'],
    };
    const makeAndEnd = async (): Promise<string> => {
      const { GrantId, ...failed } = await kms<{ GrantId: string }>('CreateGrant', request);
      expect(failed).toEqual({ GrantToken: expect.any(String) });
      await kms('RetireGrant', { KeyId, GrantId });
      return GrantId;
    };
    const ids = new Set(await Promise.all(Array.from({ length: 12 }, makeAndEnd)));
    for (const id of ids) expect(typesOf(await history(id, 'grant'))).toEqual(['GrantCreated', 'GrantRetired']);
    expect((await kms<{ Grants: unknown[] }>('ListGrants', { KeyId })).Grants).toEqual([]);
  });
});
