import { connect, type NatsConnection } from 'nats';
import { eventSubject } from '#domain/subjects';
import { startCuttingProxy } from '../../../test/support/cutting-proxy';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import type { StoredCommit } from './event-store';
import { LogDamagedError } from './log-damage';
import { readPart } from './partial-read';
import { EVENTS_CONFIG, ensureEventStream } from './streams';

let server: TestNats;
let nc: NatsConnection;

const subjectOf = (aggregate: 'key' | 'alias', id: string): string =>
  eventSubject({ region: 'r', account: 'a', aggregate, id });

beforeAll(async () => {
  server = await startNats();
  nc = await connect({ servers: server.url });
});

afterEach(async () => {
  const jsm = await nc.jetstreamManager();
  for await (const name of jsm.streams.names()) await jsm.streams.delete(name);
});

afterAll(async () => {
  await nc.close();
  await server.stop();
});

interface Part {
  end: number;
  count: number;
  commits: StoredCommit[];
}

/** By the server's index, or out of the whole log. */
const WAYS = { 'by the index': 1, 'out of the whole log': Number.MAX_SAFE_INTEGER };

const parts = (...subjects: string[]): Promise<Part> => partsBy(undefined, ...subjects);

async function partsBy(dense: number | undefined, ...subjects: string[]): Promise<Part> {
  const { end, count, commits } = await readPart(nc, subjects, { dense });
  const arrived: StoredCommit[] = [];
  for await (const commit of commits) arrived.push(commit);
  return { end, count, commits: arrived };
}

const fill = async (messages: number, padding = ''): Promise<void> => {
  for (let n = 1; n <= messages; n++) {
    const subject = n % 10 === 0 ? subjectOf('alias', `alias${n}`) : subjectOf('key', `key${n % 7}`);
    await nc.jetstream().publish(subject, `commit ${n}${padding}`);
  }
};

const textOf = ({ bytes }: StoredCommit): string => Buffer.from(bytes).toString();

it.each(Object.entries(WAYS))(
  'reads what is on some subjects %s, in order, with the position that the log had reached',
  async (_, dense) => {
    await ensureEventStream(nc, { replicas: 1 });
    await fill(2_500);
    const { end, count, commits } = await partsBy(dense, subjectOf('key', 'key3'), subjectOf('alias', '*'));
    const expected = Array.from({ length: 2_500 }, (_, index) => index + 1).filter((n) => n % 10 === 0 || n % 7 === 3);
    expect(commits.map(({ seq }) => seq)).toEqual(expected);
    expect(commits.map(textOf)).toEqual(expected.map((n) => `commit ${n}`));
    expect([end, count]).toEqual([2_500, expected.length]);
  },
);

it('reads nothing where nothing is', async () => {
  await ensureEventStream(nc, { replicas: 1 });
  expect(await parts(subjectOf('key', 'none'))).toEqual({ end: 0, count: 0, commits: [] });
  await fill(3);
  expect(await parts(subjectOf('key', 'none'))).toEqual({ end: 3, count: 0, commits: [] });
});

it('goes on where it was when the connection is lost', async () => {
  await ensureEventStream(nc, { replicas: 1 });
  // Enough for the server to ask whether it may go on, which is when the connection is cut.
  await fill(3_000, ' '.repeat(1_500));
  const proxy = await startCuttingProxy(server.port);
  const client = await connect({ servers: proxy.url, reconnectTimeWait: 10 });
  try {
    const cut = proxy.swallowRepliesAfter('$JS.FC.').then((trap) => trap.cut());
    const { commits } = await readPart(client, [subjectOf('key', '*')], { dense: 1 });
    const arrived: number[] = [];
    for await (const { seq } of commits) arrived.push(seq);
    await cut;
    expect(arrived).toEqual(Array.from({ length: 3_000 }, (_, index) => index + 1).filter((n) => n % 10 !== 0));
  } finally {
    await client.close();
    await proxy.stop();
  }
});

it('refuses a log in which a position is empty, though not one of the subjects’ own', async () => {
  const jsm = await nc.jetstreamManager();
  await jsm.streams.add({ name: EVENTS_CONFIG.name, subjects: ['kms.evt.>'] });
  await fill(5);
  await jsm.streams.deleteMessage(EVENTS_CONFIG.name, 2);
  await expect(parts(subjectOf('key', 'key3'))).rejects.toThrow(LogDamagedError);
});
