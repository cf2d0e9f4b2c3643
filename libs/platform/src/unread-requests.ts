import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { ERRORS, type ErrorCode } from '#domain/errors';
import { errorBody } from '#operations/operation-reply';
import { CONTENT_TYPE } from '#operations/wire/wire';

export interface UnreadRefusal {
  status: number;
  contentType: string;
  body: Buffer;
}

/** How an API answers what it could not read. */
export interface UnreadRefusals {
  unreadable: UnreadRefusal;
  tooSlow: UnreadRefusal;
}

const refusal = (code: ErrorCode, message: string): UnreadRefusal => ({
  status: ERRORS[code].status,
  contentType: CONTENT_TYPE,
  body: Buffer.from(errorBody(code, message)),
});

export const KMS_REFUSALS: UnreadRefusals = {
  unreadable: refusal('SerializationException', 'The request could not be read.'),
  tooSlow: refusal('RequestTimeoutException', 'The request did not arrive in time.'),
};

const headers = ({ contentType, body }: UnreadRefusal) => ({
  'Content-Type': contentType,
  'Content-Length': body.length,
  'x-amzn-RequestId': randomUUID(),
});

/** How long the client has to take the refusal before the connection is gone. */
const LINGER_MS = 1_000;

/**
 * Fastify's options for what fails before any route is found: answered in the API's form, as everything else is. While an
 * earlier request on the connection is being answered, a refusal would be taken for its answer: then it just ends.
 */
export const unreadRequests = (isServing: (socket: Socket) => boolean, { unreadable, tooSlow }: UnreadRefusals) => ({
  /** A path that is not percent-encoded as it should be. */
  frameworkErrors: (_error: unknown, _request: unknown, reply: FastifyReply): void => {
    reply.hijack();
    reply.raw.writeHead(unreadable.status, headers(unreadable));
    reply.raw.end(unreadable.body);
  },

  /** What is no HTTP, or came too slowly or with too many headers; over TLS also a handshake that failed. */
  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket): void => {
    const isTooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    const isUnreadable = error.code?.startsWith('HPE_') ?? false;
    if (!(isTooSlow || isUnreadable) || !socket.writable || isServing(socket)) {
      socket.destroy();
      return;
    }
    const refused = isTooSlow ? tooSlow : unreadable;
    const { status, body } = refused;
    const lines = Object.entries(headers(refused)).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}Connection: close\r\n\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), body]));
    // Closed at once, bytes that are still coming in would reset the connection before the refusal is read.
    socket.resume();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  },
});
