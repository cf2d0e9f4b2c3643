import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join, resolve } from 'node:path';
import { signRequest } from '#sigv4/sign';
import { MAIN, run } from './processes';
import type { SoftHsm } from './softhsm';

export interface XksCredential {
  accessKeyId: string;
  secretAccessKey: string;
}

/** apps/xks-proxy as a process of its own. */
export interface XksProxyProcess {
  readonly pid: number;
  readonly port: number;
  readonly endpoint: string;
  readonly exitCode: Promise<number | null>;
  /** All that it logged. */
  log(): string;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export const XKS_MAIN = resolve(__dirname, '../../dist/apps/xks-proxy/src/main.js');

/** Settings of a proxy over this token; its files are beside the token. */
export function xksSettings(hsm: SoftHsm, more: Record<string, string> = {}): Record<string, string> {
  const pinFile = join(hsm.folder, 'pin');
  writeFileSync(pinFile, `${hsm.pin}\n`);
  chmodSync(pinFile, 0o600);
  return {
    ...hsm.environment,
    KEYTRAIL_XKS_PORT: '0',
    KEYTRAIL_XKS_PKCS11_MODULE: hsm.module,
    KEYTRAIL_XKS_PKCS11_TOKEN: hsm.label,
    KEYTRAIL_XKS_PKCS11_PIN_FILE: pinFile,
    KEYTRAIL_XKS_ACCESS_FILE: join(hsm.folder, 'access.json'),
    // Whether the HSM is slow is not what most tests are about.
    KEYTRAIL_XKS_HSM_TIMEOUT_MS: '20000',
    ...more,
  };
}

/** Resolves once it serves; rejects with its log where it ends before. */
export async function startXksProxy(settings: Record<string, string>): Promise<XksProxyProcess> {
  const child = spawn(process.execPath, [XKS_MAIN], {
    env: { ...process.env, ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  const exitCode = new Promise<number | null>((done) => {
    child.once('exit', (code) => {
      running.delete(child);
      done(code);
    });
  });
  let log = '';
  const ready = await new Promise<{ port: number; endpoint: string }>((done, failed) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      const line = log.split('\n').find((one) => one.includes('"msg":"xks-proxy is ready"'));
      if (line) done(JSON.parse(line) as { port: number; endpoint: string });
    });
    void exitCode.then(() => failed(new Error(`xks-proxy ended before it was ready:\n${log}`)));
  });
  return {
    pid: child.pid!,
    ...{ port: ready.port, endpoint: ready.endpoint },
    exitCode,
    log: () => log,
    signal: (name) => void child.kill(name),
    stop: async () => {
      child.kill('SIGTERM');
      await exitCode;
    },
  };
}

/** `./keytrail xks ...` with these settings; its output. Rejects where it fails. */
export async function keytrailXks(settings: Record<string, string>, ...args: string[]): Promise<string> {
  const { code, output } = await run([MAIN, 'xks', ...args], settings).done;
  if (code !== 0) throw new Error(output);
  return output;
}

export async function newCredential(settings: Record<string, string>, ...args: string[]): Promise<XksCredential> {
  const told = JSON.parse(await keytrailXks(settings, 'create-credential', ...args)) as {
    XksProxyAuthenticationCredential: { AccessKeyId: string; RawSecretAccessKey: string };
  };
  const { AccessKeyId: accessKeyId, RawSecretAccessKey: secretAccessKey } = told.XksProxyAuthenticationCredential;
  return { accessKeyId, secretAccessKey };
}

/** Of the process that drives the HSM of another process. */
export function tokenProcessOf(pid: number): number | undefined {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = ids.find((id) => {
    try {
      const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${id}/stat`, 'latin1'))![1]);
      return parent === pid && readFileSync(`/proc/${id}/cmdline`, 'latin1').includes('token-process');
    } catch {
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}

export interface XksRequest {
  path: string;
  body: string | Buffer | object;
  credential: XksCredential;
  service?: string;
  region?: string;
  /** Milliseconds that the clock of whoever signs is off. */
  skewMs?: number;
  method?: string;
  /** Signed beside host and x-amz-date. */
  signedHeaders?: Record<string, string>;
  /** Put over the headers once they are signed; undefined takes one away. */
  changed?: Record<string, string | undefined>;
  /** Sent in place of what was signed. */
  sentBody?: string | Buffer;
  sentPath?: string;
}

export interface XksReply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: Record<string, unknown>;
}

export const bytesOf = (body: XksRequest['body']): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));

/** One request over HTTP, signed as AWS KMS signs, then spoilt as asked. */
export function sendXks(port: number, asked: XksRequest): Promise<XksReply> {
  const { path, credential, service = 'kms-xks-proxy', region = 'us-east-1', skewMs = 0, method = 'POST' } = asked;
  const body = bytesOf(asked.body);
  const headers: Record<string, string | undefined> = {
    ...signRequest({
      ...{ ...credential, region, service, timeMs: Date.now() + skewMs, method, path, body },
      headers: { host: `127.0.0.1:${port}`, ...asked.signedHeaders },
    }),
    'content-type': 'application/json',
    ...asked.changed,
  };
  const sent = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
  return rawXks(port, method, asked.sentPath ?? path, sent as Record<string, string>, asked.sentBody ?? body);
}

export function rawXks(
  port: number,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | Buffer = '',
): Promise<XksReply> {
  return new Promise((done, failed) => {
    const sending = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
        done({ status: response.statusCode!, headers: response.headers, text, json });
      });
    });
    sending.once('error', failed);
    sending.end(body);
  });
}
