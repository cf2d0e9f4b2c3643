import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
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

  /** moto takes any signature. */
  async put(path: string, body = ''): Promise<void> {
    await fetch(`${this.url}/${path}`, { method: 'PUT', body });
  }

  async get(path: string): Promise<string | undefined> {
    const response = await fetch(`${this.url}/${path}`);
    return response.status === 200 ? response.text() : undefined;
  }
}
