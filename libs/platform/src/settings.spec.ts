import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { newCalloutSeeds } from './callout-keys';
import { parseSettings, SettingsError } from './settings';

/** The lines of the error; none if the settings are good. */
function problems(environment: Record<string, string>): string[] {
  try {
    parseSettings(environment);
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as Error).message.split('\n').slice(1);
  }
}

const CERTIFICATE = { KEYTRAIL_TLS_CERT: 'server.pem', KEYTRAIL_TLS_KEY: 'server-key.pem' };

describe('the host', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::1', 'localhost', '::ffff:127.0.0.1'])('%s may serve plain HTTP', (host) => {
    expect(problems({ KEYTRAIL_HOST: host })).toEqual([]);
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '127.0.0.1.example.com', 'kms.internal', '127.1'])(
    '%s needs TLS, or a word that plain HTTP is meant',
    (host) => {
      expect(problems({ KEYTRAIL_HOST: host })).toEqual([
        expect.stringMatching(
          /KEYTRAIL_HOST=.*KEYTRAIL_TLS_CERT and KEYTRAIL_TLS_KEY, or KEYTRAIL_ALLOW_PLAIN_HTTP=true/,
        ),
      ]);
      expect(problems({ KEYTRAIL_HOST: host, KEYTRAIL_ALLOW_PLAIN_HTTP: 'false' })).toHaveLength(1);
      expect(problems({ KEYTRAIL_HOST: host, KEYTRAIL_ALLOW_PLAIN_HTTP: 'true' })).toEqual([]);
      expect(problems({ KEYTRAIL_HOST: host, ...CERTIFICATE })).toEqual([]);
    },
  );

  it('is not opened by a word that is none', () => {
    expect(problems({ KEYTRAIL_HOST: '0.0.0.0', KEYTRAIL_ALLOW_PLAIN_HTTP: 'yes' })).toEqual([
      '  KEYTRAIL_ALLOW_PLAIN_HTTP="yes": expected true or false',
    ]);
  });
});

describe('certificates', () => {
  it.each([
    ['KEYTRAIL_TLS_CERT', 'KEYTRAIL_TLS_KEY'],
    ['KEYTRAIL_NATS_CERT', 'KEYTRAIL_NATS_KEY'],
  ])('%s and %s come together', (cert, key) => {
    for (const name of [cert, key]) {
      expect(problems({ [name]: 'a.pem' })).toEqual([`  ${cert} and ${key}: expected both or neither`]);
    }
  });

  it('of clients are asked for only where there is TLS', () => {
    expect(problems({ KEYTRAIL_TLS_CLIENT_CA: 'ca.pem' })).toEqual([
      '  KEYTRAIL_TLS_CLIENT_CA: expected only with KEYTRAIL_TLS_CERT and KEYTRAIL_TLS_KEY',
    ]);
    expect(problems({ KEYTRAIL_TLS_CLIENT_CA: 'ca.pem', ...CERTIFICATE })).toEqual([]);
  });
});

describe('the seeds of auth callout', () => {
  const { issuer, xkey } = newCalloutSeeds();

  it('come together', () => {
    const both = { KEYTRAIL_NATS_CALLOUT_SEED: issuer, KEYTRAIL_NATS_CALLOUT_XKEY_SEED: xkey };
    expect(problems(both)).toEqual([]);
    for (const one of Object.entries(both)) {
      expect(problems(Object.fromEntries([one]))).toEqual([
        '  KEYTRAIL_NATS_CALLOUT_SEED and KEYTRAIL_NATS_CALLOUT_XKEY_SEED: expected both or neither',
      ]);
    }
  });

  it('are whole, and not in the place of each other; what was set is not said', () => {
    for (const [one, other] of [
      [xkey, issuer],
      [issuer.slice(0, -1), 'SX'],
    ] as const) {
      expect(problems({ KEYTRAIL_NATS_CALLOUT_SEED: one, KEYTRAIL_NATS_CALLOUT_XKEY_SEED: other })).toEqual([
        '  KEYTRAIL_NATS_CALLOUT_SEED=***: expected the seed of an account nkey (SA...)',
        '  KEYTRAIL_NATS_CALLOUT_XKEY_SEED=***: expected the seed of a curve nkey (SX...)',
      ]);
    }
  });
});

