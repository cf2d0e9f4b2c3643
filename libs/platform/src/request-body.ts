import type { IncomingMessage } from 'node:http';
import { KmsError } from '#domain/errors';

const EMPTY = Buffer.alloc(0);

/**
 * Reads the body of a request, of at most `limit` bytes, and hands it over once, or why it could not be read. Fastify's own reading
 * binds an AsyncResource to each request, which on Node 20 takes 5 % of an Encrypt. That the length is the one
 * declared, and that it comes in time, is Node's to see to.
 */
export function readBody(
  request: IncomingMessage,
  limit: number,
  done: (body: Uint8Array) => void,
  failed: (error: KmsError) => void,
): void {
  if (Number(request.headers['content-length']) > limit) {
    failed(tooLarge(limit));
    return;
  }
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let length = 0;
  const onData = (chunk: Buffer): void => {
    length += chunk.length;
    if (length > limit) {
      end();
      failed(tooLarge(limit));
    } else if (first === undefined) {
      first = chunk;
    } else {
      more ??= [first];
      more.push(chunk);
    }
  };
  const onEnd = (): void => {
    end();
    done(more ? Buffer.concat(more, length) : (first ?? EMPTY));
  };
  const onError = (): void => {
    end();
    failed(new KmsError('SerializationException', 'The request could not be read.'));
  };
  const end = (): void => {
    request.off('data', onData).off('end', onEnd);
  };
  // Stays: what happens to a body that nobody reads any more must not end the process.
  request.once('error', onError);
  request.on('data', onData).on('end', onEnd);
}

const tooLarge = (limit: number): KmsError =>
  new KmsError('RequestEntityTooLargeException', `The request body has more than ${limit} bytes.`);
