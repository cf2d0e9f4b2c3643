import { isAbsolute, join, resolve } from 'node:path';
import { isRegionName } from '#domain/arn';
import { isQuotaClass, type QuotaClass } from '#operations/quotas/quota-classes';
import type { QuotaRates } from '#operations/quotas/quotas';
import { isIssuerSeed, isXkeySeed } from './callout-keys';
import { type ClusterSettings, parseClusters } from './clusters/cluster-settings';
import { isLoopback } from './http-address';
import { type Pkcs11Settings, parsePkcs11 } from './pkcs11-settings';
import { type Environment, isLogLevel, LOG_LEVELS, settingsReader } from './settings-reader';
import type { BucketOptions } from './tree-heads/checkpoint-bucket';
import { parseBucket, parseWitnesses, type WitnessPlace } from './tree-heads/publication-places';
import { XKS_PROXY_SETTINGS } from './xks-proxy/setting-names';

/** Everything that can be set, parsed once from the environment. */
export interface Settings {
  host: string;
  port: number;
  /** PEM files of the certificate chain and its key: both for HTTPS, neither for plain HTTP. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** PEM file of the authorities whose client certificates are required; absent to ask for none. */
  tlsClientCa?: string | undefined;
  /** PEM file of the roots that attestation documents are verified with; absent for none. */
  nitroRoots?: string | undefined;
  dataDir: string;
  accountId: string;
  /** Both or neither; neither means that they are generated and kept in the data folder. */
  rootAccessKeyId?: string | undefined;
  rootSecretAccessKey?: string | undefined;
  clock: 'system' | 'virtual';
  /** An outer NATS cluster; absent means the embedded server. */
  natsUrl?: string | undefined;
  natsUser?: string | undefined;
  natsPassword?: string | undefined;
  /** Both or neither; with them the crypto-workers of an outer cluster let NATS clients in by their access keys. */
  natsCalloutSeed?: string | undefined;
  natsCalloutXkeySeed?: string | undefined;
  /** PEM file of the authorities that vouch for the cluster's nodes; set, a node without TLS is not talked to. */
  natsCa?: string | undefined;
  /** PEM files of this service's own certificate and key, where the cluster asks for them: both or neither. */
  natsCert?: string | undefined;
  natsKey?: string | undefined;
  /** Port of the embedded nats-server; 0 for the last one used, or a free one. */
  natsPort: number;
  natsServer?: string | undefined;
  replicas: 1 | 3;
  rootKey?: string | undefined;
  /** The HSM that keys are rooted in; absent means a root key in software. */
  pkcs11?: Pkcs11Settings | undefined;
  clusters: ClusterSettings;
  /** Port for health and metrics of a service of its own, of a gateway on loopback beside its API; 0 for none. */
  healthPort: number;
  /** How external key stores are reached. */
  xks: XksClientSettings;
  logLevel: string;
  /** How long a crypto-worker may serve without having heard from the log, in ms. */
  leaseMs: number;
  /** How long a gateway waits for the answer of the service that took a request, in ms. */
  replyTimeoutMs: number;
  /** Age from which stored material that no event names is erased, in seconds. */
  orphanGraceSeconds: number;
  /** Default region for the generated AWS configuration. */
  region: string;
  /** Request quotas: AWS's, but for these rates. Absent for none. */
  quotas?: QuotaRates | undefined;
  /** Whether every call is put on record before it is answered. Off is for measuring what that costs. */
  records: boolean;
  /** Calls of a process that may be under way or wait for their record at once. */
  recordQueue: number;
  /** Whether traces are sent, as OpenTelemetry's own variables say. */
  tracing: boolean;
  /** How often the trees' heads are signed, in seconds, as far as they have grown. */
  treeHeadSeconds: number;
  /** Where the newest heads and their public key are kept outside of NATS. */
  checkpointDir: string;
  /** Where records are written as CloudTrail's log files; absent for nowhere. */
  trailDir?: string | undefined;
  /** How often, in seconds. */
  trailSeconds: number;
  /** The S3 bucket that digests say they are in. */
  trailBucket: string;
  /** After how many days they are removed; absent for never. */
  trailDays?: number | undefined;
  /** How many days the event history goes back. */
  historyDays: number;
  /** Who is asked to cosign the heads. */
  witnesses: readonly WitnessPlace[];
  /** A bucket of S3's API where the newest heads and their public key are kept too. */
  checkpointBucket?: BucketOptions | undefined;
  /** PostgreSQL for the event history; absent means PGlite in the data folder. */
  databaseUrl?: string | undefined;
  /** Tests only: the process kills itself there. */
  failPoint?: string | undefined;
  /** Names that begin as settings do and are none; absent where there are none. */
  unknown?: readonly string[];
}

