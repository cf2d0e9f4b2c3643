import { randomBytes } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import type { GrantTokenReader } from '#operations/grants/grant-tokens';
import type { DataPorts } from '#operations/operation';
import { signRequest } from '#sigv4/sign';
import { deriveSigningKey } from '#sigv4/signing-key';
import { Projection } from '#views/projection';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { Callers } from './callers';
import { systemClock } from './clock';
import type { Dispatcher } from './dispatcher';
import { Health } from './health';
import { serveHttpEdge } from './http-edge';
import { protocolOf } from './http-protocols';
import { HTTP_LIMITS, type HttpLimits, type HttpServer, httpServer } from './http-server';
import { LocalDispatcher } from './local-dispatcher';
import { Metrics } from './metrics';
import type { SigningKeys } from './signing-keys';

const CREDENTIALS = { accessKeyId: 'AKIATEST', secretAccessKey: 'a secret of the test' };
const SHORT = { ...HTTP_LIMITS, headersTimeout: 1_000, requestTimeout: 2_000, connectionsCheckingInterval: 50 };

/** The real edge, with GenerateRandom behind it; ListKeys waits until `release` is called. */
async function start(limits: HttpLimits = SHORT, observed?: unknown[]) {
  const server: HttpServer = httpServer(undefined, limits);
  const http = server.adapter.getInstance();
  const observe = (error: unknown): void => {
    if (!observed) throw error;
    observed.push(error);
  };
  const data: Partial<DataPorts> = { random: randomBytes };
  const grantTokens: GrantTokenReader = { claimsOf: () => undefined, reached: () => {} };
  const tokenKey = new TokenIssuer(Buffer.alloc(TOKEN_SEED_LENGTH)).publicKey.export();
  const anchors = { rootAccessKeyId: CREDENTIALS.accessKeyId, tokenKey };
  const callers = new Callers('000000000000', new Projection(), anchors);
  const local = new LocalDispatcher(
    { data: data as DataPorts, serving: ALWAYS_SERVING, grantTokens },
    callers,
    systemClock,
    observe,
  );
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const dispatcher: Dispatcher = {
    dispatch: (operation, body, claim, requestId) => {
      if (operation.name === 'ListUsers') return { body: 'no JSON', status: 200 };
      return operation.name === 'ListKeys'
        ? released.then(() => ({ body: '{"Keys":[]}', status: 200 }))
        : local.dispatch(operation, body, claim, requestId);
    },
  };
  const signingKeys: SigningKeys = {
    identify: ({ date, region, service }) => ({
      account: '000000000000',
      principalId: 'root',
      signingKey: deriveSigningKey(CREDENTIALS.secretAccessKey, date, region, service),
    }),
  };
  const ports = { dispatcher, signingKeys, metrics: new Metrics(), health: new Health(), observe };
  serveHttpEdge(http as unknown as Parameters<typeof serveHttpEdge>[0], ports, server.admission);
  await http.listen({ port: 0, host: '127.0.0.1' });
  const { port } = http.server.address() as AddressInfo;
  return { port, metrics: ports.metrics, admission: server.admission, release, close: () => http.close() };
}

type Running = Awaited<ReturnType<typeof start>>;
let server: Running;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.release();
  await server.close();
});

const signed = (operation: string, body: string): Record<string, string> =>
  signRequest({
    ...CREDENTIALS,
    region: 'us-east-1',
    service: 'kms',
    timeMs: Date.now(),
    method: 'POST',
    path: '/',
    headers: {
      host: `127.0.0.1:${server.port}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${operation}`,
    },
    body: Buffer.from(body),
  });

