import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { AGGREGATE_TYPES } from '#domain/aggregates';
import { ensureEventStream } from '#event-store/streams';
import { recordedTime } from '#views/moment';
import { Projection } from '#views/projection';
import { SNAPSHOT_FORMAT } from '#views/snapshot';
import { everythingAt } from '../apps/keytrail/src/cli/log-reader';
import type { Operator } from '../apps/keytrail/src/cli/operator';
import { verify } from '../apps/keytrail/src/cli/verify';
import { GOLDEN_COMMITS } from './support/golden-commits';
import { startNats, type TestNats } from './support/nats-server';

const EVERY = 10;
const LAST = GOLDEN_COMMITS.length;

let server: TestNats;
let nats: NatsConnection;
let operator: Operator;
let dataDir: string;
let warnings: string[];

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  operator = { nats, services: false, close: async () => {} };
  await fill(GOLDEN_COMMITS);
});

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-snapshots-'));
  warnings = [];
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

async function fill(commits: readonly { subject: string; bytes: Buffer }[]): Promise<void> {
  await ensureEventStream(nats, { replicas: 1 });
  for (const { subject, bytes } of commits) await nats.jetstream().publish(subject, bytes);
}

const foldedAt = async (at?: string) =>
  everythingAt(operator, at, { dataDir, warn: (line) => void warnings.push(line), snapshotEvery: EVERY });
const held = (projection: Projection) => AGGREGATE_TYPES.map((type) => [...projection.all(type)]);
const snapshots = (): string[] => readdirSync(join(dataDir, 'snapshots')).sort();
const pathOf = (position: number): string => join(dataDir, 'snapshots', `${position}.jsonl`);
const read = (position: number): string => readFileSync(pathOf(position), 'utf8');

function expected(until: number): Projection {
  const projection = new Projection();
  for (const entry of GOLDEN_COMMITS.slice(0, until)) projection.apply(entry);
  return projection;
}

/** With its checksum made to fit, as somebody would who wants it to be believed. */
function forge(position: number, edit: (content: string) => string): void {
  const lines = read(position).trimEnd().split('\n').slice(0, -1);
  const content = edit(`${lines.join('\n')}\n`);
  const sha256 = createHash('sha256').update(content).digest('hex');
  writeFileSync(pathOf(position), `${content}${JSON.stringify({ sha256 })}\n`);
}

test('a read leaves snapshots, and the next one goes on from the newest', async () => {
  const first = await foldedAt();
  expect(held(first.projection)).toEqual(held(expected(LAST)));
  expect(snapshots()).toHaveLength(Math.floor(LAST / EVERY));
  // What it goes on from shows: a description that only the snapshot has.
  const newest = Math.floor(LAST / EVERY) * EVERY;
  forge(newest, (content) => content.replace('"description":""', '"description":"from the snapshot"'));
  const second = await foldedAt();
  expect(JSON.stringify(held(second.projection))).toContain('from the snapshot');
  expect(second.projection.position).toBe(LAST);
});

test('a moment before the newest snapshot goes on from an older one, or from the start', async () => {
  await foldedAt();
  for (const [index, entry] of GOLDEN_COMMITS.entries()) {
    const at = recordedTime(JSON.parse(entry.bytes.toString()) as { time: string });
    const times = GOLDEN_COMMITS.map(({ bytes }) => recordedTime(JSON.parse(bytes.toString()) as { time: string }));
    // The golden log is not in the order of its times: only moments at which it was are compared.
    if (times.slice(0, index + 1).some((time) => time > at) || times.slice(index + 1).some((time) => time <= at))
      continue;
    expect(held((await foldedAt(at)).projection)).toEqual(held(expected(index + 1)));
  }
  expect(warnings).toEqual([]);
});

