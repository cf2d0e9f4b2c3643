import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { calloutPublicKeys } from '#platform/callout-keys';
import { CALLOUT_VARIABLES, passwordVariable, renderNatsClusterUsers } from '#platform/nats-cluster-users';
import { NATS_USERS } from '#platform/nats-users';
import { parseSettings } from '#platform/settings';
import { findOpenssl } from './support/certificates';
import { appOf, isNode, monitoringServices, ROOT, readCompose } from './support/compose';

const compose = readCompose();
const watching = Object.values(monitoringServices());
const nodes = Object.entries(compose.services).filter(([name]) => isNode(name));
const services = Object.entries(compose.services).filter(([name]) => !isNode(name));
const clusterUsers = NATS_USERS.filter((user) => user !== 'embedded');

const openssl = findOpenssl();
const withOpenssl = openssl === undefined ? it.skip : it;

let work: string;
let secrets: string;
let certificates: string;
const envOf = (file: string): Record<string, string> =>
  parseEnv(readFileSync(join(secrets, file), 'utf8')) as Record<string, string>;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'keytrail-compose-'));
  secrets = join(work, 'secrets');
  certificates = join(work, 'certificates');
  execFileSync(join(ROOT, 'deploy/make-credentials'), [secrets], { stdio: 'pipe' });
  if (openssl !== undefined) execFileSync(join(ROOT, 'deploy/make-certificates'), [certificates], { stdio: 'pipe' });
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
    expect(node.volumes).toEqual([
      `${name}:/data`,
      './deploy/nats:/etc/nats:ro',
      `./deploy/certificates/${name}:/etc/nats-tls:ro`,
    ]);
    expect(compose.volumes).toHaveProperty(name);
  });

  it.each(services)('has %s settings that the parser takes, and TLS to NATS', (name, service) => {
    const settings = parseSettings({
      ...service.environment,
      ...envOf(`${appOf(name)}.env`),
      KEYTRAIL_ACCOUNT_ID: '',
      KEYTRAIL_CLOCK: '',
      KEYTRAIL_LOG_LEVEL: '',
      KEYTRAIL_DATABASE_URL: '',
      KEYTRAIL_TRAIL_SECONDS: '',
    });
    const mounts = service.volumes!.map((volume) => volume.split(':'));
    expect(settings.natsCa).toBe('/etc/keytrail-tls/ca.pem');
    expect(mounts).toEqual(
      name === 'gateway'
        ? [['./deploy/certificates/gateway', '/etc/keytrail-tls', 'ro']]
        : [
            ['./deploy/certificates/ca.pem', '/etc/keytrail-tls/ca.pem', 'ro'],
            ...(name === 'audit-projector'
              ? [
                  ['checkpoints', settings.checkpointDir],
                  ['trail', settings.trailDir],
                  ['audit-projector', '/data'],
                ]
              : []),
          ],
    );
  });

  it('serves HTTPS outside of the containers, and between them nothing in plain but health and metrics', () => {
    const plain = services.filter(([, { environment }]) => environment['KEYTRAIL_ALLOW_PLAIN_HTTP'] === 'true');
    expect(plain.map(([name]) => name)).toEqual(services.map(([name]) => name).filter((name) => name !== 'gateway'));
    for (const [, service] of plain) expect(service).not.toHaveProperty('ports');
    expect(compose.services['gateway']!.environment).toMatchObject({
      KEYTRAIL_HOST: '0.0.0.0',
      KEYTRAIL_TLS_CERT: '/etc/keytrail-tls/certificate.pem',
      KEYTRAIL_TLS_KEY: '/etc/keytrail-tls/key.pem',
    });
  });

  it('publishes ports on loopback only', () => {
    const published = [...Object.values(compose.services), ...watching].flatMap((service) => service.ports ?? []);
    expect(published.length).toBeGreaterThan(0);
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('holds no secret', () => {
    for (const service of [...Object.values(compose.services), ...watching]) {
      expect(Object.keys(service.environment ?? {}).filter((name) => /PASSWORD|SECRET|ROOT/.test(name))).toEqual([]);
    }
  });
});

