import { connect, type NatsConnection } from 'nats';
import { gatewaySubscription } from '#domain/subjects';
import { OPERATION_TABLE } from '#operations/table';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { NatsDispatcher } from './dispatch';
import { MAX_BODY_BYTES } from './http-edge';

const CALLER = { region: 'us-east-1', account: '000000000000', principalId: 'root', accessKeyId: 'AKIAROOT' };
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
  new NatsDispatcher(nats, 0, () => {}).dispatch(
    ENCRYPT,
    Buffer.alloc(bytes),
    CALLER,
    '8c0c3863-e6c5-4f5a-99f1-27e414aafb91',
  );

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
});
