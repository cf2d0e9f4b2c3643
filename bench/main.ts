import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { connect, type NatsConnection } from 'nats';
import { encodeCommit, NO_HASH } from '#domain/commit';
import { eventSubject, requestSubject } from '#domain/subjects';
import { signRequest } from '#sigv4/sign';
import { Projection } from '#views/projection';

/** One measured case. */
interface Row {
  name: string;
  connections: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU of the serving process for a request, in us; absent where it was not taken. */
  cpuUs?: number;
}

const SECONDS = process.argv.includes('--quick') ? 1 : 4;
const ROOT = join(__dirname, '..', '..');
const REGION = 'us-east-1';
const ACCOUNT = '000000000000';
const CREDENTIALS = { accessKeyId: 'AKIABENCH', secretAccessKey: 'bench-secret-key' };
const children: ChildProcess[] = [];
const rows: Row[] = [];

/** CPU that a process has used, in ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function start(script: string, args: string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [join(ROOT, script), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  children.push(child);
  return child;
}

async function answering(url: string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (
      await fetch(url).then(
        (response) => response.status < 500,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} does not answer`);
}

const signed = (port: number, operation: string, body: string, credentials = CREDENTIALS): Record<string, string> =>
  signRequest({
    ...credentials,
    region: REGION,
    service: 'kms',
    timeMs: Date.now(),
    method: 'POST',
    path: '/',
    headers: {
      host: `127.0.0.1:${port}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${operation}`,
    },
    body: Buffer.from(body),
  });

async function call(port: number, operation: string, request: object): Promise<Record<string, string>> {
  const body = JSON.stringify(request);
  const headers = signed(port, operation, body);
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body });
  const reply = (await response.json()) as Record<string, string>;
  if (!response.ok) throw new Error(`${operation}: ${JSON.stringify(reply)}`);
  return reply;
}

/** The same over a connection of its own. */
const callOnce = (port: number, operation: string, request: object): Promise<void> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify(request);
    const options = { port, method: 'POST', agent: false as const, headers: signed(port, operation, body) };
    const sent = httpRequest(options, (response) => {
      response.resume();
      response.once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${operation} failed`))));
    });
    sent.once('error', reject);
    sent.end(body);
  });

async function overHttp(
  name: string,
  port: number,
  operation: string,
  request: object,
  connections: number,
  pid?: number,
) {
  process.stderr.write(`bench: ${name}, ${connections} connections\n`);
  const body = JSON.stringify(request);
  const before = pid === undefined ? 0 : cpuMs(pid);
  const result = await autocannon({
    url: `http://127.0.0.1:${port}/`,
    method: 'POST',
    headers: signed(port, operation, body),
    body,
    connections,
    duration: SECONDS,
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${name}: ${result.non2xx} refused, ${result.errors} failed`);
  const row: Row = {
    name,
    connections,
    perSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  };
  if (pid !== undefined) row.cpuUs = ((cpuMs(pid) - before) * 1000) / result.requests.total;
  rows.push(row);
}

/** Keeps `inFlight` calls going for the bench's time. */
async function loop(name: string, inFlight: number, once: () => Promise<unknown>): Promise<void> {
  process.stderr.write(`bench: ${name}, ${inFlight} in flight\n`);
  const took: number[] = [];
  const started = performance.now();
  const end = started + SECONDS * 1000;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < end) {
        const begun = performance.now();
        await once();
        took.push(performance.now() - begun);
      }
    }),
  );
  took.sort((a, b) => a - b);
  const at = (share: number): number => took[Math.floor((took.length - 1) * share)] ?? 0;
  const perSecond = (took.length * 1000) / (performance.now() - started);
  rows.push({ name, connections: inFlight, perSecond, p50Ms: at(0.5), p99Ms: at(0.99) });
}

/** Folding alone: commits of 1,000 keys, each created and then described anew. */
function replayRate(): void {
  process.stderr.write('bench: replay\n');
  const projection = new Projection();
  const commits: { seq: number; subject: string; bytes: Buffer }[] = [];
  const source = new Projection();
  for (let seq = 1; seq <= 100_000; seq++) {
    const id = `00000000-0000-4000-8000-${String(seq % 1000).padStart(12, '0')}`;
    const ref = { region: REGION, account: ACCOUNT, aggregate: 'key' as const, id };
    const before = source.key(REGION, ACCOUNT, id);
    const event = before
      ? { type: 'KeyDescriptionUpdated' as const, v: 1 as const, description: `description ${seq}` }
      : {
          type: 'KeyCreated' as const,
          v: 1 as const,
          description: '',
          keyUsage: 'ENCRYPT_DECRYPT' as const,
          keySpec: 'SYMMETRIC_DEFAULT' as const,
          origin: 'AWS_KMS' as const,
          multiRegion: false,
          policy: '{}',
          tags: [],
          materialId: NO_HASH,
        };
    const bytes = encodeCommit({
      ...ref,
      schema: 1,
      version: (before?.version ?? 0) + 1,
      prevHash: before?.hash ?? NO_HASH,
      time: '2026-01-01T00:00:00.000Z',
      principal: `arn:aws:iam::${ACCOUNT}:root`,
      requestId: '00000000-0000-4000-8000-000000000000',
      operation: 'Bench',
      events: [event],
    });
    const entry = { seq, subject: eventSubject(ref), bytes };
    source.apply(entry);
    commits.push(entry);
  }
  const started = performance.now();
  for (const commit of commits) projection.apply(commit);
  const seconds = (performance.now() - started) / 1000;
  rows.push({ name: 'replay (fold, events)', connections: 1, perSecond: commits.length / seconds, p50Ms: 0, p99Ms: 0 });
}

function print(): string {
  const floor = (connections: number): number =>
    rows.find((row) => row.name === 'floor: bare Fastify' && row.connections === connections)?.perSecond ?? Number.NaN;
  const lines = rows.map((row) => {
    const http = row.name.startsWith('HTTP') || row.name.startsWith('moto');
    const ratio = http ? (row.perSecond / floor(row.connections)).toFixed(2) : '';
    const cpu = row.cpuUs === undefined ? '' : row.cpuUs.toFixed(0);
    return `| ${row.name} | ${row.connections} | ${Math.round(row.perSecond)} | ${row.p50Ms.toFixed(2)} | ${row.p99Ms.toFixed(2)} | ${cpu} | ${ratio} |`;
  });
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, node ${process.version}; client on the same machine`;
  return `${machine}\n\n| case | connections | per second | p50 ms | p99 ms | CPU us | of the floor |\n| --- | --- | --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`;
}

async function natsCases(nats: NatsConnection, request: object): Promise<void> {
  const body = JSON.stringify(request);
  const subject = requestSubject(REGION, ACCOUNT, 'root', 'Encrypt');
  for (const inFlight of [1, 32]) {
    await loop('floor: bare NATS echo', inFlight, () => nats.request('bench.echo', body, { timeout: 10_000 }));
    await loop('NATS Encrypt', inFlight, () => nats.request(subject, body, { timeout: 10_000 }));
  }
}

async function moto(request: object): Promise<void> {
  const port = 4690;
  const child = spawn('moto_server', ['-p', String(port)], { stdio: 'ignore' });
  children.push(child);
  const missing = new Promise<boolean>((resolve) => child.once('error', () => resolve(true)));
  if (await Promise.race([missing, answering(`http://127.0.0.1:${port}/moto-api/`).then(() => false)])) {
    process.stderr.write('bench: no moto_server on PATH; left out\n');
    return;
  }
  const created = (await call(port, 'CreateKey', {})) as unknown as { KeyMetadata: { KeyId: string } };
  // moto's server stalls on a connection that is used again, so each of its requests gets one of its own.
  for (const inFlight of [1, 32]) {
    await loop('moto_server Encrypt', inFlight, () =>
      callOnce(port, 'Encrypt', { ...request, KeyId: created.KeyMetadata.KeyId }),
    );
  }
}

async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'keytrail-bench-'));
  try {
    const floor = start('dist/bench/floor.js', [], { BENCH_PORT: '4688' });
    const server = start('dist/apps/keytrail/src/main.js', ['start'], {
      KEYTRAIL_DATA_DIR: dataDir,
      KEYTRAIL_PORT: '4689',
      KEYTRAIL_LOG_LEVEL: 'error',
      KEYTRAIL_ROOT_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      KEYTRAIL_ROOT_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    });
    await answering('http://127.0.0.1:4688/');
    await answering('http://127.0.0.1:4689/healthz');
    const created = (await call(4689, 'CreateKey', {})) as unknown as { KeyMetadata: { KeyId: string } };
    const { KeyId } = created.KeyMetadata;
    const encrypt = { KeyId, Plaintext: Buffer.alloc(64, 1).toString('base64') };
    const { CiphertextBlob } = await call(4689, 'Encrypt', encrypt);
    for (const connections of [1, 32]) {
      await overHttp('floor: bare Fastify', 4688, 'Encrypt', encrypt, connections, floor.pid);
      await overHttp('HTTP Encrypt', 4689, 'Encrypt', encrypt, connections, server.pid);
      await overHttp('HTTP Decrypt', 4689, 'Decrypt', { CiphertextBlob }, connections, server.pid);
      await overHttp(
        'HTTP GenerateDataKey',
        4689,
        'GenerateDataKey',
        { KeyId, KeySpec: 'AES_256' },
        connections,
        server.pid,
      );
      await overHttp('HTTP CreateKey (durable)', 4689, 'CreateKey', {}, connections, server.pid);
    }
    const endpoint = JSON.parse(readFileSync(join(dataDir, 'nats', 'endpoint.json'), 'utf8')) as {
      url: string;
      users: { embedded: { user: string; password: string } };
    };
    const { user, password: pass } = endpoint.users.embedded;
    start('dist/bench/floor.js', [], { BENCH_NATS: endpoint.url, BENCH_USER: user, BENCH_PASSWORD: pass });
    const nats = await connect({ servers: endpoint.url, user, pass });
    while (
      !(await nats.request('bench.echo', '', { timeout: 500 }).then(
        () => true,
        () => false,
      ))
    );
    await natsCases(nats, encrypt);
    await nats.close();
    replayRate();
    await moto(encrypt);
    process.stdout.write(print());
    mkdirSync(join(ROOT, '.bench'), { recursive: true });
    const commit = execFileSync('git', ['-C', ROOT, 'rev-parse', 'HEAD'], { encoding: 'utf8' }).trim();
    writeFileSync(
      join(ROOT, '.bench', 'results.json'),
      `${JSON.stringify({ commit, seconds: SECONDS, rows }, null, 2)}\n`,
    );
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(
      children.map((child) => child.exitCode ?? new Promise((resolve) => child.once('close', resolve))),
    );
    rmSync(dataDir, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
