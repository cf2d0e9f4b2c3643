import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ComposeService, ROOT } from './compose';
import { findNatsServer, spawnTied } from './nats-server';

const CERTIFICATES = './deploy/certificates/';

/** Ports of this machine in place of those of containers. */
export class Addresses {
  private readonly taken = new Map<string, number>();

  constructor(private readonly free: number[]) {}

  portOf(container: string, port: number): number {
    const address = `${container}:${port}`;
    const found = this.taken.get(address) ?? this.free.pop();
    if (found === undefined) throw new Error('no free ports are left');
    this.taken.set(address, found);
    return found;
  }

  /** A setting of a container, with each address in it replaced by the one on loopback. */
  local(container: string, value: string): string {
    return value
      .replace(/\b(nats-\d):(\d+)/g, (_, node: string, port: string) => `127.0.0.1:${this.portOf(node, Number(port))}`)
      .replace(/\b0\.0\.0\.0:(\d+)/g, (_, port: string) => `127.0.0.1:${this.portOf(container, Number(port))}`)
      .replace(/^0\.0\.0\.0$/, '127.0.0.1');
  }
}

/** One container of docker-compose.yml as a plain process, which only ends when a suite ends it. */
export class Container {
  private child: ChildProcess | undefined;
  private gone: Promise<unknown> = Promise.resolve();
  private written = '';

  private readonly env: Record<string, string>;

  /**
   * `folder` stands for the container's own file system, and `certificates` for deploy/certificates; `env` is all that
   * the process gets, with the paths of its volumes replaced.
   */
  constructor(
    readonly name: string,
    private readonly service: ComposeService,
    private readonly folder: string,
    private readonly certificates: string,
    env: Record<string, string>,
    private readonly addresses: Addresses,
  ) {
    mkdirSync(folder, { recursive: true });
    this.env = Object.fromEntries(Object.entries(env).map(([variable, value]) => [variable, this.onHost(value)]));
  }

  start(): void {
    const [program, ...args] = this.service.command;
    const path = program === 'node' ? process.execPath : findNatsServer();
    const child = spawnTied(
      path,
      args.map((arg) => this.onHost(arg)),
      { cwd: this.folder, env: this.env },
    );
    this.child = child;
    this.gone = new Promise((done) => child.once('exit', done));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.written = (this.written + chunk.toString()).slice(-8_000);
    });
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The end of what it wrote, over all its lives. */
  get log(): string {
    return this.written;
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /** SIGKILL, as a crash would; `start` then restarts it, as compose does, with the same addresses and files. */
  async kill9(): Promise<void> {
    if (this.running) this.signal('SIGKILL');
    await this.gone;
  }

  /** Runs the health check that the file gives, as it stands there; resolves with its exit code. */
  healthCheck(): Promise<number | null> {
    const [kind, program, ...args] = this.service.healthcheck.test;
    if (kind !== 'CMD' || program !== 'node') throw new Error(`${this.name} is not asked for its health by node`);
    const child = spawn(process.execPath, args, { env: this.env, stdio: 'ignore' });
    return new Promise((done) => child.once('exit', done));
  }

  /** Whether the service says that it is ready. */
  async healthy(): Promise<boolean> {
    return (await this.get('healthz').catch(() => undefined))?.ok ?? false;
  }

  /** From where a service serves its health and metrics to probes. */
  get(path: 'healthz' | 'metrics'): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.env['KEYTRAIL_HEALTH_PORT']}/${path}`);
  }

  /** The program's path in the image, or a path in a volume, as it is on this machine. */
  onHost(path: string): string {
    if (path.startsWith('dist/')) return join(ROOT, path);
    for (const volume of this.service.volumes ?? []) {
      const [source, target] = volume.split(':') as [string, string];
      if (path === target || path.startsWith(`${target}/`))
        return this.sourceOf(source, target) + path.slice(target.length);
    }
    return path;
  }

  private sourceOf(source: string, target: string): string {
    if (source.startsWith(CERTIFICATES)) return join(this.certificates, source.slice(CERTIFICATES.length));
    const here = join(this.folder, target);
    if (source.startsWith('./')) this.copyConfiguration(join(ROOT, source), here);
    return here;
  }

  /** The very files, with loopback in place of the container's addresses, and this machine's paths of its volumes. */
  private copyConfiguration(source: string, target: string): void {
    mkdirSync(target, { recursive: true });
    for (const file of readdirSync(source)) {
      const text = readFileSync(join(source, file), 'utf8')
        .replace(/"(0\.0\.0\.0:\d+)"/g, (_, address: string) =>
          JSON.stringify(this.addresses.local(this.name, address)),
        )
        .replace(/"(\/[^"]*)"/g, (_, path: string) => JSON.stringify(this.onHost(path)));
      if (text.includes('0.0.0.0')) throw new Error(`${file} listens outside of loopback`);
      writeFileSync(join(target, file), text);
    }
  }
}
