import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BodyPieces, readBody, UnfinishedBodies } from './request-body';

const LIMIT = 16;
/** Of bodies that are not whole, together. */
const UNFINISHED = 20;

let server: Server;
let read: Promise<string>;
/** What it was told of bodies. */
let told: string[];
/** Bytes of bodies that have come. */
let come: number;

beforeEach(async () => {
  server = createServer();
  told = [];
  come = 0;
  const unfinished = new UnfinishedBodies(UNFINISHED);
  read = new Promise((resolve) => {
    const tell = (outcome: string): void => {
      told.push(outcome);
      resolve(outcome);
    };
    server.on('request', (request) => {
      readBody(
        request,
        LIMIT,
        (body) => tell(Buffer.from(body).toString()),
        (error) => tell(`${error.code}: ${error.message}`),
        unfinished,
      );
      request.on('data', ({ length }: Buffer) => {
        come += length;
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

async function client(): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

const CHUNKED = 'POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

test('a body in one piece is handed over', async () => {
  (await client()).write('POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody');
  expect(await read).toBe('body');
});

test('a body in pieces is handed over whole, up to the limit', async () => {
  (await client()).write(`${CHUNKED}${chunk('01234567')}${chunk('89ab')}${chunk('cdef')}0\r\n\r\n`);
  expect(await read).toBe('0123456789abcdef');
});

test('a request without a body has an empty one', async () => {
  (await client()).write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
  expect(await read).toBe('');
});

test('a length that is declared too large is refused before anything is read', async () => {
  (await client()).write('POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 17\r\n\r\n');
  expect(await read).toBe('RequestEntityTooLargeException: The request body has more than 16 bytes.');
});

test('a body that turns out too large is refused although more is to come', async () => {
  (await client()).write(`${CHUNKED}${chunk('0123456789abcdef')}${chunk('g')}`);
  expect(await read).toBe('RequestEntityTooLargeException: The request body has more than 16 bytes.');
});

test('a client that goes away once its body was too large is told of no more', async () => {
  const socket = await client();
  const begun = once(server, 'request');
  socket.write(`${CHUNKED}${chunk('0123456789abcdefg')}`);
  const [request] = (await begun) as [IncomingMessage];
  await read;
  const gone = new Promise((closed) => request.once('close', closed));
  socket.destroy();
  await gone;
  expect(told).toHaveLength(1);
});

test('bodies that are not whole yet have so much memory together, and what is given back is there for others', async () => {
  const begin = async (text: string): Promise<Socket> => {
    const socket = await client();
    const before = come;
    socket.write(`POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 16\r\n\r\n${text}`);
    while (come < before + text.length) await nextTurn();
    return socket;
  };
  const first = await begin('0123456789');
  const second = await begin('0123456789');
  await begin('0');
  expect(told).toEqual(['ServiceUnavailableException: Too many request bodies are on their way; try again.']);
  second.write('abcdef');
  while (told.length < 2) await nextTurn();
  first.destroy();
  while (told.length < 3) await nextTurn();
  expect(told.slice(1)).toEqual([
    'ServiceUnavailableException: Too many request bodies are on their way; try again.',
    'SerializationException: The request could not be read.',
  ]);
  (await begin('0123456789')).write('abcdef');
  while (told.length < 4) await nextTurn();
  expect(told.at(-1)).toBe('0123456789abcdef');
});

test('a body whose connection ends in the middle is refused, and nothing is thrown', async () => {
  const socket = await client();
  const begun = once(server, 'request');
  socket.write('POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbo');
  await begun;
  socket.destroy();
  expect(await read).toBe('SerializationException: The request could not be read.');
});

test('a body that comes byte by byte takes few buffers, and is whole at the end', () => {
  const body = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at & 0xff));
  const pieces = new BodyPieces();
  let most = 0;
  for (let at = 0; at < body.length; at++) {
    pieces.add(body.subarray(at, at + 1));
    most = Math.max(most, pieces.count);
  }
  expect(pieces.whole(body.length).equals(body)).toBe(true);
  expect(most).toBeLessThan(1_000);
});
