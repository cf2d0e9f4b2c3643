import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseEnv } from 'node:util';
import type { KMSClient } from '@aws-sdk/client-kms';
import { type Compose, type ComposeService, interpolate, isNode, ROOT, readCompose } from './compose';
import { Addresses, Container } from './container';
import { FORMED_MS, formed, rejoined, untilCurrent } from './nats-cluster';
import { freePorts, until } from './nats-server';
import { kmsClient, MAIN, run } from './processes';

const CLIENTS = 4222;
const MONITOR = 8222;
const READY_MS = 60_000;

/**
 * docker-compose.yml without Docker: each container a process on loopback, with the environment, users, permissions,
 * credentials and certificates that the file, deploy/make-credentials and deploy/make-certificates give it, and nothing
 * else. Needs openssl.
 */
export class Topology {
  private readonly containers = new Map<string, Container>();
  private readonly addresses: Addresses;
  private readonly work = mkdtempSync(join(tmpdir(), 'keytrail-topology-'));
  readonly secrets = join(this.work, 'secrets');
  private readonly certificates = join(this.work, 'certificates');
  private readonly compose: Compose = readCompose();

  private constructor(
    private readonly variables: Record<string, string>,
    ports: number[],
  ) {
    this.addresses = new Addresses(ports);
    execFileSync(join(ROOT, 'deploy/make-credentials'), [this.secrets], { stdio: 'pipe' });
    execFileSync(join(ROOT, 'deploy/make-certificates'), [this.certificates], { stdio: 'pipe' });
    for (const [name, service] of Object.entries(this.compose.services)) {
      const env = this.environmentOf(name, service);
      const folder = join(this.work, 'containers', name);
      this.containers.set(name, new Container(name, service, folder, this.certificates, env, this.addresses));
    }
  }

  /** Starts all of it at once, with the variables that compose would take from its environment; resolves when ready. */
  static start(variables: Record<string, string>): Promise<Topology> {
    return formed(async () => {
      const topology = new Topology(variables, await freePorts(40));
      try {
        for (const container of topology.all) container.start();
        await topology.ready();
        return topology;
      } catch (error) {
        await topology.stop();
        throw error;
      }
    });
  }

  /** Resolves once the NATS nodes are current and every service says that it is ready. */
  async ready(nodesWithinMs?: number): Promise<void> {
    const nodes = this.nodes.map(({ name }) => ({ name, monitor: this.addresses.portOf(name, MONITOR) }));
    await untilCurrent(nodes, () => this.assertAlive(this.nodes), nodesWithinMs);
    for (const service of this.services) {
      const healthy = () => {
        this.assertAlive([service]);
        return service.healthy();
      };
      await until(healthy, `${service.name} was not ready`, READY_MS).catch((error: Error) => {
        throw new Error(`${error.message}:\n${service.log}`);
      });
    }
  }

  /** Starts a NATS node or a service again, and resolves once all is ready. */
  rejoin(container: Container): Promise<void> {
    return rejoined(
      async () => {
        await container.kill9();
        container.start();
      },
      () => this.ready(isNode(container.name) ? FORMED_MS : undefined),
    );
  }

  private assertAlive(containers: Container[]): void {
    for (const one of containers) if (!one.running) throw new Error(`${one.name} has ended:\n${one.log}`);
  }

  get all(): Container[] {
    return [...this.containers.values()];
  }

  get nodes(): Container[] {
    return this.all.filter(({ name }) => isNode(name));
  }

  get services(): Container[] {
    return this.all.filter(({ name }) => !isNode(name));
  }

  get(name: string): Container {
    const container = this.containers.get(name);
    if (!container) throw new Error(`docker-compose.yml has no service ${name}`);
    return container;
  }

  /** A client of the account's root, through the port that compose publishes. One attempt a request. */
  kms(): KMSClient {
    return kmsClient(`https://${this.published('gateway')}`, this.secrets, { ca: readFileSync(this.authority) });
  }

  /** PEM file of the authority of the gateway and the NATS nodes. */
  get authority(): string {
    return join(this.certificates, 'ca.pem');
  }

  get natsUrl(): string {
    return `nats://${this.published('nats-1')}`;
  }

  /** Every node, as the services reach them; compose publishes the first one only. */
  get natsUrls(): string[] {
    return this.nodes.map(({ name }) => `nats://127.0.0.1:${this.addresses.portOf(name, CLIENTS)}`);
  }

  /** Where a port of a container is on this machine. */
  portOf(name: string, port: number): number {
    return this.addresses.portOf(name, port);
  }

  /** What deploy/make-credentials wrote for a user of NATS. */
  credentials(user: string): Record<string, string> {
    return parseEnv(readFileSync(join(this.secrets, `${user}.env`), 'utf8')) as Record<string, string>;
  }

  /** Runs the command line as docs/operations.md has it. */
  keytrail(...args: string[]): Promise<{ code: number | null; output: string }> {
    const nats = { KEYTRAIL_NATS_URL: this.natsUrl, KEYTRAIL_NATS_CA: this.authority };
    return run([MAIN, ...args], { ...this.credentials('operator'), ...nats }).done;
  }

  async stop(): Promise<void> {
    for (const containers of [this.services, this.nodes]) await Promise.all(containers.map((one) => one.kill9()));
    rmSync(this.work, { recursive: true, force: true });
  }

  private published(name: string): string {
    const mapping = this.compose.services[name]?.ports?.[0];
    if (mapping === undefined) throw new Error(`docker-compose.yml publishes no port of ${name}`);
    return `127.0.0.1:${this.addresses.portOf(name, Number(mapping.split(':').at(-1)))}`;
  }

  private environmentOf(name: string, service: ComposeService): Record<string, string> {
    const env: Record<string, string> = { PATH: process.env['PATH'] ?? '' };
    const secrets = this.credentials(basename(service.env_file, '.env'));
    for (const [variable, secret] of Object.entries(secrets)) {
      env[variable] = variable.startsWith('NATS_ROUTE_') ? this.addresses.local(name, secret) : secret;
    }
    for (const [variable, text] of Object.entries(service.environment)) {
      const value = interpolate(text, this.variables);
      const isPort = /^KEYTRAIL_(HEALTH_)?PORT$/.test(variable);
      env[variable] = isPort ? String(this.addresses.portOf(name, Number(value))) : this.addresses.local(name, value);
    }
    return env;
  }
}
