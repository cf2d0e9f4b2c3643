import { connect, headers, type Msg, type NatsConnection } from 'nats';
import { HEADER_AFTER, HEADER_ERROR, HEADER_POSITION, HEADER_REQUEST_ID, requestSubject } from '#domain/subjects';
import { LiveView } from '#views/live-view';
import { GOLDEN_COMMITS } from '../../../test/support/golden-commits';
import { ROOT_INBOX } from '../../../test/support/nats-client';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import type { Dispatcher } from './dispatch';
import { Metrics } from './metrics';
import { NatsTransport } from './nats-transport';

const ACCOUNT = '000000000000';
const REQUEST_ID = '8C0C3863-e6c5-4f5a-99f1-27e414aafb91';

let server: TestNats;
let nats: NatsConnection;
let service: NatsConnection;
let view: LiveView;
let transport: NatsTransport;
let dispatched: { requestId: string; region: string; position: number }[];
let observed: unknown[];
/** What the dispatcher answers with. */
let reply: () => ReturnType<Dispatcher['dispatch']>;

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url, inboxPrefix: ROOT_INBOX });
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

beforeEach(async () => {
  service = await connect({ servers: server.url });
  view = new LiveView();
  dispatched = [];
  observed = [];
  reply = () => ({ body: '{}', status: 200 });
  transport = new NatsTransport({
    nats: service,
    planes: new Set(['control']),
    accountId: ACCOUNT,
    dispatcher: {
      dispatch: (_operation, _body, { region }, requestId) => {
        dispatched.push({ requestId, region, position: view.position });
        return reply();
      },
    },
    view,
    metrics: new Metrics(),
    observe: (error) => observed.push(error),
  });
  await new Promise((listening) => transport.listen(listening));
});

afterEach(async () => {
  await service.close();
});

function ask(given: Record<string, string>, region = 'us-east-1'): Promise<Msg> {
  const sent = headers();
  for (const [name, value] of Object.entries(given)) sent.set(name, value);
  return nats.request(requestSubject(region, ACCOUNT, 'root', 'ListKeys'), '{}', { headers: sent, timeout: 20_000 });
}

const errorOf = (message: Msg): [string | undefined, string] => [
  message.headers?.get(HEADER_ERROR),
  message.json<{ message: string }>().message,
];

describe('a request over NATS', () => {
  test('goes under the id it came with, or under one of its own', async () => {
    await ask({ [HEADER_REQUEST_ID]: REQUEST_ID });
    await ask({});
    expect(dispatched[0]!.requestId).toBe(REQUEST_ID);
    expect(dispatched[1]!.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each(['1', 'x'.repeat(36), `${REQUEST_ID}0`, `{${REQUEST_ID}}`])('is refused under the id %s', async (id) => {
    const refused = await ask({ [HEADER_REQUEST_ID]: id });
    expect(errorOf(refused)).toEqual(['ValidationException', 'Keytrail-Request-Id: expected a UUID.']);
    expect(dispatched).toEqual([]);
  });

  test.each(['US_EAST_1', '-', 'a'.repeat(40), 'us:east'])('is refused for a region named %s', async (region) => {
    expect(errorOf(await ask({}, region))).toEqual([
      'ValidationException',
      'The third token of the subject: expected a region name.',
    ]);
    expect(dispatched).toEqual([]);
  });

  test.each(['-1', '1.5', 'one', '1e3', 'Infinity', '9007199254740992', '0x1'])(
    'is refused after the position %s',
    async (after) => {
      const [code, message] = errorOf(await ask({ [HEADER_AFTER]: after }));
      expect([code, message]).toEqual([
        'ValidationException',
        'Keytrail-After: expected a whole number from 0 to 2^53 - 1.',
      ]);
      expect(dispatched).toEqual([]);
    },
  );

  test('waits for the position that it names', async () => {
    const waiting = ask({ [HEADER_AFTER]: '2' });
    await ask({});
    view.offer(GOLDEN_COMMITS[0]!);
    view.offer(GOLDEN_COMMITS[1]!);
    const answered = await waiting;
    expect(dispatched.map(({ position }) => position)).toEqual([0, 2]);
    expect(answered.headers?.get(HEADER_POSITION)).toBe('2');
  });

  test('that has begun is answered before a stop ends, and none is taken after', async () => {
    let finish: (done: { body: string; status: number }) => void = () => {};
    const begun = new Promise<void>((resolve) => {
      reply = () => {
        resolve();
        return new Promise((done) => {
          finish = done;
        });
      };
    });
    const waiting = ask({});
    await begun;
    const closed = transport.close();
    // Flushed behind the end of the subscription.
    await service.flush();
    await expect(ask({})).rejects.toMatchObject({ code: '503' });
    finish({ body: '{"whole":true}', status: 200 });
    await closed;
    expect((await waiting).json()).toEqual({ whole: true });
  });

  test('whose answer comes after the connection was closed leaves no error behind', async () => {
    let finish: (done: { body: string; status: number }) => void = () => {};
    const begun = new Promise<void>((resolve) => {
      reply = () => {
        resolve();
        return new Promise((done) => {
          finish = done;
        });
      };
    });
    ask({}).catch(() => {});
    await begun;
    await service.close();
    finish({ body: '{}', status: 200 });
    await transport.close();
    expect(observed).toEqual([]);
  });
});
