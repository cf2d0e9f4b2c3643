import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { ERRORS, type ErrorCode } from '#domain/errors';
import { errorBody } from '#operations/operation-reply';
import { CONTENT_TYPE } from '#operations/wire/wire';

const refusal = (code: ErrorCode, message: string) => ({
  status: ERRORS[code].status,
  body: Buffer.from(errorBody(code, message)),
});
const UNREADABLE = refusal('SerializationException', 'The request could not be read.');
const TOO_SLOW = refusal('RequestTimeoutException', 'The request did not arrive in time.');

const headers = (body: Buffer) => ({
  'Content-Type': CONTENT_TYPE,
  'Content-Length': body.length,
  'x-amzn-RequestId': randomUUID(),
});

/** How long the client has to take the refusal before the connection is gone. */
const LINGER_MS = 1_000;

/**
 * Fastify's options for what fails before any route is found: answered in AWS's form, as everything else is. While an
 * earlier request on the connection is being answered, a refusal would be taken for its answer: then it just ends.
 */
export const unreadRequests = (isServing: (socket: Socket) => boolean) => ({
  /** A path that is not percent-encoded as it should be. */
  frameworkErrors: (_error: unknown, _request: unknown, reply: FastifyReply): void => {
    reply.hijack();
    reply.raw.writeHead(UNREADABLE.status, headers(UNREADABLE.body));
    reply.raw.end(UNREADABLE.body);
  },

  /** What is no HTTP, or came too slowly or with too many headers; over TLS also a handshake that failed. */
  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket): void => {
    const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const unreadable = error.code?.startsWith('HPE_') ?? false;
    if (!(tooSlow || unreadable) || !socket.writable || isServing(socket)) {
      socket.destroy();
      return;
    }
    const { status, body } = tooSlow ? TOO_SLOW : UNREADABLE;
    const lines = Object.entries(headers(body)).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}Connection: close\r\n\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), body]));
    // Closed at once, bytes that are still coming in would reset the connection before the refusal is read.
    socket.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  },
});