export interface XksClientSettings {
  /** PEM file of the authorities that may vouch for XKS proxies; absent means those that Node trusts. */
  ca?: string | undefined;
  /** Whether a proxy may be on this machine, over plain HTTP too. */
  allowLoopback: boolean;
}

/** A setting that cannot be used; the message names it and what was expected. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

/** S3's rules for names, as far as a digest's place needs them. */
const isBucketName = (text: string): boolean => /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text);
/** A hundred years. */
const MAX_DAYS = 36_525;

/** THE configuration parser. Throws SettingsError naming every bad value at once. */
export function parseSettings(environment: Environment): Settings {
  const problems: string[] = [];
  const { text, integer, known } = settingsReader(environment, problems);
  for (const name of ['KEYTRAIL_QUOTAS', ...XKS_PROXY_SETTINGS]) known.add(name);
  const any = (value: string): boolean => value.length > 0;
  const file = (name: string): string | undefined => text(name, any, 'the path of a PEM file');
  const trailDir = text('KEYTRAIL_TRAIL_DIR', any, 'a folder');
  const port = integer('KEYTRAIL_PORT', 0, 65535, 4599);
  const clock = text(
    'KEYTRAIL_CLOCK',
    (value) => value === 'system' || value === 'virtual',
    'system or virtual',
    'system',
  );
  const replicas = text('KEYTRAIL_REPLICAS', (value) => value === '1' || value === '3', '1 or 3', '1');
  const dataDir = text('KEYTRAIL_DATA_DIR', any, 'a folder', './data')!;
  const settings: Settings = {
    host: text(
      'KEYTRAIL_HOST',
      (value) => /^[0-9a-zA-Z.:-]{1,253}$/.test(value),
      'an address or host name',
      '127.0.0.1',
    )!,
    port,
    tlsCert: file('KEYTRAIL_TLS_CERT'),
    tlsKey: file('KEYTRAIL_TLS_KEY'),
    tlsClientCa: file('KEYTRAIL_TLS_CLIENT_CA'),
    nitroRoots: file('KEYTRAIL_NITRO_ROOTS'),
    dataDir: isAbsolute(dataDir) ? dataDir : resolve(dataDir),
    accountId: text('KEYTRAIL_ACCOUNT_ID', (value) => /^\d{12}$/.test(value), '12 digits', '000000000000')!,
    rootAccessKeyId: text(
      'KEYTRAIL_ROOT_ACCESS_KEY_ID',
      (value) => /^\w{4,128}$/.test(value),
      '4 to 128 letters, digits or underscores',
    ),
    rootSecretAccessKey: text(
      'KEYTRAIL_ROOT_SECRET_ACCESS_KEY',
      (value) => /^[!-~]{4,256}$/.test(value),
      '4 to 256 characters of ASCII without spaces',
    ),
    clock: clock as Settings['clock'],
    natsUrl: text(
      'KEYTRAIL_NATS_URL',
      (value) => value.split(',').every((url) => /^(nats|tls|ws|wss):\/\/[^\s,]+$/.test(url.trim())),
      'one or more nats:// URLs, separated by commas',
    ),
    natsUser: text('KEYTRAIL_NATS_USER', any, 'a user name'),
    natsPassword: text('KEYTRAIL_NATS_PASSWORD', any, 'a password'),
    natsCalloutSeed: text('KEYTRAIL_NATS_CALLOUT_SEED', isIssuerSeed, 'the seed of an account nkey (SA...)'),
    natsCalloutXkeySeed: text('KEYTRAIL_NATS_CALLOUT_XKEY_SEED', isXkeySeed, 'the seed of a curve nkey (SX...)'),
    natsCa: file('KEYTRAIL_NATS_CA'),
    natsCert: file('KEYTRAIL_NATS_CERT'),
    natsKey: file('KEYTRAIL_NATS_KEY'),
    natsPort: integer('KEYTRAIL_NATS_PORT', 0, 65535, 0),
    natsServer: text('NATS_SERVER', any, 'the path of a nats-server'),
    replicas: replicas === '3' ? 3 : 1,
    rootKey: text(
      'KEYTRAIL_ROOT_KEY',
      (value) => Buffer.from(value, 'base64').length === 32,
      '32 bytes in base64 (openssl rand -base64 32)',
    ),
    pkcs11: parsePkcs11(text, integer, (problem) => problems.push(problem)),
    clusters: parseClusters(text, resolve(dataDir)),
    healthPort: integer('KEYTRAIL_HEALTH_PORT', 0, 65535, 0),
    xks: {
      ca: file('KEYTRAIL_XKS_STORE_CA'),
      allowLoopback:
        text('KEYTRAIL_XKS_STORE_LOOPBACK', (value) => value === 'true' || value === 'false', 'true or false') ===
        'true',
    },
    logLevel: text('KEYTRAIL_LOG_LEVEL', isLogLevel, LOG_LEVELS.join(', '), 'info')!,
    leaseMs: integer('KEYTRAIL_LEASE_MS', 500, 60_000, 5_000),
    replyTimeoutMs: integer('KEYTRAIL_REPLY_TIMEOUT_MS', 1_000, 300_000, 30_000),
    orphanGraceSeconds: integer('KEYTRAIL_ORPHAN_GRACE_SECONDS', 60, 31_536_000, 86_400),
    region: text('KEYTRAIL_REGION', isRegionName, 'a region name such as eu-central-1', 'us-east-1')!,
    quotas: parseQuotas(environment['KEYTRAIL_QUOTAS'], (problem) => problems.push(problem)),
    records: text('KEYTRAIL_RECORDS', (value) => value === 'on' || value === 'off', 'on or off', 'on') === 'on',
    recordQueue: integer('KEYTRAIL_RECORD_QUEUE', 10, 1_000_000, 10_000),
    tracing: parseTracing(environment, (problem) => problems.push(problem)),
    treeHeadSeconds: integer('KEYTRAIL_TREE_HEAD_SECONDS', 1, 86_400, 10),
    checkpointDir: resolve(text('KEYTRAIL_CHECKPOINT_DIR', any, 'a folder', join(dataDir, 'checkpoints'))!),
    trailDir: trailDir === undefined ? undefined : resolve(trailDir),
    trailSeconds: integer('KEYTRAIL_TRAIL_SECONDS', 1, 3_600, 300),
    trailBucket: text('KEYTRAIL_TRAIL_BUCKET', isBucketName, 'the name of an S3 bucket', 'keytrail-trail')!,
    trailDays: integer('KEYTRAIL_TRAIL_DAYS', 0, MAX_DAYS, 0) || undefined,
    historyDays: integer('KEYTRAIL_HISTORY_DAYS', 1, MAX_DAYS, 90),
    witnesses:
      parseWitnesses(
        text('KEYTRAIL_WITNESSES', (value) => parseWitnesses(value) !== undefined, WITNESSES_EXPECTED) ?? '',
      ) ?? [],
    checkpointBucket: parseCheckpointBucket(text, (problem) => problems.push(problem)),
    databaseUrl: text(
      'KEYTRAIL_DATABASE_URL',
      (value) => /^postgres(ql)?:\/\/[^\s]+$/.test(value),
      'a postgres:// URL',
    ),
    failPoint: text('KEYTRAIL_FAIL_POINT', any, 'the name of a fail-point'),
  };
  const plainAllowed = text(
    'KEYTRAIL_ALLOW_PLAIN_HTTP',
    (value) => value === 'true' || value === 'false',
    'true or false',
    'false',
  );
  if (problems.length === 0) problems.push(...contradictions(settings, plainAllowed === 'true'));
  if (problems.length > 0) throw new SettingsError(`bad settings:\n  ${problems.join('\n  ')}`);
  const unknown = Object.keys(environment).filter((name) => name.startsWith('KEYTRAIL_') && !known.has(name));
  return unknown.length === 0 ? settings : { ...settings, unknown };
}

