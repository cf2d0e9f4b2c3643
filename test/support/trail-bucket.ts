import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { metadataFile } from '#platform/trail-files/trail-writer';

/** A folder of trail files as a bucket of S3, as far as `aws cloudtrail validate-logs` asks for it. */
export interface TrailBucket {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export async function serveBucket(folder: string, bucket: string): Promise<TrailBucket> {
  const server = createServer((request, response) => answer(folder, bucket, request, response));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop: () => closed(server) };
}

const closed = (server: Server): Promise<void> =>
  new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });

/** The objects of a folder: all files but those that hold what is metadata in S3. */
export const objectsIn = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.json.gz'))
        .sort()
    : [];

function answer(folder: string, bucket: string, { url = '/' }: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(url, 'http://bucket');
  const xml = (status: number, body: string): void => {
    response.writeHead(status, { 'Content-Type': 'application/xml' }).end(`<?xml version="1.0"?>${body}`);
  };
  const [name, ...path] = decodeURIComponent(pathname).slice(1).split('/');
  const key = path.join('/');
  const objects = objectsIn(folder);
  if (name !== bucket) xml(404, '<Error><Code>NoSuchBucket</Code></Error>');
  else if (searchParams.has('location')) xml(200, '<LocationConstraint/>');
  else if (key === '') {
    const marker = searchParams.get('marker') ?? '';
    const prefix = searchParams.get('prefix') ?? '';
    const keys = objects.filter((object) => object.startsWith(prefix) && object > marker);
    const contents = keys.map((object) => `<Contents><Key>${object}</Key></Contents>`).join('');
    xml(200, `<ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`);
  } else if (!objects.includes(key)) xml(404, '<Error><Code>NoSuchKey</Code></Error>');
  else response.writeHead(200, metadataHeaders(join(folder, key))).end(readFileSync(join(folder, key)));
}

function metadataHeaders(path: string): Record<string, string> {
  try {
    const metadata = JSON.parse(readFileSync(metadataFile(path), 'utf8')) as Record<string, string>;
    return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`x-amz-meta-${name}`, value]));
  } catch {
    return {};
  }
}
