import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { CreateKeyCommand, DisableKeyCommand, EncryptCommand, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { METRIC_TABLE, type MetricDefinition } from '#platform/metric-table';
import { appOf, isNode, monitoringServices, ROOT, readCompose, readYaml } from './support/compose';
import { type KeytrailProcess, startProcess } from './support/processes';

const TABLE: Record<string, MetricDefinition> = METRIC_TABLE;
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Those that wait for what is to come, or for a setting that the process below does not have. */
const NOT_SHOWN = ['keytrail_certificate_not_after_seconds', 'keytrail_imported_material_expiring'];

let dataDir: string;
let server: KeytrailProcess;
let keyId: string;

const metrics = async (): Promise<string> => (await fetch(`${server.endpoint}/metrics`)).text();
/** The value of a series, written as Prometheus is told it. */
const figure = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-monitoring-'));
  server = await startProcess(dataDir, {
    KEYTRAIL_QUOTAS: 'aws,DescribeKey=1',
    KEYTRAIL_TRAIL_DIR: join(dataDir, 'trail'),
  });
  const created = await server.kms.send(new CreateKeyCommand({}));
  keyId = created.KeyMetadata!.KeyId!;
  await server.kms.send(new EncryptCommand({ KeyId: keyId, Plaintext: Buffer.from('x') }));
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

describe('GET /metrics', () => {
  test('shows the table of metrics, each with its type, and nothing of Keytrail beside it', async () => {
    const lines = (await metrics()).split('\n');
    const types = lines.filter((line) => line.startsWith('# TYPE keytrail_')).map((line) => line.split(' ').slice(2));
    const expected = Object.entries(TABLE).filter(([name]) => !NOT_SHOWN.includes(name));
    expect(types.sort()).toEqual(expected.map(([name, { type }]) => [name, type]).sort());
  });

  test('has no label but those of the table, and no value in one that a caller chose', async () => {
    const text = await metrics();
    for (const line of text.split('\n').filter((one) => one.startsWith('keytrail_'))) {
      const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})? /.exec(line)!;
      const definition = TABLE[name] ?? TABLE[name.replace(/_(bucket|sum|count)$/, '')];
      const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label).filter((label) => label !== 'le');
      expect({ name, names: names.sort() }).toEqual({ name, names: [...(definition?.labels ?? [])].sort() });
    }
    // Of the labels: a figure may have any digits.
    const labels = [...text.matchAll(/\{.*\}/g)].join('\n');
    for (const chosen of [keyId, '000000000000', 'us-east-1']) expect(labels).not.toContain(chosen);
  });

  test('follows what happens', async () => {
    const requests = 'keytrail_requests_total{service="kms",operation="ScheduleKeyDeletion",outcome="OK"}';
    const before = await metrics();
    expect(figure(before, requests)).toBeUndefined();
    expect(figure(before, 'keytrail_keys{state="Enabled"}')).toBe(1);
    await server.kms.send(new DisableKeyCommand({ KeyId: keyId }));
    await server.kms.send(new ScheduleKeyDeletionCommand({ KeyId: keyId, PendingWindowInDays: 8 }));
    const after = await metrics();
    expect(figure(after, requests)).toBe(1);
    expect(
      figure(after, 'keytrail_request_duration_seconds_count{service="kms",operation="ScheduleKeyDeletion"}'),
    ).toBe(1);
    expect(figure(after, 'keytrail_keys{state="Enabled"}')).toBe(0);
    expect(figure(after, 'keytrail_keys{state="PendingDeletion"}')).toBe(1);
    expect(figure(after, 'keytrail_keys_pending_deletion{days_left="7"}')).toBe(1);
    expect(figure(after, 'keytrail_keys_pending_deletion{days_left="0"}')).toBe(0);
    expect(figure(after, 'keytrail_timers_waiting{kind="Deletion"}')).toBe(1);
    expect(figure(after, 'keytrail_timers_overdue{kind="Deletion"}')).toBe(0);
    const log = figure(after, 'keytrail_log_position')!;
    expect(log).toBe(figure(before, 'keytrail_log_position')! + 2);
    expect(figure(after, 'keytrail_view_position')).toBe(log);
    expect(figure(after, 'keytrail_view_lag_commits')).toBe(0);
    for (const up of ['keytrail_hsm_up', 'keytrail_lease_held', 'keytrail_nats_connected'])
      expect(figure(after, up)).toBe(1);
    expect(
      figure(after, 'keytrail_hsm_call_duration_seconds_count{provider="software",operation="wrap"}'),
    ).toBeGreaterThan(0);
    expect(figure(after, 'keytrail_audit_batch_records_sum')).toBeGreaterThanOrEqual(4);
    expect(figure(after, 'keytrail_barrier_wait_duration_seconds_count')).toBeGreaterThanOrEqual(2);
    expect(figure(after, 'keytrail_event_append_duration_seconds_count{outcome="appended"}')).toBe(log);
    expect(figure(after, 'keytrail_audit_backlog')).toBe(0);
    expect(figure(after, 'keytrail_http_requests_in_flight')).toBe(0);
    expect(figure(after, 'process_resident_memory_bytes')).toBeGreaterThan(0);
  });
});