/** Of three nodes a leader knows as late as after 2 s that it still leads: below this a lease would be lost all the time. */
const LEAST_CLUSTER_LEASE_MS = 4_000;

/** What is wrong with settings that are each good for themselves. */
function contradictions(settings: Settings, plainAllowed: boolean): string[] {
  const found: string[] = [];
  if (settings.replicas === 3 && settings.leaseMs < LEAST_CLUSTER_LEASE_MS) {
    found.push(`KEYTRAIL_LEASE_MS: expected at least ${LEAST_CLUSTER_LEASE_MS} with three replicas`);
  }
  const together = (a: string, b: string, one: string | undefined, other: string | undefined): void => {
    if ((one === undefined) !== (other === undefined)) found.push(`${a} and ${b}: expected both or neither`);
  };
  together(
    'KEYTRAIL_ROOT_ACCESS_KEY_ID',
    'KEYTRAIL_ROOT_SECRET_ACCESS_KEY',
    settings.rootAccessKeyId,
    settings.rootSecretAccessKey,
  );
  if (settings.pkcs11 && settings.rootKey !== undefined) {
    found.push('KEYTRAIL_ROOT_KEY: expected without KEYTRAIL_ROOT=pkcs11, whose root key is in the HSM');
  }
  together('KEYTRAIL_TLS_CERT', 'KEYTRAIL_TLS_KEY', settings.tlsCert, settings.tlsKey);
  together(
    'KEYTRAIL_NATS_CALLOUT_SEED',
    'KEYTRAIL_NATS_CALLOUT_XKEY_SEED',
    settings.natsCalloutSeed,
    settings.natsCalloutXkeySeed,
  );
  together('KEYTRAIL_NATS_CERT', 'KEYTRAIL_NATS_KEY', settings.natsCert, settings.natsKey);
  // Each has a lock of its own.
  if (settings.trailDir === resolve(settings.dataDir)) {
    found.push('KEYTRAIL_TRAIL_DIR: expected another folder than KEYTRAIL_DATA_DIR');
  }
  if (settings.tlsClientCa !== undefined && settings.tlsCert === undefined) {
    found.push('KEYTRAIL_TLS_CLIENT_CA: expected only with KEYTRAIL_TLS_CERT and KEYTRAIL_TLS_KEY');
  }
  if (!isLoopback(settings.host) && settings.tlsCert === undefined && !plainAllowed) {
    found.push(
      `KEYTRAIL_HOST=${JSON.stringify(settings.host)}: anybody on the way could read plaintexts and data keys there. ` +
        'Set KEYTRAIL_TLS_CERT and KEYTRAIL_TLS_KEY, or KEYTRAIL_ALLOW_PLAIN_HTTP=true if something before it ends TLS',
    );
  }
  return found;
}

