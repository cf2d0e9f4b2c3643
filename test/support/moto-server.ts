import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { signRequest } from '#sigv4/sign';
import { freePort, until } from './nats-server';

/** The path of moto_server, if it is on PATH. */
export const findMoto = (): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'moto_server'))
    .find(existsSync);

/** moto's S3 on loopback, on one port over restarts; what was in it is gone after each. */
export class MotoServer {
  private child: ChildProcess | undefined;

  private constructor(
    private readonly program: string,
    readonly port: number,
  ) {}

  static async on(program: string): Promise<MotoServer> {
    return new MotoServer(program, await freePort());
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    this.child = spawn(this.program, ['-p', String(this.port)], { stdio: 'ignore', detached: true });
    const served = async (): Promise<boolean> =>
      (await fetch(`${this.url}/moto-api/`).catch(() => undefined))?.ok === true;
    await until(served, 'moto_server does not serve', 60_000);
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const gone = new Promise((done) => child.once('exit', done));
    // The program is a shim with the server as its child.
    process.kill(-child.pid!, 'SIGKILL');
    await gone;
  }

  async put(path: string, body = ''): Promise<void> {
    await this.send('PUT', path, body);
  }

  async get(path: string): Promise<string | undefined> {
    const response = await this.send('GET', path);
    return response.status === 200 ? response.text() : undefined;
  }

  /** moto takes any signature, and for what is not public none but a signed request. */
  private send(method: 'GET' | 'PUT', path: string, body?: string): Promise<Response> {
    const { host: _host, ...headers } = signRequest({
      ...{ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'any', region: 'us-east-1', service: 's3', method },
      ...{ timeMs: Date.now(), path: `/${path}`, headers: { host: `127.0.0.1:${this.port}` } },
    });
    return fetch(`${this.url}/${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  }
}
