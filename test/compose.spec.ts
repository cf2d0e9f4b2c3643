import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import {
  CLIENT_REQUESTS_VARIABLE,
  clientRequests,
  passwordVariable,
  renderClusterUsers,
} from '#platform/cluster-users';
import { NATS_USERS } from '#platform/nats-users';
import { appOf, isNode, ROOT, readCompose } from './support/compose';

const compose = readCompose();
const nodes = Object.entries(compose.services).filter(([name]) => isNode(name));
const services = Object.entries(compose.services).filter(([name]) => !isNode(name));
const clusterUsers = NATS_USERS.filter((user) => user !== 'embedded');

let work: string;
let secrets: string;
const envOf = (file: string): Record<string, string> =>
  parseEnv(readFileSync(join(secrets, file), 'utf8')) as Record<string, string>;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'keytrail-compose-'));
  secrets = join(work, 'secrets');
  execFileSync(join(ROOT, 'deploy/make-credentials'), [secrets], { stdio: 'pipe' });
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('docker-compose.yml', () => {
  it('runs three NATS nodes, and every service, those that share work twice', () => {
    expect(compose.version).toBe('3.8');
    expect(Object.keys(compose.services).sort()).toEqual(
      [
        ...['nats-1', 'nats-2', 'nats-3', 'gateway', 'audit-projector'],
        ...['key-manager', 'crypto-worker', 'rotation-scheduler', 'deletion-scheduler'].flatMap((s) => [
          `${s}-1`,
          `${s}-2`,
        ]),
      ].sort(),
    );
  });

  it.each(services)('runs %s by its own entry point, as its own NATS user, over all nodes', (name, service) => {
    expect(service.command).toEqual(['node', `dist/apps/${appOf(name)}/src/main.js`]);
    expect(service.env_file).toBe(`deploy/secrets/${appOf(name)}.env`);
    expect(service.environment['KEYTRAIL_NATS_URL']!.split(',')).toEqual(nodes.map(([node]) => `nats://${node}:4222`));
    expect(service.environment['KEYTRAIL_REPLICAS']).toBe('3');
    expect(service.depends_on).toEqual(nodes.map(([node]) => node));
    expect(envOf(`${appOf(name)}.env`)['KEYTRAIL_NATS_USER']).toBe(appOf(name));
  });

  // Those of the services are run by topology.spec.ts.
  it.each(nodes)('asks %s for its health', (_, { healthcheck }) => {
    expect(healthcheck.test).toEqual(expect.arrayContaining(['CMD', 'wget', 'http://127.0.0.1:8222/healthz']));
  });

  it.each(nodes)('gives %s a name, a volume and the configuration of deploy/nats', (name, node) => {
    expect(node.environment['NATS_SERVER_NAME']).toBe(name);
    expect(node.environment[CLIENT_REQUESTS_VARIABLE]).toBe(clientRequests(`\${KEYTRAIL_ACCOUNT_ID:-000000000000}`));
    expect(node.volumes).toEqual([`${name}:/data`, './deploy/nats:/etc/nats:ro']);
    expect(compose.volumes).toHaveProperty(name);
  });

  it('publishes ports on loopback only', () => {
    const published = Object.values(compose.services).flatMap((service) => service.ports ?? []);
    expect(published.length).toBeGreaterThan(0);
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('holds no secret', () => {
    for (const service of Object.values(compose.services)) {
      expect(Object.keys(service.environment).filter((name) => /PASSWORD|SECRET|ROOT/.test(name))).toEqual([]);
    }
  });
});

describe('deploy/make-credentials', () => {
  it('gives each service nothing but its own', () => {
    for (const [name] of services) {
      const expected = ['KEYTRAIL_NATS_PASSWORD', 'KEYTRAIL_NATS_USER'];
      if (appOf(name) === 'crypto-worker') {
        expected.push('KEYTRAIL_ROOT_ACCESS_KEY_ID', 'KEYTRAIL_ROOT_KEY', 'KEYTRAIL_ROOT_SECRET_ACCESS_KEY');
      }
      expect(Object.keys(envOf(`${appOf(name)}.env`)).sort()).toEqual(expected.sort());
    }
    const passwords = clusterUsers.map((user) => envOf(`${user}.env`)['KEYTRAIL_NATS_PASSWORD']);
    expect(new Set(passwords).size).toBe(clusterUsers.length);
    expect(Buffer.from(envOf('crypto-worker.env')['KEYTRAIL_ROOT_KEY']!, 'base64')).toHaveLength(32);
  });

  it('gives the NATS nodes the same passwords', () => {
    const known = envOf('nats.env');
    for (const user of clusterUsers) {
      expect(known[passwordVariable(user)]).toBe(envOf(`${user}.env`)['KEYTRAIL_NATS_PASSWORD']);
    }
  });

  it('writes files that only their owner can read and git does not see, and never writes them twice', () => {
    expect(readFileSync(join(secrets, '.gitignore'), 'utf8')).toBe('*\n');
    for (const file of readdirSync(secrets)) expect(statSync(join(secrets, file)).mode & 0o077).toBe(0);
    const before = envOf('nats.env');
    expect(() => execFileSync(join(ROOT, 'deploy/make-credentials'), [secrets], { stdio: 'pipe' })).toThrow('root key');
    expect(envOf('nats.env')).toEqual(before);
  });
});

describe('deploy/nats', () => {
  it('holds the users that the table of NATS users renders to (deploy/render-users writes them)', () => {
    expect(readFileSync(join(ROOT, 'deploy/nats/users.conf'), 'utf8')).toBe(renderClusterUsers());
    expect(renderClusterUsers()).not.toContain('embedded');
  });
});
