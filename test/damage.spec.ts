import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CreateKeyCommand, EncryptCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { materialIdOf } from '#domain/key/material-id';
import { findNatsServer, until } from './support/nats-server';
import { MAIN, run, startProcess } from './support/processes';

const EVENTS = 'nats/store/jetstream/$G/streams/KMS_EVENTS/msgs/1.blk';

let whole: string;
let dataDir: string;

beforeAll(async () => {
  whole = mkdtempSync(join(tmpdir(), 'keytrail-whole-'));
  const server = await startProcess(whole);
  for (let i = 0; i < 3; i++) await server.kms.send(new CreateKeyCommand({}));
  await server.stop();
});

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'keytrail-damage-'));
  cpSync(whole, dataDir, { recursive: true });
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));
afterAll(() => rmSync(whole, { recursive: true, force: true }));

const sizeOf = (path: string): number => readFileSync(path).length;

const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
};

describe('a start is refused, saying what to restore, where the event log', () => {
  test('was emptied, which the server takes for a new one', async () => {
    rmSync(join(dataDir, 'log-witness'));
    truncateSync(join(dataDir, EVENTS), 0);
    await expect(startProcess(dataDir)).rejects.toThrow(
      'the event log ends at position 0, but key material was stored when it had reached 2: commits were lost',
    );
  });

  test('was cut short', async () => {
    const path = join(dataDir, EVENTS);
    truncateSync(path, Math.floor(sizeOf(path) / 2));
    await expect(startProcess(dataDir)).rejects.toThrow('position 2 is missing from KMS_EVENTS: restore the stream');
  });

  test('has a flipped bit', async () => {
    const path = join(dataDir, EVENTS);
    flip(path, Math.floor(sizeOf(path) / 2));
    await expect(startProcess(dataDir)).rejects.toThrow(/keytrail: .*(restore the event log|restore the stream)/);
  });

  // In both the server keeps the position, and then sends nothing.
  test('has a flipped bit in its last record', async () => {
    const path = join(dataDir, EVENTS);
    flip(path, sizeOf(path) - 200);
    const start = startProcess(dataDir);
    await expect(start).rejects.toThrow('position 3 is missing from KMS_EVENTS: restore the stream from a backup');
    await expect(start).rejects.toThrow(`"files":${JSON.stringify(dirname(path))}`);
  });

  test("has a flipped bit in a record's length", async () => {
    const path = join(dataDir, EVENTS);
    const ofFirst = readFileSync(path).readUInt32LE(0) & 0x3fffffff;
    flip(path, ofFirst + 2);
    await expect(startProcess(dataDir)).rejects.toThrow('position 2 is missing from KMS_EVENTS: restore the stream');
  });
});

describe('where every process was killed and the last record is damaged, which the server cuts off without a word', () => {
  beforeEach(async () => {
    const server = await startProcess(dataDir);
    await server.kms.send(new CreateKeyCommand({}));
    process.kill(Number(readFileSync(join(dataDir, 'nats/pid'), 'utf8')), 'SIGKILL');
    server.signal('SIGKILL');
    await server.gone;
  });

  const flipLast = (): void => flip(join(dataDir, EVENTS), sizeOf(join(dataDir, EVENTS)) - 200);

  test('the start and verify are refused, naming what had been acknowledged', async () => {
    flipLast();
    const refused =
      /KMS_EVENTS ends at position 3, but .*log-witness says that it had reached 4: commits were lost; restore/;
    await expect(startProcess(dataDir)).rejects.toThrow(refused);
    const verified = await run([MAIN, 'verify'], { KEYTRAIL_DATA_DIR: dataDir, NATS_SERVER: findNatsServer() }).done;
    expect(verified).toEqual({ code: 1, output: expect.stringMatching(refused) });
  });

  test('it starts once its operator has removed the witness, as the message says', async () => {
    flipLast();
    rmSync(join(dataDir, 'log-witness'));
    const server = await startProcess(dataDir);
    expect((await server.kms.send(new ListKeysCommand({}))).Keys).toHaveLength(3);
    await server.stop();
  });

  test('it starts where nothing is damaged', async () => {
    const server = await startProcess(dataDir);
    expect((await server.kms.send(new ListKeysCommand({}))).Keys).toHaveLength(4);
    await server.stop();
  });
});

test('lost material of one key is named by the start, by verify and in the log of what failed for it', async () => {
  const path = join(dataDir, EVENTS.replace('KMS_EVENTS', 'KMS_MATERIAL'));
  flip(path, sizeOf(path) - 200);
  const server = await startProcess(dataDir);
  const arns = ((await server.kms.send(new ListKeysCommand({}))).Keys ?? []).map((key) => key.KeyArn!);
  const outcomes = await Promise.all(
    arns.map((KeyId) =>
      server.kms.send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('a') })).then(
        () => [],
        (error: Error) => [{ arn: KeyId, message: error.message }],
      ),
    ),
  );
  const [failed, ...others] = outcomes.flat();
  expect(others).toEqual([]);
  const materialId = materialIdOf(failed!.arn, 1);
  const named = `material ${materialId} of ${failed!.arn} is missing; restore log and material from one backup`;
  expect(failed!.message).toBe('The key material is missing.');
  // Looked for beside what is served.
  const atStart = `"owner":"${failed!.arn}","materialId":"${materialId}","msg":"material is missing`;
  await until(async () => server.log().includes(atStart), 'the start did not name the material');
  expect(server.log()).toContain(named);
  const verified = await run([MAIN, 'verify'], { KEYTRAIL_DATA_DIR: dataDir }).done;
  expect(verified).toEqual({ code: 1, output: expect.stringContaining(`keytrail: ${named}\n`) });
  await server.stop();
});

test.each([[true], [false]])(
  'a start is refused where all material is gone; root key kept: %j',
  async (rootKeyKept) => {
    truncateSync(join(dataDir, EVENTS.replace('KMS_EVENTS', 'KMS_MATERIAL')), 0);
    const rootKey = join(dataDir, 'root/root-key.json');
    if (!rootKeyKept) rmSync(rootKey);
    await expect(startProcess(dataDir)).rejects.toThrow('the event log has keys, but their material is gone: restore');
    expect(existsSync(rootKey)).toBe(rootKeyKept);
  },
);

test('an undamaged copy starts with every key', async () => {
  const server = await startProcess(dataDir);
  expect((await server.kms.send(new ListKeysCommand({}))).Keys).toHaveLength(3);
  await server.stop();
});
