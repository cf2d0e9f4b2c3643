import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { SignedHead } from '#audit-log/tree-head';
import { signRequest } from '#sigv4/sign';
import { boundedBody, said } from './bounded-response';
import type { BucketPlace } from './publication-places';

export interface BucketOptions extends BucketPlace {
  region: string;
  /** A credentials file of AWS's: aws_access_key_id, aws_secret_access_key, perhaps aws_session_token. Read each time. */
  credentialsFile: string;
}

/** The bucket has not taken, or given, an object. The message says why. */
export class BucketError extends Error {
  override readonly name = 'BucketError';
}

const TIMEOUT_MS = 3_000;
const MAX_OBJECT = 64 * 1_024;

/** Keeps the newest head in one object of a bucket: of S3's API GetObject and PutObject, by path, signed (Signature Version 4). */
export class CheckpointBucket {
  constructor(
    private readonly options: BucketOptions,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  /**
   * Puts a head in the place of an older one. `open` reads what is there, and throws for what is none of this log's. Rejects
   * with BucketError where a newer one is there, or was put there meanwhile.
   */
  async keepHead(name: string, head: SignedHead, open: (note: Buffer) => SignedHead): Promise<void> {
    const there = await this.get(name);
    if (there) {
      if (there.bytes.equals(head.note)) return;
      const { size, time } = this.opened(name, there.bytes, open);
      if (size > head.size)
        throw new BucketError(`${this.called(name)} holds a newer head, of ${time} and size ${size}`);
    }
    await this.put(name, head.note, there);
  }

  /** Puts what never changes where it is not there yet. Rejects with BucketError where something else is. */
  async keepOnce(name: string, bytes: Buffer): Promise<void> {
    const there = (await this.get(name)) ?? (await this.putFirst(name, bytes));
    if (there && !there.bytes.equals(bytes)) throw new BucketError(`${this.called(name)} holds something else`);
  }

  /** What another has put there meanwhile. */
  private async putFirst(name: string, bytes: Buffer): Promise<{ bytes: Buffer } | undefined> {
    try {
      await this.put(name, bytes, undefined);
      return undefined;
    } catch (error) {
      const there = await this.get(name);
      if (!there) throw error;
      return there;
    }
  }

  private opened(name: string, bytes: Buffer, open: (note: Buffer) => SignedHead): SignedHead {
    try {
      return open(bytes);
    } catch (cause) {
      throw new BucketError(`${this.called(name)} is no head of this log: ${(cause as Error).message}`, { cause });
    }
  }

  private async get(name: string): Promise<{ bytes: Buffer; etag: string | undefined } | undefined> {
    const { response, body } = await this.send('GET', name);
    if (response.status === 404) {
      // An object that is not there, or a bucket: only the first is begun.
      if (body.includes('NoSuchBucket')) throw new BucketError(`${this.called(name)}: there is no such bucket`);
      return undefined;
    }
    if (response.status !== 200) throw this.refusal(name, response, body);
    return { bytes: body, etag: response.headers.get('etag') ?? undefined };
  }

  /** Only in the place of what was found there: of two who put at once the second is told. */
  private async put(name: string, bytes: Buffer, there: { etag: string | undefined } | undefined): Promise<void> {
    const condition: Record<string, string> = {};
    if (!there) condition['if-none-match'] = '*';
    else if (there.etag !== undefined) condition['if-match'] = there.etag;
    let { response, body } = await this.send('PUT', name, bytes, condition);
    // What does not know conditions is asked without.
    if (response.status === 501) ({ response, body } = await this.send('PUT', name, bytes));
    if (response.status === 412 || response.status === 409) {
      throw new BucketError(`${this.called(name)} was put by another meanwhile`);
    }
    if (response.status !== 200) throw this.refusal(name, response, body);
  }

  private async send(
    method: 'GET' | 'PUT',
    name: string,
    body: Buffer = Buffer.alloc(0),
    more: Record<string, string> = {},
  ): Promise<{ response: Response; body: Buffer }> {
    const { origin, bucket, prefix, region } = this.options;
    const path = `/${bucket}/${prefix}${name}`;
    const { host } = new URL(origin);
    const headers = signRequest({
      ...this.credentials(),
      ...{ region, service: 's3', timeMs: Date.now(), method, path, body },
      headers: { host, 'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'), ...more },
    });
    const { host: _host, ...sent } = headers;
    const response = await fetch(`${origin}${path}`, {
      method,
      headers: sent,
      redirect: 'error',
      signal: AbortSignal.timeout(this.timeoutMs),
      ...(method === 'PUT' && { body }),
    });
    return { response, body: await boundedBody(response, MAX_OBJECT) };
  }

  private credentials(): { accessKeyId: string; secretAccessKey: string; sessionToken?: string } {
    const path = this.options.credentialsFile;
    let values: NodeJS.Dict<string>;
    try {
      values = parseEnv(readFileSync(path, 'utf8').replace(/^\s*\[.*\]\s*$/gm, ''));
    } catch (error) {
      throw new BucketError(`the credentials of the bucket cannot be read: ${(error as Error).message}`);
    }
    const { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey, aws_session_token: token } = values;
    if (!accessKeyId || !secretAccessKey) {
      throw new BucketError(`${path}: expected aws_access_key_id and aws_secret_access_key`);
    }
    return { accessKeyId, secretAccessKey, ...(token && { sessionToken: token }) };
  }

  private called(name: string): string {
    const { origin, bucket, prefix } = this.options;
    return `${origin}/${bucket}/${prefix}${name}`;
  }

  private refusal(name: string, { status }: Response, body: Buffer): BucketError {
    const code = /<Code>([A-Za-z0-9]{1,60})<\/Code>/.exec(body.toString('latin1'))?.[1];
    return new BucketError(`${this.called(name)}: ${status} ${code ?? said(body)}`);
  }
}
