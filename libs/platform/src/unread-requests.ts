import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { FastifyReply } from 'fastify';
import { errorBody } from '#operations/run-operation';
import { CONTENT_TYPE } from '#operations/wire/wire';

const BODY = Buffer.from(errorBody('SerializationException', 'The request could not be read.'));

const headers = () => ({
  'Content-Type': CONTENT_TYPE,
  'Content-Length': BODY.length,
  'x-amzn-RequestId': randomUUID(),
});

/** Fastify's options for what fails before any route is found: answered in AWS's form, as everything else is. */
export const UNREAD_REQUESTS = {
  /** A path that is not percent-encoded as it should be. */
  frameworkErrors: (_error: unknown, _request: unknown, reply: FastifyReply): void => {
    reply.hijack();
    reply.raw.writeHead(400, headers());
    reply.raw.end(BODY);
  },

  /** What is no HTTP, or came too slowly or with too many headers. */
  clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || socket.destroyed) return;
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const lines = Object.entries(headers()).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(
      Buffer.concat([Buffer.from(`HTTP/1.1 400 Bad Request\r\n${lines.join('')}Connection: close\r\n\r\n`), BODY]),
    );
  },
};
