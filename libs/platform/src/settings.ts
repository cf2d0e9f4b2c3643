import { isAbsolute, resolve } from 'node:path';
import { isRegionName } from '#domain/arn';

/** Everything that can be set, parsed once from the environment. */
export interface Settings {
  host: string;
  port: number;
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
  /** Port of the embedded nats-server; 0 for the last one used, or a free one. */
  natsPort: number;
  natsServer?: string | undefined;
  replicas: 1 | 3;
  rootKey?: string | undefined;
  /** Port of a separate service's own health and metrics endpoint; 0 for none. */
  healthPort: number;
  logLevel: string;
  /** How long a crypto-worker may serve without having heard from the log, in ms. */
  leaseMs: number;
  /** Age from which stored material that no event names is erased, in seconds. */
  orphanGraceSeconds: number;
  /** Default region for the generated AWS configuration. */
  region: string;
  /** Tests only: the process kills itself there. */
  failPoint?: string | undefined;
}

/** A setting that cannot be used; the message names it and what was expected. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

type Environment = Record<string, string | undefined>;

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** THE configuration parser. Throws SettingsError naming every bad value at once. */
export function parseSettings(environment: Environment): Settings {
  const problems: string[] = [];
  const text = (
    name: string,
    ok: (value: string) => boolean,
    expected: string,
    fallback?: string,
  ): string | undefined => {
    const value = environment[name];
    if (value === undefined || value === '') return fallback;
    if (ok(value)) return value;
    problems.push(`${name}=${secret(name) ? '***' : JSON.stringify(value)}: expected ${expected}`);
    return fallback;
  };
  const integer = (name: string, min: number, max: number, fallback: number): number =>
    Number(
      text(
        name,
        (value) => /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max,
        `a whole number from ${min} to ${max}`,
        String(fallback),
      ),
    );
  const any = (value: string): boolean => value.length > 0;
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
    natsPort: integer('KEYTRAIL_NATS_PORT', 0, 65535, 0),
    natsServer: text('NATS_SERVER', any, 'the path of a nats-server'),
    replicas: replicas === '3' ? 3 : 1,
    rootKey: text(
      'KEYTRAIL_ROOT_KEY',
      (value) => Buffer.from(value, 'base64').length === 32,
      '32 bytes in base64 (openssl rand -base64 32)',
    ),
    healthPort: integer('KEYTRAIL_HEALTH_PORT', 0, 65535, 0),
    logLevel: text(
      'KEYTRAIL_LOG_LEVEL',
      (value) => (LOG_LEVELS as readonly string[]).includes(value),
      LOG_LEVELS.join(', '),
      'info',
    )!,
    leaseMs: integer('KEYTRAIL_LEASE_MS', 500, 60_000, 5_000),
    orphanGraceSeconds: integer('KEYTRAIL_ORPHAN_GRACE_SECONDS', 60, 31_536_000, 86_400),
    region: text('KEYTRAIL_REGION', isRegionName, 'a region name such as eu-central-1', 'us-east-1')!,
    failPoint: text('KEYTRAIL_FAIL_POINT', any, 'the name of a fail-point'),
  };
  if (
    (settings.rootAccessKeyId === undefined) !== (settings.rootSecretAccessKey === undefined) &&
    problems.length === 0
  ) {
    problems.push('KEYTRAIL_ROOT_ACCESS_KEY_ID and KEYTRAIL_ROOT_SECRET_ACCESS_KEY: expected both or neither');
  }
  if (problems.length > 0) throw new SettingsError(`bad settings:\n  ${problems.join('\n  ')}`);
  return settings;
}

const secret = (name: string): boolean => /SECRET|PASSWORD|ROOT_KEY/.test(name);