describe('deploy/make-credentials', () => {
  it('gives each service nothing but its own', () => {
    for (const [name] of services) {
      const expected = ['KEYTRAIL_NATS_PASSWORD', 'KEYTRAIL_NATS_USER'];
      if (appOf(name) === 'crypto-worker') {
        expected.push('KEYTRAIL_ROOT_ACCESS_KEY_ID', 'KEYTRAIL_ROOT_KEY', 'KEYTRAIL_ROOT_SECRET_ACCESS_KEY');
        expected.push('KEYTRAIL_NATS_CALLOUT_SEED', 'KEYTRAIL_NATS_CALLOUT_XKEY_SEED');
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

  it('gives the NATS nodes the public keys of auth callout, and only crypto-workers the seeds', () => {
    const { KEYTRAIL_NATS_CALLOUT_SEED: issuer, KEYTRAIL_NATS_CALLOUT_XKEY_SEED: xkey } = envOf('crypto-worker.env');
    const known = envOf('nats.env');
    expect(calloutPublicKeys({ issuer: issuer!, xkey: xkey! })).toEqual({
      issuer: known[CALLOUT_VARIABLES.issuer],
      xkey: known[CALLOUT_VARIABLES.xkey],
    });
    expect(Object.values(known)).not.toContain(issuer);
    expect(Object.values(known)).not.toContain(xkey);
  });

  it('writes files that only their owner can read and git does not see, and never writes them twice', () => {
    expect(readFileSync(join(secrets, '.gitignore'), 'utf8')).toBe('*\n');
    for (const file of readdirSync(secrets)) expect(statSync(join(secrets, file)).mode & 0o077).toBe(0);
    const before = envOf('nats.env');
    expect(() => execFileSync(join(ROOT, 'deploy/make-credentials'), [secrets], { stdio: 'pipe' })).toThrow('root key');
    expect(envOf('nats.env')).toEqual(before);
  });
});

describe('deploy/make-certificates', () => {
  const programs = ['nats-1', 'nats-2', 'nats-3', 'gateway'];
  const read = (...path: string[]): Buffer => readFileSync(join(certificates, ...path));

  withOpenssl.each(programs)('vouches for %s by the name that others call it by', (program) => {
    const authority = new X509Certificate(read('ca.pem'));
    const certificate = new X509Certificate(read(program, 'certificate.pem'));
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(read(program, 'key.pem')))).toBe(true);
    for (const name of [program, 'localhost']) expect(certificate.checkHost(name)).toBe(name);
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkHost('nats-9')).toBeUndefined();
    expect(certificate.ca).toBe(false);
  });

  withOpenssl(
    'keeps keys to their owner, all of it out of git, and the key of the authority out of every mount',
    () => {
      expect(read('.gitignore').toString()).toBe('*\n');
      for (const program of programs) {
        expect(statSync(join(certificates, program, 'key.pem')).mode & 0o777).toBe(0o600);
        expect(readdirSync(join(certificates, program)).sort()).toEqual(['ca.pem', 'certificate.pem', 'key.pem']);
      }
      expect(statSync(join(certificates, 'authority')).mode & 0o077).toBe(0);
      expect(JSON.stringify(compose)).not.toContain('authority');
    },
  );

  withOpenssl('does nothing twice, and makes again only what was removed', () => {
    const names = readdirSync(certificates).sort();
    const again = () => execFileSync(join(ROOT, 'deploy/make-certificates'), [certificates], { stdio: 'pipe' });
    const before = programs.map((program) => read(program, 'certificate.pem').toString());
    again();
    expect(programs.map((program) => read(program, 'certificate.pem').toString())).toEqual(before);
    rmSync(join(certificates, 'gateway'), { recursive: true });
    again();
    const after = programs.map((program) => read(program, 'certificate.pem').toString());
    expect(after.slice(0, 3)).toEqual(before.slice(0, 3));
    expect(after[3]).not.toBe(before[3]);
    expect(readdirSync(certificates).sort()).toEqual(names);
  });
});

describe('deploy/nats', () => {
  it('holds the users that the table of NATS users renders to (deploy/render-users writes them)', () => {
    expect(readFileSync(join(ROOT, 'deploy/nats/users.conf'), 'utf8')).toBe(renderNatsClusterUsers());
    expect(renderNatsClusterUsers()).not.toContain('embedded');
  });
});