describe('quotas', () => {
  it.each([undefined, '', 'off'])('are off where KEYTRAIL_QUOTAS is %j', (KEYTRAIL_QUOTAS) => {
    expect(parseSettings({ KEYTRAIL_QUOTAS }).quotas).toBeUndefined();
  });

  it("are AWS's, but for what is set", () => {
    expect(parseSettings({ KEYTRAIL_QUOTAS: 'aws' }).quotas).toEqual({});
    expect(parseSettings({ KEYTRAIL_QUOTAS: 'aws, symmetric=500, DescribeKey=0.25' }).quotas).toEqual({
      symmetric: 500,
      DescribeKey: 0.25,
    });
  });

  it('name every class that there is not, and every rate that is none', () => {
    expect(problems({ KEYTRAIL_QUOTAS: 'aws,Frobnicate=1,symmetric=0,CreateKey=many,toString=1,DescribeKey' })).toEqual(
      [
        '  KEYTRAIL_QUOTAS: "Frobnicate" is no class of quotas: expected symmetric, DescribeKey, ...',
        '  KEYTRAIL_QUOTAS: symmetric: expected symmetric=<requests a second>, a number above 0',
        '  KEYTRAIL_QUOTAS: CreateKey: expected CreateKey=<requests a second>, a number above 0',
        '  KEYTRAIL_QUOTAS: "toString" is no class of quotas: expected symmetric, DescribeKey, ...',
        '  KEYTRAIL_QUOTAS: DescribeKey: expected DescribeKey=<requests a second>, a number above 0',
      ],
    );
    expect(problems({ KEYTRAIL_QUOTAS: 'on' })).toHaveLength(1);
  });
});

it('a lease shorter than three nodes need to know their leader is refused', () => {
  expect(problems({ KEYTRAIL_LEASE_MS: '3999' })).toEqual([]);
  expect(problems({ KEYTRAIL_LEASE_MS: '4000', KEYTRAIL_REPLICAS: '3' })).toEqual([]);
  expect(problems({ KEYTRAIL_LEASE_MS: '3999', KEYTRAIL_REPLICAS: '3' })).toEqual([
    '  KEYTRAIL_LEASE_MS: expected at least 4000 with three replicas',
  ]);
});

describe('traces', () => {
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:4318';

  it('are sent where an endpoint is named, and nobody has turned them off', () => {
    expect(parseSettings({}).tracing).toBe(false);
    expect(parseSettings({ OTEL_SERVICE_NAME: 'name' }).tracing).toBe(false);
    expect(parseSettings({ OTEL_EXPORTER_OTLP_ENDPOINT }).tracing).toBe(true);
    expect(parseSettings({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces/v1/traces' }).tracing).toBe(true);
    expect(parseSettings({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'true' }).tracing).toBe(false);
    expect(parseSettings({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }).tracing).toBe(false);
  });

  it('have no endpoint and no protocol that cannot be used, and no value of theirs is repeated', () => {
    expect(
      problems({ OTEL_EXPORTER_OTLP_ENDPOINT: 'user:password@host', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }),
    ).toEqual([
      '  OTEL_EXPORTER_OTLP_ENDPOINT: expected an http:// or https:// URL',
      '  OTEL_EXPORTER_OTLP_PROTOCOL: expected http/json',
    ]);
    expect(problems({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toEqual([]);
  });
});

describe('trail files', () => {
  it('are put into a folder of their own', () => {
    const KEYTRAIL_TRAIL_DIR = 'files';
    expect(problems({ KEYTRAIL_TRAIL_DIR })).toEqual([]);
    expect(problems({ KEYTRAIL_TRAIL_DIR, KEYTRAIL_DATA_DIR: './files' })).toEqual([
      '  KEYTRAIL_TRAIL_DIR: expected another folder than KEYTRAIL_DATA_DIR',
    ]);
  });

  it.each([
    ['KEYTRAIL_TRAIL_SECONDS', '0'],
    ['KEYTRAIL_TRAIL_SECONDS', '3601'],
    ['KEYTRAIL_TRAIL_DAYS', '-1'],
    ['KEYTRAIL_HISTORY_DAYS', '0'],
    ['KEYTRAIL_TRAIL_BUCKET', 'Capitals'],
    ['KEYTRAIL_TRAIL_BUCKET', 'a/b'],
  ])('need a %s that is not %s', (name, value) => {
    expect(problems({ [name]: value })).toEqual([expect.stringContaining(`  ${name}="${value}": expected `)]);
  });
});

/** Those of the table in README.md. */
function documentedSettings(): string[] {
  const readme = readFileSync(resolve(__dirname, '../../../README.md'), 'utf8');
  const cells = [...readme.matchAll(/^\| (`[^|]*`) *\|/gm)].map(([, cell]) => cell!);
  return cells.flatMap((cell) => [...cell.matchAll(/`(KEYTRAIL_\w+)`/g)].map(([, name]) => name!));
}

test('what begins as a setting does, and is none, is told by its name', () => {
  const documented = documentedSettings();
  expect(documented).toContain('KEYTRAIL_CHECKPOINT_BUCKET_REGION');
  expect(parseSettings(Object.fromEntries(documented.map((name) => [name, '']))).unknown).toBeUndefined();
  expect(parseSettings({ KEYTRAIL_TLS_CRT: 'server.pem', PATH: '/bin' }).unknown).toEqual(['KEYTRAIL_TLS_CRT']);
});
