import { connect, type NatsConnection } from 'nats';
import { KmsError } from '#domain/errors';
import { gatewaySubscription, HEADER_REPEATED, HEADER_REQUEST_ID } from '#domain/subjects';
import type { PlanePorts } from '#operations/operation';
import { Quotas } from '#operations/quotas/quotas';
import { OPERATION_TABLE } from '#operations/table';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import type { Callers } from './callers';
import type { Clock } from './clock';
import { MAX_BODY_BYTES } from './http-edge';
import { LocalDispatcher } from './local-dispatcher';
import { NatsDispatcher } from './nats-dispatcher';

const CALLER = { region: 'us-east-1', account: '000000000000', principalId: 'root', accessKeyId: 'AKIAROOT' };
const REQUEST_ID = '8c0c3863-e6c5-4f5a-99f1-27e414aafb91';
const ENCRYPT = OPERATION_TABLE.get('Encrypt')!;

let server: TestNats;
let nats: NatsConnection;

beforeAll(async () => {
  server = await startNats();
  nats = await connect({ servers: server.url });
});

afterAll(async () => {
  await nats?.close();
  await server?.stop();
});

const dispatch = (bytes: number) =>
  new NatsDispatcher(nats, 0, () => {}, 30_000).dispatch(ENCRYPT, Buffer.alloc(bytes), CALLER, REQUEST_ID);

describe('a request over NATS', () => {
  test('as large as the HTTP edge lets in arrives', async () => {
    const served = nats.subscribe(gatewaySubscription('Encrypt'), {
      callback: (_, message) => void message.respond(JSON.stringify({ bytes: message.data.length })),
    });
    const { body, status } = await dispatch(MAX_BODY_BYTES);
    served.unsubscribe();
    expect(JSON.parse(Buffer.from(body).toString())).toEqual({ bytes: MAX_BODY_BYTES });
    expect(status).toBe(200);
  });

  test('larger than the server takes is refused as too large, not as unanswered', async () => {
    const { error, status } = await dispatch(nats.info!.max_payload + 1);
    expect(error).toBe('RequestEntityTooLargeException');
    expect(status).toBe(413);
  });

  test('that is sent again for want of an answer says so, and is the same for the rest', async () => {
    const seen: (string | undefined)[][] = [];
    const served = nats.subscribe(gatewaySubscription('Encrypt'), {
      callback: (_, message) => {
        seen.push([HEADER_REQUEST_ID, HEADER_REPEATED].map((name) => message.headers?.get(name)));
        // The first is left alone, as by a worker whose view lags.
        if (seen.length > 1) message.respond('{}');
      },
    });
    const dispatcher = new NatsDispatcher(nats, 0, () => {}, 30_000, undefined, 100);
    const { error } = await dispatcher.dispatch(ENCRYPT, Buffer.from('{}'), CALLER, REQUEST_ID);
    served.unsubscribe();
    expect(error).toBeUndefined();
    expect(seen.slice(0, 2)).toEqual([
      [REQUEST_ID, ''],
      [REQUEST_ID, 'true'],
    ]);
  });
});

test('a request that changes something is sent once, and is given up when its answer is overdue', async () => {
  let seen = 0;
  const served = nats.subscribe(gatewaySubscription('CreateKey'), { callback: () => seen++ });
  const { error } = await new NatsDispatcher(nats, 0, () => {}, 100, undefined, 10).dispatch(
    OPERATION_TABLE.get('CreateKey')!,
    Buffer.from('{}'),
    CALLER,
    REQUEST_ID,
  );
  served.unsubscribe();
  expect({ error, seen }).toEqual({ error: 'DependencyTimeoutException', seen: 1 });
});

test('what is sent again is not charged again to the request quota', async () => {
  const callers = { prepared: () => undefined, resolve: () => fail() } as unknown as Callers;
  const fail = (): never => {
    throw new KmsError('UnrecognizedClientException', 'nobody');
  };
  const ports = { data: {}, serving: { assertHeld() {} }, grantTokens: {} } as unknown as PlanePorts;
  const clock = { now: () => 0 } as unknown as Clock;
  const quotas = new Quotas({ symmetric: 1 });
  const dispatcher = new LocalDispatcher(ports, callers, clock, () => {}, quotas);
  const ask = async (repeated?: boolean) =>
    (await dispatcher.dispatch(ENCRYPT, Buffer.from('{}'), { ...CALLER, repeated }, REQUEST_ID)).error;
  expect(await ask()).toBe('UnrecognizedClientException');
  for (let n = 0; n < 3; n++) expect(await ask(true)).toBe('UnrecognizedClientException');
  expect(await ask()).toBe('ThrottlingException');
  expect(quotas.refusals.get('symmetric')).toBe(1);
});
