import { connect, type NatsConnection } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { startNats, type TestNats } from '../../../test/support/nats-server';
import { describeEventStore } from './event-store.suite';
import { JetStreamEventStore } from './jetstream-event-store';
import { ensureEventStream } from './streams';

let server: TestNats;
let connections: NatsConnection[];

beforeAll(async () => {
  server = await startNats();
  connections = await Promise.all([1, 2].map(() => connect({ servers: server.url })));
});

afterAll(async () => {
  await Promise.all(connections.map((nc) => nc.close()));
  await server.stop();
});

describeEventStore('the event log in JetStream', async () => {
  const [first, second] = connections as [NatsConnection, NatsConnection];
  await ensureEventStream(first, { replicas: 1 });
  return {
    store: new JetStreamEventStore(first, { retryMs: 500 }),
    other: new JetStreamEventStore(second),
    close: async () => {
      await (await first.jetstreamManager()).streams.delete(EVENTS_STREAM);
    },
  };
});
