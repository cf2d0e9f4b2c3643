import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand } from '@aws-sdk/client-kms';
import { verifyCosignatures } from '#audit-log/cosignature';
import { parseNote } from '#audit-log/note';
import { openHead, type SignedHead, TREES, type Tree, treeKey, treePublicKey } from '#audit-log/tree-head';
import { checkpointFile, keyFile } from '#platform/tree-heads/checkpoint-folder';
import { findMoto, MotoServer } from './support/moto-server';
import { freePort, until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { WitnessServer } from './support/witness-server';

jest.setTimeout(180_000);

const program = findMoto();
if (program === undefined) console.warn('SKIPPED: heads in a bucket, since there is no moto_server on PATH');
const withMoto = program === undefined ? test.skip : test;

let folder: string;
let dataDir: string;
let server: KeytrailProcess;
let first: WitnessServer;
let second: WitnessServer;
let secondPort: number;
let moto: MotoServer | undefined;
let settings: Record<string, string>;

const keytrail = (...args: string[]) => run([MAIN, ...args], { KEYTRAIL_DATA_DIR: dataDir }).done;
const checkpoints = (): string => join(dataDir, 'checkpoints');
const publicKey = (): Buffer => treePublicKey(readFileSync(keyFile(checkpoints()), 'utf8'));
const headIn = (note: Buffer, tree: Tree): SignedHead => openHead(note, treeKey(publicKey(), tree));
const head = (tree: Tree = 'changes'): SignedHead => headIn(readFileSync(checkpointFile(checkpoints(), tree)), tree);
const signers = (tree: Tree = 'changes'): string[] =>
  verifyCosignatures(parseNote(head(tree).note), [first.key, second.key]).map(({ witness }) => witness.name);

/** A change, and all heads that are to come of it. */
async function change(): Promise<void> {
  await server.kms.send(new CreateKeyCommand({}));
}

/** What is in the bucket. */
const inBucket = async (tree: Tree = 'changes'): Promise<SignedHead | undefined> => {
  const note = await moto!.get(`heads/of/keytrail/${tree}.checkpoint`);
  return note === undefined ? undefined : headIn(Buffer.from(note), tree);
};

async function age(place: string): Promise<number> {
  const metrics = await (await fetch(`${server.endpoint}/metrics`)).text();
  const line = new RegExp(`keytrail_tree_head_published_age_seconds\\{tree="changes",place="${place}"\\} (\\S+)`);
  return Number(line.exec(metrics)![1]);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keytrail-publication-'));
  dataDir = join(folder, 'data');
  first = new WitnessServer('witness.example/w1', 11);
  second = new WitnessServer('witness.example/w2', 12);
  await first.start();
  secondPort = await freePort();
  moto = program === undefined ? undefined : await MotoServer.on(program);
  writeFileSync(join(folder, 'credentials'), 'aws_access_key_id=AKIDEXAMPLE\naws_secret_access_key=secret\n');
  settings = {
    KEYTRAIL_TREE_HEAD_SECONDS: '1',
    KEYTRAIL_WITNESSES: `${first.verifierKey} ${first.url}, ${second.verifierKey} http://127.0.0.1:${secondPort}/prefix`,
    ...(moto && {
      KEYTRAIL_CHECKPOINT_BUCKET: `${moto.url}/heads/of/keytrail`,
      KEYTRAIL_CHECKPOINT_BUCKET_CREDENTIALS: join(folder, 'credentials'),
    }),
  };
  server = await startProcess(dataDir, settings);
  await change();
  await until(() => TREES.every((tree) => signersOrNone(tree) !== undefined), 'no head was kept');
  for (const tree of TREES) for (const witness of [first, second]) witness.trust(treeKey(publicKey(), tree));
});

function signersOrNone(tree: Tree): string[] | undefined {
  try {
    return signers(tree);
  } catch {
    return undefined;
  }
}

