import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseCheckpoint } from '#audit-log/checkpoint';
import { cosign } from '#audit-log/cosignature';
import { encodeNote, parseNote } from '#audit-log/note';
import {
  encodeVerifierKey,
  isSignedBy,
  type SignerKey,
  signerKey,
  signWith,
  type VerifierKey,
} from '#audit-log/note-key';
import { verifyConsistency } from '#audit-log/verify-merkle-proof';

interface Seen {
  size: number;
  root: Buffer;
}

interface Answer {
  status: number;
  body?: string;
  type?: string;
}

/**
 * A witness as C2SP tlog-witness has it, on loopback: it answers every request that the specification does not allow with
 * the status that it names, and keeps what it has cosigned.
 */
export class WitnessServer {
  readonly key: SignerKey;
  /** What it has been asked, and how it answered. */
  readonly answers: { path: string; old: string; status: number }[] = [];
  /** Of each origin the newest that it has cosigned. */
  readonly seen = new Map<string, Seen>();
  private readonly logs = new Map<string, VerifierKey>();
  private server: Server | undefined;
  private port = 0;

  constructor(name: string, seed: number) {
    this.key = signerKey(name, Buffer.alloc(32, seed), 'cosignature');
  }

  get verifierKey(): string {
    return encodeVerifierKey(this.key);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/prefix`;
  }

  /** The origin of a log is the name of its key. */
  trust(log: VerifierKey): void {
    this.logs.set(log.name, log);
  }

  async start(port = this.port): Promise<void> {
    this.server = createServer((request, response) => {
      void bodyOf(request).then(async (body) => {
        const { status, body: text = '', type = 'text/plain' } = await this.answer(request, body);
        this.answers.push({ path: request.url!, old: body.toString('utf8').split('\n')[0]!, status });
        response.writeHead(status, { 'content-type': type }).end(text);
      });
    });
    await new Promise<void>((done) => this.server!.listen(port, '127.0.0.1', done));
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    server?.closeAllConnections();
    await new Promise((done) => (server ? server.close(done) : done(undefined)));
  }

  private async answer({ method, url }: IncomingMessage, body: Buffer): Promise<Answer> {
    if (url !== '/prefix/add-checkpoint') return { status: 404 };
    if (method !== 'POST') return { status: 405 };
    const text = body.toString('utf8');
    const parts = /^old (0|[1-9][0-9]*)\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n([\s\S]+)$/.exec(text);
    if (!parts || !Buffer.from(text, 'utf8').equals(body)) return { status: 400, body: 'no add-checkpoint request' };
    const [, old, proof, note] = parts as unknown as [string, string, string, string];
    let signed: ReturnType<typeof parseNote>;
    let checkpoint: ReturnType<typeof parseCheckpoint>;
    try {
      signed = parseNote(Buffer.from(note, 'utf8'));
      checkpoint = parseCheckpoint(signed.text);
    } catch {
      return { status: 400, body: 'no checkpoint' };
    }
    const log = this.logs.get(checkpoint.origin);
    if (!log) return { status: 404, body: 'unknown origin' };
    const known = signed.signatures.filter(({ name, keyId }) => name === log.name && keyId === log.id);
    const message = Buffer.from(signed.text, 'utf8');
    if (!known.some(({ signature }) => isSignedBy(log, message, signature))) return { status: 403 };
    const oldSize = Number(old);
    if (oldSize > checkpoint.size) return { status: 400, body: 'old above new' };
    const before = this.seen.get(checkpoint.origin) ?? { size: 0, root: Buffer.alloc(0) };
    const conflict = { status: 409, body: `${before.size}\n`, type: 'text/x.tlog.size' };
    if (oldSize !== before.size) return conflict;
    if (oldSize === checkpoint.size && !before.root.equals(checkpoint.root)) return conflict;
    const hashes = proof
      .split('\n')
      .slice(0, -1)
      .map((line) => Buffer.from(line, 'base64'));
    if (oldSize === 0 && hashes.length > 0) return { status: 422 };
    try {
      verifyConsistency(before.size === 0 ? checkpoint : before, checkpoint, hashes);
    } catch {
      return { status: 422 };
    }
    // Nothing is awaited between the comparison and this.
    this.seen.set(checkpoint.origin, { size: checkpoint.size, root: checkpoint.root });
    const time = Math.floor(Date.now() / 1000);
    const line = await cosign(signed.text, time, this.key, (bytes) => signWith(this.key, bytes));
    const whole = encodeNote({ text: signed.text, signatures: [line] }).toString('utf8');
    return { status: 200, body: whole.slice(whole.lastIndexOf('\n\n') + 2) };
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
