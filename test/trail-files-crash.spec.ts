import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudTrailClient, ListPublicKeysCommand } from '@aws-sdk/client-cloudtrail';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { stateFile, type TrailState } from '#platform/trail-files/trail-state';
import { type Credentials, clientsOf } from './support/identities';
import { until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { checkedTrail } from './support/trail-check';
import { cliVersion, validateLogs } from './support/validate-logs';

jest.setTimeout(180_000);

const HOME = '000000000000';
const REGIONS = ['us-east-1', 'eu-west-1'] as const;
const HOUR_MS = 3_600_000;
const BUCKET = 'keytrail-trail';

let dataDir: string;
let folder: string;
let server: KeytrailProcess;
let credentials: Credentials;
let publicKey: Uint8Array;
let begun: number;
/** Request ids of the calls that were answered, by region. */
const answered: Record<(typeof REGIONS)[number], string[]> = { 'us-east-1': [], 'eu-west-1': [] };

async function start(failPoint?: string): Promise<void> {
  server = await startProcess(dataDir, {
    KEYTRAIL_CLOCK: 'virtual',
    KEYTRAIL_TRAIL_DIR: folder,
    KEYTRAIL_TRAIL_SECONDS: '1',
    ...(failPoint && { KEYTRAIL_FAIL_POINT: failPoint }),
  });
  credentials = (await server.kms.config.credentials()) as Credentials;
}

/** A call in each region, as long as somebody answers. */
async function call(): Promise<void> {
  for (const region of REGIONS) {
    const { kms } = clientsOf(server.endpoint, credentials, region);
    try {
      const { KeyMetadata, $metadata } = await kms.send(new CreateKeyCommand({}));
      answered[region].push($metadata.requestId!);
      const encrypted = await kms.send(
        new EncryptCommand({ KeyId: KeyMetadata!.KeyId!, Plaintext: Buffer.from('on record') }),
      );
      answered[region].push(encrypted.$metadata.requestId!);
    } catch {
      return;
    }
  }
}

const advance = (): Promise<unknown> => run([MAIN, 'clock', 'advance', '1h'], { KEYTRAIL_DATA_DIR: dataDir }).done;
const state = (): TrailState => JSON.parse(readFileSync(stateFile(folder), 'utf8'));
const isDone = (): boolean =>
  REGIONS.every((region) => {
    const { records } = checkedTrail(folder, publicKey, HOME, region);
    const written = new Set(records.map(({ requestID }) => requestID));
    return answered[region].every((requestId) => written.has(requestId));
  }) && state().begun === undefined;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-trail-crash-'));
  folder = join(dataDir, 'trail');
  begun = Date.now();
  await start();
  const trail = new CloudTrailClient({ endpoint: server.endpoint, region: 'us-east-1', credentials });
  publicKey = (await trail.send(new ListPublicKeysCommand({}))).PublicKeyList![0]!.Value!;
  await call();
  await until(async () => isDone(), 'no log files came');
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

test.each([
  ['after-begin:trail-delivery'],
  ['after-file:trail-delivery'],
  ['after-files:trail-delivery'],
  ['after-begin:trail-digest'],
  ['after-metadata:trail-digest'],
  ['after-file:trail-digest'],
  ['after-files:trail-digest'],
])(
  'after a kill -9 at %s the files go on: each call is in one of them, and the chain of digests is whole',
  async (point) => {
    await server.stop();
    const before = checkedTrail(folder, publicKey, HOME).digests.length;
    await start(point);
    await call();
    await advance();
    expect(await server.gone).toBe('SIGKILL');
    expect(state().begun?.kind).toBe(point.split('-').at(-1));
    await start();
    await call();
    await until(async () => isDone(), 'calls are in no file');
    await advance();
    const { output } = await run([MAIN, 'clock', 'now'], { KEYTRAIL_DATA_DIR: dataDir }).done;
    const now = Date.parse(/\d{4}-\S+Z/.exec(output)![0]);
    await until(async () => isDone() && Date.parse(state().periodStart) > now - HOUR_MS, 'no digest came');
    for (const region of REGIONS) {
      const { digests } = checkedTrail(folder, publicKey, HOME, region);
      expect(digests.length).toBeGreaterThan(before);
      expect(digests.at(-1)!.digestEndTime).toBe(state().periodStart);
    }
  },
);

const version = cliVersion();
if (version === undefined) console.warn('SKIPPED: digests checked by the AWS CLI, since there is no aws on PATH');
(version === undefined ? test.skip : test)('the AWS CLI finds all of it valid', async () => {
  for (const region of REGIONS) {
    const { digests } = checkedTrail(folder, publicKey, HOME, region);
    const { code, output } = await validateLogs({
      ...{ folder, bucket: BUCKET, endpoint: server.endpoint, credentials, region },
      trailArn: `arn:aws:cloudtrail:us-east-1:${HOME}:trail/keytrail`,
      from: new Date(begun - 3_600_000).toISOString(),
      to: new Date(begun + 48 * 3_600_000).toISOString(),
    });
    expect({ code, output }).toEqual({
      code: 0,
      output: expect.stringContaining(`${digests.length}/${digests.length} digest files valid`),
    });
  }
});