afterAll(async () => {
  await server?.stop();
  await Promise.all([first?.stop(), second?.stop(), moto?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

test('heads are made and kept although no witness answers and there is no bucket; each has them once it is there', async () => {
  // The first is there and knows the log since the last moment, the second does not answer, nor does the bucket.
  await until(() => signers().join() === 'witness.example/w1', 'the first witness did not sign');
  expect(await age('witnesses')).toBeGreaterThan(0.5);
  await second.start(secondPort);
  // The log has not grown since.
  await until(() => signers().length === 2 && signers('records').length === 2, 'the second witness did not sign');
  expect(second.seen.get(treeKey(publicKey(), 'changes').name)?.size).toBe(head().size);
  expect(server.log()).toContain('a witness did not cosign the tree head');
});

withMoto(
  'the bucket has the newest head after an outage, as the folder has it, with what witnesses have signed',
  async () => {
    expect(await age('bucket')).toBeGreaterThan(0.5);
    await moto!.start();
    await moto!.put('heads');
    await until(async () => (await inBucket())?.note.equals(head().note) ?? false, 'the bucket has no head');
    expect(await moto!.get('heads/of/keytrail/keytrail.vkey')).toBe(readFileSync(keyFile(checkpoints()), 'utf8'));
    const before = head().size;
    await moto!.stop();
    await change();
    await change();
    await until(() => head().size === before + 2 && signers().length === 2, 'no head was kept meanwhile');
    await moto!.start();
    await moto!.put('heads');
    await until(async () => ((await inBucket())?.size ?? 0) === before + 2, 'the bucket has no newer head');
    // What somebody else has put there is left to be looked at.
    await moto!.put('heads/of/keytrail/changes.checkpoint', 'nothing of ours');
    await change();
    await until(() => server.log().includes('is no head of this log'), 'nobody has said so');
    expect(await moto!.get('heads/of/keytrail/changes.checkpoint')).toBe('nothing of ours');
    expect(head().size).toBe(before + 3);
  },
);

test('a new process learns from the witness what that has seen, and goes on from there', async () => {
  await server.stop();
  const asked = first.answers.length;
  const { size } = head();
  server = await startProcess(dataDir, settings);
  await change();
  await until(() => head().size > size && signers().length === 2, 'nobody signed');
  const since = first.answers.slice(asked).map(({ status }) => status);
  expect(since).toContain(409);
  expect(new Set(since)).toEqual(new Set([200, 409]));
});

test('proofs and exports are checked for the cosignatures of the witnesses that are named', async () => {
  const out = join(folder, 'export');
  expect((await keytrail('export', '--to', out)).code).toBe(0);
  const key = keyFile(checkpoints());
  const { verifierKey: stranger } = new WitnessServer('witness.example/w3', 13);
  const verify = ['verify', '--export', out, '--key', key];
  const both = ['--witness', first.verifierKey, '--witness', second.verifierKey];
  const fine = await keytrail(...verify, ...both);
  expect(fine.output).toMatch(
    /changes: witness witness\.example\/w1\+[0-9a-f]{8}: had seen it at 20\d\d-.*Z, of size \d+/,
  );
  expect(fine.code).toBe(0);
  expect((await keytrail(...verify, ...both, '--witness', stranger, '--quorum', '2')).code).toBe(0);
  const refused = await keytrail(...verify, ...both, '--witness', stranger);
  expect(refused).toEqual({
    code: 1,
    output: expect.stringContaining('changes: 2 of the known witnesses have signed the head, not 3'),
  });
  // The same witness twice is one.
  const twice = ['--witness', first.verifierKey, '--witness', first.verifierKey, '--witness', stranger];
  expect((await keytrail(...verify, ...twice, '--quorum', '2')).code).toBe(1);
  expect((await keytrail(...verify, ...both, '--quorum', '3')).output).toContain(
    '--quorum 3: expected a number from 0 to 2',
  );
  expect((await keytrail(...verify, '--witness', 'w1')).output).toContain('--witness w1: a verifier key is');

  const [line] = readFileSync(join(out, 'records/000000000000.jsonl'), 'utf8').split('\n');
  const proof = join(folder, 'proof');
  expect((await keytrail('prove', '--event', JSON.parse(line!).eventID, '--to', proof)).code).toBe(0);
  const proved = await keytrail('verify', '--proof', proof, '--key', key, ...both);
  expect(proved.output).toContain('witness.example/w2');
  expect(proved.code).toBe(0);
  // A bit of a cosignature.
  const text = readFileSync(proof, 'utf8');
  const at = text.indexOf(' witness.example/w2 ') + 60;
  writeFileSync(proof, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1));
  const forged = await keytrail('verify', '--proof', proof, '--key', key, ...both);
  expect(forged).toEqual({ code: 1, output: expect.stringContaining('does not fit the note') });
});
