import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CreateKeyCommand,
  type CreateKeyCommandInput,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  type KMSClient,
  ReplicateKeyCommand,
  RotateKeyOnDemandCommand,
  ScheduleKeyDeletionCommand,
  SignCommand,
  UpdatePrimaryRegionCommand,
  VerifyCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { kmsIn } from './support/regions';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';
const Message = Buffer.from('the same everywhere');

let dataDir: string;
let server: KeytrailProcess;
let home: KMSClient;
let away: KMSClient;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-mrk-'));
  server = await startProcess(dataDir);
  home = server.kms;
  away = kmsIn(AWAY, server);
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function replicated(input: CreateKeyCommandInput = {}): Promise<string> {
  const { KeyMetadata } = await home.send(new CreateKeyCommand({ MultiRegion: true, ...input }));
  const KeyId = KeyMetadata!.KeyId!;
  await home.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: AWAY }));
  return KeyId;
}
const arnIn = (region: string, KeyId: string): string => `arn:aws:kms:${region}:000000000000:key/${KeyId}`;
const clients = (): [string, KMSClient][] => [
  [HOME, home],
  [AWAY, away],
];

describe('with the AWS SDK in two regions', () => {
  test('what one key encrypts the related one decrypts, before and after a rotation and another primary', async () => {
    const KeyId = await replicated();
    const ciphertexts: Uint8Array[] = [];
    const more = async (): Promise<void> => {
      for (const [, kms] of clients()) {
        ciphertexts.push((await kms.send(new EncryptCommand({ KeyId, Plaintext: Message }))).CiphertextBlob!);
      }
    };
    await more();
    await home.send(new RotateKeyOnDemandCommand({ KeyId }));
    await more();
    await home.send(new UpdatePrimaryRegionCommand({ KeyId, PrimaryRegion: AWAY }));
    await away.send(new RotateKeyOnDemandCommand({ KeyId }));
    await more();
    for (const [region, kms] of clients()) {
      for (const CiphertextBlob of ciphertexts) {
        const opened = await kms.send(new DecryptCommand({ CiphertextBlob }));
        expect(opened).toMatchObject({ KeyId: arnIn(region, KeyId) });
        expect(Buffer.from(opened.Plaintext!)).toEqual(Message);
      }
    }
    expect((await home.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.MultiRegionConfiguration).toEqual({
      MultiRegionKeyType: 'REPLICA',
      PrimaryKey: { Arn: arnIn(AWAY, KeyId), Region: AWAY },
      ReplicaKeys: [{ Arn: arnIn(HOME, KeyId), Region: HOME }],
    });
  });

  test('what one key signs the related one verifies, and they have one public key', async () => {
    const KeyId = await replicated({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
    const asked = { KeyId, Message, SigningAlgorithm: 'ECDSA_SHA_256' } as const;
    const { Signature } = await away.send(new SignCommand(asked));
    expect(await home.send(new VerifyCommand({ ...asked, Signature }))).toMatchObject({ SignatureValid: true });
    const spki = async (kms: KMSClient) => (await kms.send(new GetPublicKeyCommand({ KeyId }))).PublicKey;
    expect(await spki(away)).toEqual(await spki(home));
    await expect(home.send(new RotateKeyOnDemandCommand({ KeyId }))).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
    });
  });

  test('what one key makes a MAC of the related one verifies', async () => {
    const KeyId = await replicated({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
    const asked = { KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' } as const;
    const { Mac } = await home.send(new GenerateMacCommand(asked));
    expect(await away.send(new VerifyMacCommand({ ...asked, Mac }))).toMatchObject({ MacValid: true });
  });

  test('a primary with replicas waits for them', async () => {
    const KeyId = await replicated();
    expect(await home.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }))).toMatchObject({
      ...{ KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 7 },
    });
    await expect(home.send(new ReplicateKeyCommand({ KeyId, ReplicaRegion: 'ap-south-1' }))).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
    });
    const { KeyMetadata } = await home.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata).toMatchObject({ PendingDeletionWindowInDays: 7 });
    expect(KeyMetadata!.DeletionDate).toBeUndefined();
  });

  test('the material of all is whole, and the log holds together', async () => {
    await replicated();
    const { code, output } = await run([MAIN, 'verify'], { KEYTRAIL_DATA_DIR: dataDir }).done;
    expect(output).not.toMatch(/unusable|missing/);
    expect(code).toBe(0);
    const KeyId = await replicated();
    const replayed = await run([MAIN, 'replay', '--key', arnIn(AWAY, KeyId)], { KEYTRAIL_DATA_DIR: dataDir }).done;
    expect(replayed.output).toContain('multi-Region: REPLICA, of term 1');
  });
});

const hasCli = (): boolean => {
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
if (!hasCli()) console.warn('SKIPPED: multi-Region keys with the AWS CLI, since there is no aws on PATH');

(hasCli() ? test : test.skip)(
  'the AWS CLI replicates a key and changes its primary region',
  async () => {
    const env = {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'))),
      AWS_CONFIG_FILE: join(dataDir, 'aws/config'),
      AWS_SHARED_CREDENTIALS_FILE: join(dataDir, 'aws/credentials'),
      AWS_PAGER: '',
    };
    const aws = async (region: string, ...args: string[]) => {
      const all = ['--endpoint-url', server.endpoint, '--region', region, '--output', 'json', 'kms', ...args];
      const { stdout } = await promisify(execFile)('aws', all, { env });
      return JSON.parse(stdout.trim() === '' ? '{}' : stdout);
    };
    const { KeyId } = (await aws(HOME, 'create-key', '--multi-region')).KeyMetadata;
    const tags = ['--tags', 'TagKey=team,TagValue=a'];
    const made = await aws(HOME, 'replicate-key', '--key-id', KeyId, '--replica-region', AWAY, ...tags);
    expect(made.ReplicaKeyMetadata).toMatchObject({ Arn: arnIn(AWAY, KeyId), KeyState: 'Creating' });
    expect(made.ReplicaTags).toEqual([{ TagKey: 'team', TagValue: 'a' }]);
    await aws(HOME, 'update-primary-region', '--key-id', KeyId, '--primary-region', AWAY);
    const { KeyMetadata } = await aws(AWAY, 'describe-key', '--key-id', KeyId);
    expect(KeyMetadata).toMatchObject({
      KeyState: 'Enabled',
      MultiRegionConfiguration: { MultiRegionKeyType: 'PRIMARY', ReplicaKeys: [{ Region: HOME }] },
    });
  },
  240_000,
);