function call(operation: string, body: string, agent?: Agent): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', headers: signed(operation, body), ...(agent && { agent }) };
    const sent = httpRequest(`http://127.0.0.1:${server.port}/`, options, (reply) => {
      let text = '';
      reply.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      reply.on('end', () => resolve({ status: reply.statusCode!, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The bytes of a whole signed request. */
function wire(operation: string, body: string): string {
  const lines = Object.entries(signed(operation, body)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST / HTTP/1.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body}`;
}

interface Open {
  socket: Socket;
  heard(): string;
  /** All that came until the server closed the connection. */
  ended: Promise<string>;
}

const open = (bytes = ''): Promise<Open> =>
  new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(server.port, '127.0.0.1');
    sockets.push(socket);
    const ended = new Promise<string>((done) => socket.once('close', () => done(text)));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.on('error', () => {});
      socket.write(bytes, () => resolve({ socket, ended, heard: () => text }));
    });
  });

/** Sends one byte now and then, for as long as it is let. */
async function dribble(head: string): Promise<Open> {
  const opened = await open(head);
  const timer = setInterval(() => opened.socket.writable && opened.socket.write('x'), 100);
  opened.socket.once('close', () => clearInterval(timer));
  return opened;
}

const HEADERS = 'POST / HTTP/1.1\r\nHost: a\r\nX-Slow: ';
const BODY = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n';

function expectTooSlow(text: string): void {
  const [head, body] = text.split('\r\n\r\n') as [string, string];
  expect(head).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nContent-Type: application\/x-amz-json-1\.1\r\n/);
  expect(head).toMatch(/\r\nx-amzn-RequestId: [0-9a-f-]{36}\r\n/);
  expect(JSON.parse(body)).toEqual({
    __type: 'RequestTimeoutException',
    message: 'The request did not arrive in time.',
  });
}

test('200 dribbling connections end with 408, and hold nobody else up', async () => {
  server = await start();
  const slow = await Promise.all(Array.from({ length: 200 }, (_, i) => dribble(i % 2 === 0 ? HEADERS : BODY)));
  let over = false;
  const ends = Promise.all(slow.map(({ ended }) => ended)).finally(() => {
    over = true;
  });
  const agent = new Agent({ keepAlive: true });
  let answers = 0;
  while (!over || answers < 50) {
    const { status, text } = await call('GenerateRandom', '{"NumberOfBytes":8}', agent);
    expect(status).toBe(200);
    expect(Buffer.from(JSON.parse(text).Plaintext, 'base64')).toHaveLength(8);
    if (answers++ === 0) expect(over).toBe(false);
  }
  agent.destroy();
  for (const text of await ends) expectTooSlow(text);
});

test('a connection that never says anything ends', async () => {
  server = await start();
  expectTooSlow(await (await open()).ended);
});

test('idle connections give way to new ones, the longest idle first, and never to a request that is being answered', async () => {
  server = await start({ ...HTTP_LIMITS, connections: 10 });
  const busy = await open(wire('ListKeys', '{}'));
  while (server.admission.inFlight === 0) await new Promise(setImmediate);
  const idle: Open[] = [];
  for (let i = 0; i < 9; i++) idle.push(await open());
  const more = await Promise.all(Array.from({ length: 5 }, () => open()));
  await Promise.all(idle.slice(0, 5).map(({ ended }) => ended));
  expect((await call('GenerateRandom', '{"NumberOfBytes":8}')).status).toBe(200);
  expect([...idle.slice(6), ...more].some(({ socket }) => socket.destroyed)).toBe(false);
  server.release();
  while (!busy.heard().includes('{"Keys":[]}')) await new Promise(setImmediate);
});

test('a connection that pipelines without end is told to wait, and others are served', async () => {
  server = await start({ ...HTTP_LIMITS, inFlightPerConnection: 4 });
  const flood = await open(wire('ListKeys', '{}').repeat(20));
  while (server.admission.inFlight < 4) await new Promise(setImmediate);
  expect((await call('GenerateRandom', '{"NumberOfBytes":8}')).status).toBe(200);
  expect(server.admission.inFlight).toBe(4);
  server.release();
  const answers = (): string[] => flood.heard().match(/\{"(Keys|__type)":[^}]*\}/g) ?? [];
  while (answers().length < 20) await new Promise(setImmediate);
  expect(answers().slice(0, 4)).toEqual(Array(4).fill('{"Keys":[]}'));
  expect(
    answers()
      .slice(4)
      .every((answer) => answer.includes('ThrottlingException')),
  ).toBe(true);
  expect(server.admission.inFlight).toBe(0);
});

test('beyond what a process can have in flight, requests are refused until some are answered', async () => {
  server = await start({ ...HTTP_LIMITS, inFlight: 3 });
  const waiting = [1, 2, 3].map(() => call('ListKeys', '{}'));
  while (server.admission.inFlight < 3) await new Promise(setImmediate);
  const refused = await call('GenerateRandom', '{"NumberOfBytes":8}');
  expect(refused.status).toBe(503);
  expect(JSON.parse(refused.text).__type).toBe('ServiceUnavailableException');
  server.release();
  for (const { status } of await Promise.all(waiting)) expect(status).toBe(200);
  expect((await call('GenerateRandom', '{"NumberOfBytes":8}')).status).toBe(200);
});

test('what is no HTTP after a request that is being answered is not answered in its place', async () => {
  server = await start();
  const { ended } = await open(`${wire('ListKeys', '{}')}no HTTP\r\n\r\n`);
  expect(await ended).toBe('');
});

test('a request without a Host header is refused in the form of any other', async () => {
  server = await start();
  const { socket, heard } = await open('POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}');
  while (!heard().includes('}')) await new Promise(setImmediate);
  socket.destroy();
  expect(heard()).toMatch(/^HTTP\/1\.1 400 .*\r\nContent-Type: application\/x-amz-json-1\.1\r\n/);
  expect(JSON.parse(heard().split('\r\n\r\n')[1]!)).toMatchObject({ __type: 'MissingAuthenticationTokenException' });
  const { host: _, ...hostless } = signed('ListKeys', '{}');
  const lines = Object.entries(hostless).map(([name, value]) => `${name}: ${value}\r\n`);
  const other = await open(`POST / HTTP/1.1\r\n${lines.join('')}Content-Length: 2\r\n\r\n{}`);
  while (!other.heard().includes('}')) await new Promise(setImmediate);
  expect(other.heard()).toMatch(/^HTTP\/1\.1 400 [\s\S]*Exception/);
});

test('the place of a request whose client went away is free again', async () => {
  server = await start({ ...HTTP_LIMITS, inFlight: 1 });
  const { socket } = await open(wire('ListKeys', '{}'));
  while (server.admission.inFlight === 0) await new Promise(setImmediate);
  socket.destroy();
  server.release();
  while (server.admission.inFlight > 0) await new Promise(setImmediate);
  expect((await call('GenerateRandom', '{"NumberOfBytes":8}')).status).toBe(200);
});

test('a reply that cannot be written is answered once, with an internal error, and counted as one', async () => {
  const observed: unknown[] = [];
  server = await start(SHORT, observed);
  const body = 'Action=ListUsers&Version=2010-05-08';
  const headers = signRequest({
    method: 'POST',
    path: '/',
    headers: { host: `127.0.0.1:${server.port}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(body),
    ...CREDENTIALS,
    region: 'us-east-1',
    service: 'iam',
    timeMs: Date.now(),
  });
  const reply = await fetch(`http://127.0.0.1:${server.port}/`, { method: 'POST', headers, body });
  expect(reply.status).toBe(500);
  expect(observed).toEqual([expect.any(SyntaxError)]);
  const counted = await server.metrics.registry.metrics();
  expect(counted).not.toMatch(/="OK"/);
});

test.each([
  ['at once', 'GenerateRandom', '{"NumberOfBytes":8}'],
  ['after a wait', 'ListKeys', '{}'],
])('the place of a request that cannot even be refused is free again: %s', async (_when, operation, body) => {
  const observed: unknown[] = [];
  server = await start({ ...HTTP_LIMITS, inFlight: 1 }, observed);
  server.release();
  const unwritable = new Error('cannot be written');
  const write = jest.spyOn(protocolOf('kms'), 'write').mockImplementation(() => {
    throw unwritable;
  });
  const { ended } = await open(wire(operation, body));
  expect(await ended).toBe('');
  write.mockRestore();
  expect(observed).toContain(unwritable);
  expect((await call('GenerateRandom', '{"NumberOfBytes":8}')).status).toBe(200);
});
