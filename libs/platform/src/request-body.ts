import type { IncomingMessage } from 'node:http';
import { KmsError } from '#domain/errors';

const EMPTY = Buffer.alloc(0);

/** A buffer takes some 200 bytes besides what is in it: a megabyte that comes byte by byte, from anybody, would take 200. */
const MOST_APART = 512;

/** What has come of a body, in memory that goes by its length, whatever pieces it comes in. */
export class BodyPieces {
  private readonly pieces: Buffer[] = [];
  /** How many of them, from the first, are pieces joined. */
  private joined = 0;

  get count(): number {
    return this.pieces.length;
  }

  add(piece: Buffer): void {
    this.pieces.push(piece);
    if (this.pieces.length - this.joined < MOST_APART) return;
    this.joined = this.pieces.push(Buffer.concat(this.pieces.splice(this.joined)));
  }

  whole(length: number): Buffer {
    return Buffer.concat(this.pieces, length);
  }
}

/** Far more than so many honest requests are under way with. */
const MOST_UNFINISHED = 134_217_728;

/**
 * What has come of bodies that are not whole yet, of all connections together: nobody has to say who he is before he sends the
 * most that a body may have, on every connection that he is let open.
 */
export class UnfinishedBodies {
  private bytes = 0;

  constructor(private readonly most = MOST_UNFINISHED) {}

  /** Whether there is room for so many more; `leave` gives it back. */
  enter(bytes: number): boolean {
    if (this.bytes + bytes > this.most) return false;
    this.bytes += bytes;
    return true;
  }

  leave(bytes: number): void {
    this.bytes -= bytes;
  }
}

const OF_THE_PROCESS = new UnfinishedBodies();

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
  unfinished = OF_THE_PROCESS,
): void {
  if (Number(request.headers['content-length']) > limit) {
    failed(tooLarge(limit));
    return;
  }
  let first: Buffer | undefined;
  let pieces: BodyPieces | undefined;
  let length = 0;
  let over = false;
  const onData = (chunk: Buffer): void => {
    if (length + chunk.length > limit) {
      end();
      failed(tooLarge(limit));
      return;
    }
    if (!unfinished.enter(chunk.length)) {
      end();
      failed(new KmsError('ServiceUnavailableException', 'Too many request bodies are on their way; try again.'));
      return;
    }
    length += chunk.length;
    if (first === undefined) {
      first = chunk;
    } else {
      if (!pieces) {
        pieces = new BodyPieces();
        pieces.add(first);
      }
      pieces.add(chunk);
    }
  };
  const onEnd = (): void => {
    end();
    done(pieces?.whole(length) ?? first ?? EMPTY);
  };
  const onError = (): void => {
    // The client of a body that was too large may go away too.
    if (over) return;
    end();
    failed(new KmsError('SerializationException', 'The request could not be read.'));
  };
  const end = (): void => {
    over = true;
    unfinished.leave(length);
    request.off('data', onData).off('end', onEnd);
  };
  // Stays: what happens to a body that nobody reads any more must not end the process.
  request.once('error', onError);
  request.on('data', onData).on('end', onEnd);
}

const tooLarge = (limit: number): KmsError =>
  new KmsError('RequestEntityTooLargeException', `The request body has more than ${limit} bytes.`);
