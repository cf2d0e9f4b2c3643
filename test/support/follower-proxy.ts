import { connect, createServer, type Socket } from 'node:net';
import { EVENTS_STREAM } from '#domain/subjects';
import { freePort } from './nats-server';

/** A TCP proxy between one service and nats-server that reads the protocol, and can have the service's view lag behind. */
export interface FollowerProxy {
  url: string;
  /** From now on nothing of the log comes through; requests, replies and what they say of the log's end do. */
  hold(): void;
  /** Lets through what was held, in order, and all that follows. */
  release(): void;
  /** From now on each message of the log comes through only once `messages` others that were sent after it have. */
  lag(messages: number): void;
  stop(): Promise<void>;
}

export interface FollowerProxyOptions {
  /** Whether the service may take part in answering a subject. Those of which every instance hears are not asked about. */
  answers?(subject: string): boolean;
}

interface Held {
  bytes: Buffer;
  /** How many other messages must have come through before. */
  due: number;
}

export async function startFollowerProxy(
  targetPort: number,
  { answers = () => true }: FollowerProxyOptions = {},
): Promise<FollowerProxy> {
  const sockets = new Set<Socket>();
  const streams = new Set<LaggingStream>();
  let lag = 0;
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    const stream = new LaggingStream(client, () => lag);
    streams.add(stream);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        streams.delete(stream);
        client.destroy();
        upstream.destroy();
      });
    }
    const asked = new Frames();
    client.on('data', (chunk) => {
      for (const { words, bytes } of asked.of(chunk)) {
        const [verb, subject = ''] = words;
        const isOfQueue = verb === 'SUB' && words.length === 4;
        if (!isOfQueue || answers(subject)) upstream.write(bytes);
      }
    });
    const answered = new Frames();
    upstream.on('data', (chunk) => {
      for (const frame of answered.of(chunk)) stream.take(frame);
    });
  });
  const port = await freePort();
  await new Promise<void>((ready) => server.listen(port, '127.0.0.1', ready));
  const letLag = (messages: number): void => {
    lag = messages;
    if (lag === 0) for (const stream of streams) stream.letGo();
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    hold: () => letLag(Number.POSITIVE_INFINITY),
    release: () => letLag(0),
    lag: letLag,
    stop: () =>
      new Promise((stopped) => {
        server.close(() => stopped());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** What the server sends to one connection. */
class LaggingStream {
  private readonly held: Held[] = [];
  /** Subscriptions that the log is delivered to. Their heartbeats must not come before what they count. */
  private readonly ofLog = new Set<string>();
  private passed = 0;

  constructor(
    private readonly client: Socket,
    private readonly lag: () => number,
  ) {}

  take({ words, bytes }: Frame): void {
    const [verb, , subscription = '', reply] = words;
    if (verb === 'MSG' || verb === 'HMSG') {
      if (reply?.startsWith(`$JS.ACK.${EVENTS_STREAM}.`)) this.ofLog.add(subscription);
      if (this.ofLog.has(subscription)) {
        if (this.lag() > 0 || this.held.length > 0) this.held.push({ bytes, due: this.passed + this.lag() });
        else this.client.write(bytes);
        return;
      }
    }
    this.client.write(bytes);
    this.passed++;
    while (this.held.length > 0 && this.held[0]!.due <= this.passed) this.client.write(this.held.shift()!.bytes);
  }

  letGo(): void {
    for (const { bytes } of this.held.splice(0)) this.client.write(bytes);
  }
}

interface Frame {
  /** Of its first line. */
  words: string[];
  bytes: Buffer;
}

/** Cuts one direction of a NATS connection into whole messages of the protocol. */
class Frames {
  private rest: Buffer = Buffer.alloc(0);

  *of(chunk: Buffer): Iterable<Frame> {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const lineEnd = this.rest.indexOf('\r\n');
      if (lineEnd < 0) return;
      const words = this.rest.toString('latin1', 0, lineEnd).split(' ');
      const hasPayload = /^H?(PUB|MSG)$/.test(words[0]!);
      const length = lineEnd + 2 + (hasPayload ? Number(words.at(-1)) + 2 : 0);
      if (this.rest.length < length) return;
      yield { words, bytes: this.rest.subarray(0, length) };
      this.rest = this.rest.subarray(length);
    }
  }
}
