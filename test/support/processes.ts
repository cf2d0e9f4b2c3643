import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, type AgentOptions } from 'node:https';
import { join, resolve } from 'node:path';
import { parseEnv } from 'node:util';
import { KMSClient } from '@aws-sdk/client-kms';
import { findNatsServer } from './nats-server';
import { observed } from './observed-errors';

/** The embedded server as its own process, so that a suite can see it die. */
export interface KeytrailProcess {
  readonly pid: number;
  readonly endpoint: string;
  readonly kms: KMSClient;
  /** Resolves once the process is gone, with the signal that ended it. */
  readonly gone: Promise<NodeJS.Signals | null>;
  /** Resolves once the process is gone; null where a signal ended it. */
  readonly exitCode: Promise<number | null>;
  /** The last of what it logged. */
  log(): string;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

export const MAIN = resolve(__dirname, '../../dist/apps/keytrail/src/main.js');

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

const environment = (dataDir: string, extra: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  KEYTRAIL_DATA_DIR: dataDir,
  KEYTRAIL_PORT: '0',
  KEYTRAIL_LOG_LEVEL: 'info',
  NATS_SERVER: findNatsServer(),
  ...extra,
});

/** Starts it on a free port; resolves when it is ready, rejects with its log when it ends before. */
export async function startProcess(dataDir: string, extra: Record<string, string> = {}): Promise<KeytrailProcess> {
  const child = spawn(process.execPath, [MAIN, 'start'], {
    env: environment(dataDir, extra),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  const exitCode = exitCodeOf(child);
  const gone = exitCode.then(() => child.signalCode);
  let log = '';
  const port = await new Promise<number>((ready, failed) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-8000);
      const said = /"port":(\d+),"msg":"keytrail is ready"/.exec(log);
      if (said) ready(Number(said[1]));
    });
    void gone.then(() => failed(new Error(`keytrail ended before it was ready:\n${log}`)));
  });
  const chain = extra['KEYTRAIL_TLS_CERT'];
  const endpoint = `${chain === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;
  return {
    pid: child.pid!,
    endpoint,
    kms: kmsClient(endpoint, dataDir, chain === undefined ? {} : { ca: readFileSync(chain) }),
    gone,
    exitCode,
    log: () => log,
    signal: (name) => void child.kill(name),
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
    },
  };
}

const exitCodeOf = (child: ChildProcess): Promise<number | null> =>
  new Promise((done) => {
    child.once('exit', (code) => {
      running.delete(child);
      done(code);
    });
  });

/** One attempt a request: a suite that counts what was acknowledged must not have the client repeat it. */
export function kmsClient(endpoint: string, dataDir: string, tls: AgentOptions = {}): KMSClient {
  const client = new KMSClient({
    endpoint,
    region: 'us-east-1',
    maxAttempts: 1,
    requestHandler: { httpsAgent: new Agent({ keepAlive: true, ...tls }) },
    credentials: rootKeyOf(dataDir),
  });
  return observed(client);
}

/** The root access key, from the credentials file that a server or deploy/make-credentials wrote. */
export function rootKeyOf(dataDir: string): { accessKeyId: string; secretAccessKey: string } {
  const lines = readFileSync(join(dataDir, 'aws/credentials'), 'utf8');
  const profile = parseEnv(lines.replace(/^\[.*\]$/gm, '')) as Record<string, string>;
  return {
    accessKeyId: profile['aws_access_key_id'] ?? '',
    secretAccessKey: profile['aws_secret_access_key'] ?? '',
  };
}

/** Runs a program to its end: its output, whatever its exit code. */
export function run(
  args: string[],
  extra: Record<string, string>,
  cwd = process.cwd(),
): { done: Promise<{ code: number | null; output: string }>; output(): string; kill(): void } {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...extra },
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const done = new Promise<{ code: number | null; output: string }>((ended) => {
    child.once('close', (code) => {
      running.delete(child);
      ended({ code, output });
    });
  });
  return { done, output: () => output, kill: () => void child.kill('SIGKILL') };
}

export interface AppProcess {
  readonly pid: number;
  /** Resolves once the process is gone; null where a signal ended it. */
  readonly exitCode: Promise<number | null>;
  /** All that it logged. */
  log(): string;
  /** SIGKILL, as a crash would. */
  kill9(): Promise<void>;
  stop(): Promise<void>;
}

/** One of the separate services as its own process; resolves when it is ready, or has logged what is waited for. */
export async function startApp(
  app: string,
  natsUrl: string,
  extra: Record<string, string> = {},
  awaited = `"msg":"${app} is ready"`,
): Promise<AppProcess> {
  const main = resolve(__dirname, `../../dist/apps/${app}/src/main.js`);
  // The one that is a command line as well.
  const child = spawn(process.execPath, [main, ...(app === 'keytrail' ? ['start'] : [])], {
    env: { ...process.env, KEYTRAIL_NATS_URL: natsUrl, KEYTRAIL_LOG_LEVEL: 'info', ...extra },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  const exitCode = exitCodeOf(child);
  let log = '';
  await new Promise<void>((ready, failed) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (log.includes(awaited)) ready();
    });
    void exitCode.then(() => failed(new Error(`${app} ended before it was ready:\n${log.slice(-8_000)}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exitCode;
  };
  return { pid: child.pid!, exitCode, log: () => log, kill9: () => end('SIGKILL'), stop: () => end('SIGTERM') };
}