const WITNESSES_EXPECTED =
  'a verifier key and an http:// or https:// URL with a space between, for each of different witnesses, separated by commas';

type ReadText = (name: string, ok: (value: string) => boolean, expected: string) => string | undefined;

/** A bucket, with its region and the file of its credentials; the last is not optional. */
function parseCheckpointBucket(text: ReadText, problem: (text: string) => void): BucketOptions | undefined {
  const isBucket = (value: string): boolean => parseBucket(value) !== undefined;
  const bucket = text('KEYTRAIL_CHECKPOINT_BUCKET', isBucket, 'https://<host>/<bucket>, and perhaps /<prefix>');
  const any = (value: string): boolean => value.length > 0;
  const file = text('KEYTRAIL_CHECKPOINT_BUCKET_CREDENTIALS', any, 'the path of an AWS credentials file');
  const region = text('KEYTRAIL_CHECKPOINT_BUCKET_REGION', isRegionName, 'a region name such as eu-central-1');
  if (bucket === undefined) return undefined;
  if (file === undefined) {
    problem(
      'KEYTRAIL_CHECKPOINT_BUCKET_CREDENTIALS: expected with KEYTRAIL_CHECKPOINT_BUCKET, the path of an AWS credentials file',
    );
    return undefined;
  }
  return { ...parseBucket(bucket)!, region: region ?? 'us-east-1', credentialsFile: resolve(file) };
}

/** `off`, or `aws` followed by rates of its own for some classes: `aws,symmetric=500,DescribeKey=100`. */
function parseQuotas(value: string | undefined, problem: (text: string) => void): QuotaRates | undefined {
  if (value === undefined || value === '' || value === 'off') return undefined;
  const [first, ...own] = value.split(',').map((part) => part.trim());
  if (first !== 'aws') {
    problem(`KEYTRAIL_QUOTAS=${JSON.stringify(value)}: expected off, or aws followed by rates such as symmetric=500`);
    return undefined;
  }
  const rates: Partial<Record<QuotaClass, number>> = {};
  for (const part of own) {
    const [name, rate, ...more] = part.split('=') as [string, ...string[]];
    if (!isQuotaClass(name)) {
      problem(`KEYTRAIL_QUOTAS: ${JSON.stringify(name)} is no class of quotas: expected symmetric, DescribeKey, ...`);
    } else if (rate === undefined || more.length > 0 || !/^\d{1,9}(\.\d{1,6})?$/.test(rate) || Number(rate) === 0) {
      problem(`KEYTRAIL_QUOTAS: ${name}: expected ${name}=<requests a second>, a number above 0`);
    } else rates[name] = Number(rate);
  }
  return rates;
}

/** OpenTelemetry's variables: on where an endpoint is named. Its values may hold a password, so none is repeated. */
function parseTracing(environment: Environment, problem: (text: string) => void): boolean {
  const endpoints = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  const named = endpoints.filter((name) => environment[name]);
  const off = environment['OTEL_SDK_DISABLED'] === 'true' || environment['OTEL_TRACES_EXPORTER'] === 'none';
  if (named.length === 0 || off) return false;
  for (const name of named) {
    if (!/^https?:\/\/[^\s/]/.test(environment[name]!)) problem(`${name}: expected an http:// or https:// URL`);
  }
  for (const name of ['OTEL_EXPORTER_OTLP_PROTOCOL', 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']) {
    if (environment[name] && environment[name] !== 'http/json') problem(`${name}: expected http/json`);
  }
  return true;
}
