import { connect, type NatsConnection } from 'nats';
import { ensureEventStream } from '#event-store/streams';
import { recordedTime } from '#views/moment';
import { momentAt } from '../apps/keytrail/src/cli/moments';
import type { Operator } from '../apps/keytrail/src/cli/operator';
import { GOLDEN_COMMITS } from './support/golden-commits';
import { startNats, type TestNats } from './support/nats-server';

const NOW = '2026-11-24T12:00:00.000Z';
const LOG = 5;

let server: TestNats;
let nats: NatsConnection;
let operator: Operator;

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
  operator = { nats, services: false, close: async () => {} };
  await ensureEventStream(nats, { replicas: 1 });
  for (const { subject, bytes } of GOLDEN_COMMITS.slice(0, LOG)) await nats.jetstream().publish(subject, bytes);
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

const moment = (text: string): Promise<string> => momentAt(operator, '--at', text, NOW);

test.each([
  ['2026-11-24', '2026-11-24T00:00:00.000Z'],
  ['2026-11-24T09:30Z', '2026-11-24T09:30:00.000Z'],
  ['2026-11-24T09:30:00.5+01:00', '2026-11-24T08:30:00.500Z'],
  ['1795953600', '2026-11-29T12:00:00.000Z'],
  ['0', '1970-01-01T00:00:00.000Z'],
  ['30d', '2026-10-25T12:00:00.000Z'],
  ['1d12h', '2026-11-23T00:00:00.000Z'],
])('%s is %s', async (text, expected) => {
  expect(await moment(text)).toBe(expected);
});

test('a position is when its commit was recorded', async () => {
  for (const [index, { bytes }] of GOLDEN_COMMITS.slice(0, LOG).entries()) {
    expect(await moment(`@${index + 1}`)).toBe(recordedTime(JSON.parse(bytes.toString()) as { time: string }));
  }
});

test.each([
  ['yesterday', /^--at yesterday: no moment; expected ISO 8601, a duration before now such as 30d, /],
  ['', /^--at : no moment/],
  ['24.11.2026', /no moment/],
  ['11/12/2026', /no moment/],
  ['2026-13-01', /no moment/],
  ['30', undefined],
  ['-5', /no moment/],
  ['2026-11-24T12:00:00', /^--at 2026-11-24T12:00:00: a time without its zone; end it with Z for UTC/],
  ['99999999999999', /expected a moment up to the year 9999/],
  ['9999999999999999999999999', /expected a moment up to the year 9999/],
  ['101y', /101y is longer than 100 years/],
  ['@0', /^--at @0: the log has positions @1 to @5$/],
  ['@6', /^--at @6: the log has positions @1 to @5$/],
  ['@x', /no moment/],
])('%s is refused where it is none, by an error that names option and bound', async (text, why) => {
  if (why === undefined) await expect(moment(text)).resolves.toBe('1970-01-01T00:00:30.000Z');
  else await expect(moment(text)).rejects.toThrow(why);
});