describe('the table of metrics', () => {
  test('has names after the conventions of Prometheus', () => {
    for (const [name, { type, buckets }] of Object.entries(TABLE)) {
      expect(name).toMatch(/^keytrail_[a-z]+(_[a-z]+)*$/);
      expect({ name, total: name.endsWith('_total') }).toEqual({ name, total: type === 'counter' });
      expect(name).not.toMatch(/_(ms|milliseconds|minutes|hours|kilobytes)(_|$)/);
      expect(buckets).toEqual(type === 'histogram' ? [...buckets!].sort((a, b) => a - b) : undefined);
    }
  });

  test('is the one in docs/monitoring.md', () => {
    const rows = [
      ...read('docs/monitoring.md').matchAll(/^\| `(keytrail_\w+)`\s*\| (\w+)\s*\| (.*?)\s*\| (.*?)\s*\|$/gm),
    ];
    const told = rows.map(([, name, type, labels, help]) => ({ name, type, labels, help }));
    const expected = Object.entries(TABLE).map(([name, { type, labels = [], help }]) => ({
      ...{ name, type, help },
      labels: labels.map((label) => `\`${label}\``).join(', '),
    }));
    expect(told).toEqual(expected);
  });
});

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string };
}
interface Panel {
  title: string;
  targets?: { expr: string }[];
}

const rules = readYaml<{ groups: { rules: Rule[] }[] }>('deploy/prometheus/alerts.yml').groups.flatMap((g) => g.rules);
const dashboard = JSON.parse(read('deploy/grafana/dashboards/keytrail.json')) as { panels: Panel[] };
const metricsIn = (text: string): string[] => text.match(/\b(keytrail|process|nodejs)_\w+/g) ?? [];

/** Of a histogram Prometheus stores three kinds of series, under names of their own. */
const isKnown = (name: string): boolean => {
  const histogram = /^(\w+)_(bucket|sum|count)$/.exec(name)?.[1];
  return histogram === undefined
    ? name in TABLE && TABLE[name]!.type !== 'histogram'
    : TABLE[histogram]?.type === 'histogram';
};

