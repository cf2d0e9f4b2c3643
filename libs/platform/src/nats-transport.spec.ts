import { connect, headers, type Msg, type NatsConnection } from 'nats';
import {
  gatewaySubject,
  HEADER_AFTER,
  HEADER_ERROR,
  HEADER_POSITION,
  HEADER_REQUEST_ID,
  principalToken,
  requestSubject,
} from '#domain/subjects';
import type { CallerClaim } from '#operations/caller';
import { LiveView } from '#views/live-view';
import { GOLDEN_COMMITS } from '../../../test/support/golden-commits';
import { ROOT_INBOX, requestAs } from '../../../test/support/nats-client';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import type { Dispatcher } from './dispatcher';
import { Metrics } from './metrics';
import { NatsTransport } from './nats-transport';

const ACCOUNT = '000000000000';
const REQUEST_ID = '8C0C3863-e6c5-4f5a-99f1-27e414aafb91';

let server: TestNats;
let nats: NatsConnection;
let service: NatsConnection;
let view: LiveView;
let metrics: Metrics;
let transport: NatsTransport;
let dispatched: { requestId: string; claim: CallerClaim; position: number }[];
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
  metrics = new Metrics();
  dispatched = [];
  observed = [];
  reply = () => ({ body: '{}', status: 200 });
  transport = new NatsTransport({
    nats: service,
    planes: new Set(['control', 'data']),
    dispatcher: {
      dispatch: (_operation, _body, claim, requestId) => {
        dispatched.push({ requestId, claim, position: view.position });
        return reply();
      },
    },
    view,
    metrics,
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

  test.each(['two words', 'tab\there', 'caf\u00e9'])(
    'is refused with the header %j, and is nobody’s error',
    async (name) => {
      const sent = headers();
      // As no client library sends it.
      (sent as unknown as { headers: Map<string, string[]> }).headers.set(name, ['x']);
      const subject = requestSubject('us-east-1', ACCOUNT, 'root', 'ListKeys');
      const refused = await nats.request(subject, '{}', { headers: sent, timeout: 20_000 });
      expect(errorOf(refused)).toEqual([
        'ValidationException',
        'Headers: expected names of printable ASCII without spaces.',
      ]);
      expect(dispatched).toEqual([]);
      expect(observed).toEqual([]);
    },
  );

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

  const vouched = {
    'Keytrail-Access-Key': 'AKIAEXAMPLE',
    'Keytrail-Source-Ip': '192.0.2.1',
    'Keytrail-Secure-Transport': 'true',
    'Keytrail-Repeated': 'true',
    'Keytrail-Tls': 'TLSv1.3 TLS_AES_256_GCM_SHA384 kms.example:8080',
    'Keytrail-Session-Token': 'token',
  };

  test('is of the principal in its subject, and its headers vouch for nothing but a session token', async () => {
    await ask(vouched);
    expect(dispatched[0]!.claim).toEqual({
      region: 'us-east-1',
      account: ACCOUNT,
      principalId: 'root',
      sessionToken: 'token',
    });
  });

  test('from a gateway has in its headers what the gateway has seen', async () => {
    const principalId = 'AROAEXAMPLE:build.42';
    const sent = headers();
    for (const [name, value] of Object.entries(vouched)) sent.set(name, value);
    const subject = gatewaySubject('us-east-1', ACCOUNT, principalToken(principalId), 'ListKeys');
    await nats.request(subject, '{}', { headers: sent, timeout: 20_000 });
    expect(dispatched[0]!.claim).toEqual({
      region: 'us-east-1',
      account: ACCOUNT,
      principalId,
      accessKeyId: 'AKIAEXAMPLE',
      sourceIp: '192.0.2.1',
      secureTransport: true,
      repeated: true,
      tls: {
        tlsVersion: 'TLSv1.3',
        cipherSuite: 'TLS_AES_256_GCM_SHA384',
        clientProvidedHostHeader: 'kms.example:8080',
      },
      sessionToken: 'token',
    });
  });

  test('from a gateway without an access key has an access key that nobody has', async () => {
    await nats.request(gatewaySubject('us-east-1', ACCOUNT, 'root', 'ListKeys'), '{}');
    expect(dispatched[0]!.claim.accessKeyId).toBe('none');
  });

  test.each([
    ['fourth', '12', 'root'],
    ['fifth', ACCOUNT, '%2e'],
    ['fifth', ACCOUNT, '%41'],
    ['fifth', ACCOUNT, '%'],
  ])('is refused where the %s token of its subject is none: %s %s', async (which, account, principal) => {
    const refused = await requestAs(nats, requestSubject('us-east-1', account, principal, 'ListKeys'), '{}');
    expect(errorOf(refused)).toEqual(['ValidationException', expect.stringContaining(`The ${which} token`)]);
  });

  test('waits for the position that it names', async () => {
    const waiting = ask({ [HEADER_AFTER]: '2' });
    await ask({});
    view.offer(GOLDEN_COMMITS[0]!);
    view.offer(GOLDEN_COMMITS[1]!);
    const answered = await waiting;
    expect(dispatched.map(({ position }) => position)).toEqual([0, 2]);
    expect(answered.headers?.get(HEADER_POSITION)).toBe('2');
  });

  test.each(['control', 'data'])(
    'whose reply is more than the server takes is told so, and counted so: %s',
    async (plane) => {
      const operation = plane === 'control' ? 'ListKeys' : 'Encrypt';
      reply = () => ({ body: 'x'.repeat(service.info!.max_payload + 1), status: 200 });
      const refused = await requestAs(nats, requestSubject('us-east-1', ACCOUNT, 'root', operation), '{}');
      expect(errorOf(refused)).toEqual(['KMSInternalException', 'The reply is larger than the NATS server takes.']);
      expect(observed).toHaveLength(1);
      const counted = await metrics.registry.metrics();
      expect(counted).toMatch(new RegExp(`operation="${operation}",[a-z]+="KMSInternalException"`));
      expect(counted).not.toMatch(/="OK"/);
      reply = () => ({ body: '{}', status: 200 });
      expect((await ask({})).json()).toEqual({});
    },
  );

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
