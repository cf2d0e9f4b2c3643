import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteUserCommand,
  ListAccessKeysCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { accessKeyMaterialId } from '#domain/principal/access-key-material-id';
import { materialSubject } from '#domain/subjects';
import { type Clients, type Credentials, clientsOf, longTerm, refusal } from './support/identities';
import { type KeytrailProcess, startProcess } from './support/processes';
import { storedMaterial } from './support/stored-material';

const UserName = 'bob';

let dataDir: string;
let server: KeytrailProcess;
let root: Clients;

async function start(failPoint?: string): Promise<void> {
  server = await startProcess(dataDir, failPoint === undefined ? {} : { KEYTRAIL_FAIL_POINT: failPoint });
  root = clientsOf(server.endpoint, (await server.kms.config.credentials()) as Credentials);
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-access-key-crash-'));
  await start();
  await root.iam.send(new CreateUserCommand({ UserName }));
});

afterAll(async () => {
  await server?.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Has the server die at a fail-point, and come back on the same data without it. */
async function crashAt(point: string, drive: () => Promise<unknown>): Promise<void> {
  await server.stop();
  await start(point);
  const answered = drive().then(
    () => 'answered',
    () => 'failed',
  );
  expect(await server.gone).toBe('SIGKILL');
  expect(await answered).toBe('failed');
  await start();
}

const keyIds = async (): Promise<string[]> => {
  const { AccessKeyMetadata } = await root.iam.send(new ListAccessKeysCommand({ UserName }));
  return AccessKeyMetadata!.map(({ AccessKeyId }) => AccessKeyId!);
};

const isStored = async (accessKeyId: string): Promise<boolean> =>
  (await storedMaterial(dataDir)).has(materialSubject(accessKeyMaterialId(accessKeyId)));

describe('a crash of CreateAccessKey', () => {
  test.each([
    ['before-store:material', 0],
    ['after-store:material', 0],
    ['before-append:AccessKeyCreated', 0],
    ['after-append:AccessKeyCreated', 1],
  ])(
    'at %s leaves %i access keys, and the next one is made',
    async (point, left) => {
      await crashAt(point, () => root.iam.send(new CreateAccessKeyCommand({ UserName })));
      const found = await keyIds();
      expect(found).toHaveLength(left);
      const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
      const bob = clientsOf(server.endpoint, credentials);
      expect((await bob.sts.send(new GetCallerIdentityCommand({}))).Arn).toContain(':user/bob');
      for (const AccessKeyId of [...found, credentials.accessKeyId]) {
        await root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
        expect(await isStored(AccessKeyId)).toBe(false);
      }
    },
    60_000,
  );
});

describe('a crash of DeleteAccessKey', () => {
  test.each([
    ['before-append:AccessKeyDeleted', true, true],
    ['after-append:AccessKeyDeleted', false, true],
    ['before-erase:material', false, true],
    ['after-erase:material', false, false],
  ])(
    'at %s: the access key is there: %s, its secret: %s',
    async (point, there, stored) => {
      const credentials = longTerm(await root.iam.send(new CreateAccessKeyCommand({ UserName })));
      const AccessKeyId = credentials.accessKeyId;
      await crashAt(point, () => root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId })));
      expect(await keyIds()).toEqual(there ? [AccessKeyId] : []);
      expect(await isStored(AccessKeyId)).toBe(stored);
      const signed = clientsOf(server.endpoint, credentials).sts.send(new GetCallerIdentityCommand({}));
      if (there) {
        await signed;
        await root.iam.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
      } else {
        // A secret that is left opens nothing; the sweep erases it once it is older than the grace.
        expect((await refusal(signed))[0]).toBe('InvalidClientTokenId');
      }
    },
    60_000,
  );
});

test('a user whose access keys are all gone can be deleted', async () => {
  await root.iam.send(new DeleteUserCommand({ UserName }));
});