describe('deploy', () => {
  const expressions = [
    ...rules.map(({ alert, expr }) => [alert, expr] as const),
    ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
  ];

  test('asks for no metric that there is not, nor for a label that it has not', async () => {
    const shown = await metrics();
    expect(expressions.length).toBeGreaterThan(50);
    for (const [where, expr] of expressions) {
      const named = metricsIn(expr);
      for (const name of named) {
        const found = name.startsWith('keytrail_') ? isKnown(name) : shown.includes(`# TYPE ${name} `);
        expect({ where, name, found }).toEqual({ where, name, found: true });
      }
      const labels = new Set(['job', 'instance', 'le', ...named.flatMap((name) => labelsOf(name))]);
      const asked = [
        ...expr.matchAll(/(\w+)(?==~?"|!=")/g),
        ...[...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => [...list!.matchAll(/(\w+)/g)]),
      ];
      for (const [, label] of asked)
        expect({ where, label, known: labels.has(label!) }).toEqual({ where, label, known: true });
    }
  });

  test('shows every metric on the dashboard or has an alert on it', () => {
    const used = new Set(
      expressions.flatMap(([, expr]) => metricsIn(expr)).map((name) => name.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(Object.keys(TABLE).filter((name) => !used.has(name))).toEqual([]);
  });

  test('has rules with a severity, words, and a name that docs/monitoring.md explains', () => {
    const docs = read('docs/monitoring.md');
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, labels, annotations } of rules) {
      expect(['critical', 'warning', 'info']).toContain(labels.severity);
      expect(annotations.summary).not.toBe('');
      expect(docs).toContain(`| \`${alert}\``);
    }
  });

  test('has Prometheus ask every service of docker-compose.yml, where it serves its metrics', () => {
    const { scrape_configs } = readYaml<{
      scrape_configs: { job_name: string; scheme?: string; static_configs: { targets: string[] }[] }[];
    }>('deploy/prometheus/prometheus.yml');
    const asked = scrape_configs.flatMap(({ job_name, scheme = 'http', static_configs }) =>
      static_configs.flatMap(({ targets }) => targets.map((target) => `${job_name} ${scheme}://${target}`)),
    );
    const { services } = readCompose();
    const served = Object.entries(services).flatMap(([name, { environment }]) => {
      if (isNode(name)) return [];
      const address = environment['KEYTRAIL_TLS_CERT']
        ? `https://${name}:${environment['KEYTRAIL_PORT']}`
        : `http://${name}:${environment['KEYTRAIL_HEALTH_PORT']}`;
      expect(environment['KEYTRAIL_HOST']).toBe('0.0.0.0');
      return [`${appOf(name)} ${address}`];
    });
    expect(asked.sort()).toEqual(served.sort());
  });

  test('mounts nothing into Prometheus and Grafana that is not there, nor a secret', () => {
    const services = monitoringServices();
    expect(Object.keys(services).sort()).toEqual(['grafana', 'prometheus']);
    const mounts = Object.values(services).flatMap(({ volumes = [] }) => volumes.filter((one) => one.startsWith('./')));
    expect(mounts).toHaveLength(4);
    for (const mount of mounts) {
      const [source, , mode] = mount.split(':') as [string, string, string];
      expect(mode).toBe('ro');
      if (source === './deploy/certificates/ca.pem') continue;
      expect({ source, there: existsSync(join(ROOT, source)) }).toEqual({ source, there: true });
    }
    for (const folder of ['datasources', 'dashboards']) {
      const files = readdirSync(join(ROOT, 'deploy/grafana/provisioning', folder));
      for (const file of files)
        expect(readYaml<{ apiVersion: number }>(`deploy/grafana/provisioning/${folder}/${file}`).apiVersion).toBe(1);
    }
  });

  const promtool = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'promtool'))
    .find((path) => existsSync(path));
  if (promtool === undefined) console.warn('promtool is not on PATH: the alert rules are not evaluated');

  (promtool === undefined ? test.skip : test)('has rules that promtool takes, and that fire when they should', () => {
    for (const args of [
      ['check', 'rules', 'deploy/prometheus/alerts.yml'],
      ['check', 'config', '--syntax-only', 'deploy/prometheus/prometheus.yml'],
      ['test', 'rules', 'deploy/prometheus/alerts.test.yml'],
    ]) {
      const { status, stdout, stderr } = spawnSync(promtool!, args, { cwd: ROOT, encoding: 'utf8' });
      expect({ args, status, output: status === 0 ? '' : stdout + stderr }).toEqual({ args, status: 0, output: '' });
    }
  });
});

const labelsOf = (name: string): readonly string[] =>
  (TABLE[name] ?? TABLE[name.replace(/_(bucket|sum|count)$/, '')])?.labels ?? [];