describe('a snapshot is thrown away, and the log read instead, where', () => {
  const NEWEST = Math.floor(LAST / EVERY) * EVERY;

  test.each<[string, () => void, RegExp]>([
    ['a state in it was altered', () => alter('"description":""', '"description":"!"'), /its checksum does not fit/],
    ['it was cut short', () => writeFileSync(pathOf(NEWEST), read(NEWEST).slice(0, -200)), /cut short|checksum/],
    ['it is empty', () => writeFileSync(pathOf(NEWEST), ''), /cut short/],
    ['it is of another format', () => forge(NEWEST, (text) => text.replace(/"format":\d+/, '"format":0')), /format 0/],
    [
      'it has another position',
      () => forge(NEWEST, (text) => text.replace(/"position":\d+/, '"position":7')),
      /position 7/,
    ],
    [
      'the log has another commit there',
      () => forge(NEWEST, (text) => text.replace(/"commitHash":"\w+"/, `"commitHash":"${'0'.repeat(64)}"`)),
      /it is of another log/,
    ],
  ])('%s', async (_what, damage, reason) => {
    await foldedAt();
    const whole = read(NEWEST);
    damage();
    expect(read(NEWEST)).not.toBe(whole);
    expect(held((await foldedAt()).projection)).toEqual(held(expected(LAST)));
    expect(warnings).toEqual([expect.stringMatching(reason)]);
    expect(snapshots()).toHaveLength(Math.floor(LAST / EVERY));
  });

  const alter = (from: string, to: string): void => writeFileSync(pathOf(NEWEST), read(NEWEST).replace(from, to));
});

describe('./keytrail verify', () => {
  const NEWEST = Math.floor(LAST / EVERY) * EVERY;
  const said: string[] = [];
  const faults = (): Promise<string[]> => verify(operator, { dataDir }, (line) => void said.push(line));

  beforeEach(async () => {
    await foldedAt();
    said.length = 0;
  });

  test('says of snapshots that they hold what the log gives', async () => {
    expect(await faults()).toEqual([]);
    expect(said).toContain(`snapshots: ${NEWEST / EVERY}, each what the log gives there`);
    rmSync(join(dataDir, 'snapshots'), { recursive: true });
    said.length = 0;
    expect(await faults()).toEqual([]);
    expect(said.join('\n')).not.toContain('snapshot');
  });

  const aggregate = (text: string): string => text.split('\n')[1]!;

  test.each<[string, () => void, RegExp]>([
    [
      'a state was altered, its checksum made to fit',
      () => forge(NEWEST, (text) => text.replace('"description":""', '"description":"!"')),
      /kms\.evt\.[^ ]+ is not what the log gives there/,
    ],
    [
      'an aggregate is missing',
      () => forge(NEWEST, (text) => text.replace(`${aggregate(text)}\n`, '')),
      /kms\.evt\.[^ ]+ is not what the log gives there/,
    ],
    [
      'there is an aggregate more',
      () => forge(NEWEST, (text) => `${text}${aggregate(text).replace(/"id":"[^"]+"/, '"id":"another"')}\n`),
      /kms\.evt\.[^ ]+\.another is not what the log gives there/,
    ],
    [
      'its latest time is another',
      () => forge(NEWEST, (text) => text.replace(/"until":"\d{4}/, '"until":"2000')),
      /its latest time is 2000-.*, where the log has 20/,
    ],
    [
      'the log has another commit there',
      () => forge(NEWEST, (text) => text.replace(/"commitHash":"\w+"/, `"commitHash":"${'0'.repeat(64)}"`)),
      /it is of another log/,
    ],
    ['it was cut short', () => writeFileSync(pathOf(NEWEST), read(NEWEST).slice(0, -200)), /cut short|checksum/],
  ])('names a snapshot of which %s, and no other', async (_, damage, why) => {
    damage();
    const found = await faults();
    expect(found).toEqual([expect.stringMatching(why)]);
    expect(found[0]).toContain(`snapshot ${pathOf(NEWEST)}: `);
    expect(said.join('\n')).not.toContain('snapshot');
  });

  test('names one of a position that the log does not have', async () => {
    renameSync(pathOf(NEWEST), pathOf(LAST + 1));
    expect(await faults()).toEqual([`snapshot ${pathOf(LAST + 1)}: the log ends at position ${LAST}; delete it`]);
  });
});

/** The golden commits that there were when the format was made: later releases add more. */
const OF_THE_FORMAT = 59;

test('snapshots of this format hold what the golden log folds to; where this fails, raise SNAPSHOT_FORMAT', () => {
  // An aggregate that came later has nothing in this log, and changes nothing of these.
  const states = held(expected(OF_THE_FORMAT))
    .filter((folded) => folded.length > 0)
    .map((folded) => folded.map(({ ref, state }) => [ref.id, state]));
  expect([SNAPSHOT_FORMAT, createHash('sha256').update(JSON.stringify(states)).digest('hex')]).toEqual([
    2,
    '5e88fd39021079727f4e2fbcf9c5d1f8dbc567e6097ca049940ba736d0be5e22',
  ]);
});
