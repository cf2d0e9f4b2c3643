import fc from 'fast-check';
import { LogCheck, type LogVerdict, openHeads } from './log-check';
import { CompactTree, leafHash } from './merkle';
import { encodeNote, signNote } from './note';
import { signerKey, signWith } from './note-key';
import { encodeHead, openHead, type SignedHead, treeKey, treeOrigin, treePublicKey } from './tree-head';

const SEED = Buffer.alloc(32, 1);
const { publicKey } = signerKey('x', SEED);
const KEY = treeKey(publicKey, 'records');
const SIGNER = signerKey(treeOrigin(publicKey, 'records'), SEED);

const leafAt = (index: number): Buffer => Buffer.from(`{"eventID":"e${index}"}`);
const LEAVES = Array.from({ length: 40 }, (_, index) => leafAt(index));
const HASHES = LEAVES.map(leafHash);

async function headOf(size: number, minute = size): Promise<SignedHead> {
  const tree = new CompactTree();
  for (const hash of HASHES.slice(0, size)) tree.append(hash);
  const time = `2026-11-24T12:${String(minute).padStart(2, '0')}:00.000Z`;
  const text = encodeHead(SIGNER.name, { size, root: Buffer.from(tree.root()), time, position: size });
  const signature = await signNote(text, SIGNER, (message) => signWith(SIGNER, message));
  return openHead(encodeNote({ text, signatures: [signature] }), KEY);
}

let heads: SignedHead[];
beforeAll(async () => {
  heads = await Promise.all([10, 20, 30].map((size) => headOf(size)));
});

function check(leaves: readonly Buffer[], hashes: readonly Buffer[] = HASHES, ended?: string): LogVerdict {
  const log = new LogCheck('records', heads);
  for (const leaf of leaves) log.add(leaf, hashes[log.leaves]);
  for (const hash of hashes.slice(leaves.length)) log.addMissing(hash);
  return log.verdict(ended);
}

describe('a log', () => {
  test('that is whole is proved by its newest head', () => {
    expect(check(LEAVES)).toEqual({ leaves: 40, proved: heads[2], fault: undefined });
    expect(check(LEAVES, [])).toEqual({ leaves: 40, proved: heads[2], fault: undefined });
  });

  test('with leaves altered, dropped or moved is proved to the head before the first of them, which is named', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 29 }),
        fc.integer({ min: 1, max: 3 }),
        fc.constantFrom('alter', 'drop', 'move', 'insert'),
        (index, count, what) => {
          const changed = [...LEAVES];
          const moved = changed.slice(index, index + count);
          if (what === 'alter') changed.splice(index, count, ...moved.map((leaf) => Buffer.concat([leaf, leaf])));
          if (what === 'drop') changed.splice(index, count);
          if (what === 'move') changed.splice(index, count + 1, changed[index + count]!, ...moved);
          if (what === 'insert') changed.splice(index, 0, ...moved.map((leaf) => Buffer.concat([leaf, leaf])));
          const { proved, fault } = check(changed);
          expect(fault!.index).toBe(index);
          expect(fault!.what).toContain(`record ${index} `.trimEnd());
          expect(proved?.size).toBe(heads.filter(({ size }) => size <= index).at(-1)?.size);
          const words = {
            alter: 'was altered',
            drop: 'is missing',
            move: 'the order was changed',
            insert: "none of the log's",
          };
          expect(fault!.what).toContain(words[what as keyof typeof words]);
        },
      ),
    );
  });

  test('without kept hashes, or with hashes changed alike, is bad somewhere between two heads', () => {
    const changed = LEAVES.map((leaf, at) => (at === 14 ? Buffer.from('{}') : leaf));
    for (const hashes of [[], changed.map(leafHash)]) {
      expect(check(changed, hashes)).toMatchObject({
        proved: heads[0],
        fault: {
          index: 10,
          what: expect.stringContaining('one or more of the records 10 to 19 altered, dropped or moved'),
        },
      });
    }
  });

  test('of which both a leaf and another hash were changed is not blamed on the wrong one', () => {
    const changed = LEAVES.map((leaf, at) => (at === 14 ? Buffer.from('{}') : leaf));
    const hashes = HASHES.map((hash, at) => (at === 12 ? Buffer.alloc(32) : hash));
    expect(check(changed, hashes)).toMatchObject({ proved: heads[0], fault: { index: 10 } });
  });

  test('that ends early is bad from there on, whatever is wrong with its end', () => {
    expect(check(LEAVES.slice(0, 25), HASHES.slice(0, 25), 'it was cut')).toMatchObject({
      leaves: 25,
      proved: heads[1],
      fault: {
        index: 25,
        what: expect.stringMatching(/^record 25 \(the one after eventID e24\) is missing.* has 30 \(it was cut\)$/),
      },
    });
    expect(check(LEAVES.slice(0, 35), HASHES.slice(0, 35), 'it was cut').fault).toEqual({
      index: 35,
      what: 'record 35 cannot be read: it was cut',
    });
  });

  test('of which a leaf after the newest head differs from its hash says that no head covers it', () => {
    const changed = LEAVES.map((leaf, at) => (at === 35 ? Buffer.from('no JSON') : leaf));
    expect(check(changed)).toMatchObject({
      proved: heads[2],
      fault: { index: 35, what: 'record 35 (no JSON any more) was altered; no head covers it yet' },
    });
  });
});

describe('heads', () => {
  const notes = (all: readonly SignedHead[]): Buffer[] => all.map(({ note }) => note);

  test('are opened with the key that signed them, which its own name belongs to', () => {
    expect(openHeads('records', notes(heads), KEY)).toEqual({ heads, fault: undefined });
    expect(openHeads('records', notes(heads), treeKey(publicKey, 'changes')).fault).toContain(
      'head 1 of records: the note',
    );
    expect(() => treePublicKey('keytrail/x/records+00000000+AQ==')).toThrow();
  });

  test('of which one was altered, or put in the place of a newer one, are named', async () => {
    const [first, second, third] = heads as [SignedHead, SignedHead, SignedHead];
    const altered = Buffer.from(second.note.toString('utf8').replace('\n20\n', '\n21\n'));
    expect(openHeads('records', [first.note, altered, third.note], KEY)).toEqual({
      heads: [first, third],
      fault: expect.stringContaining('head 2 of records: the signature of keytrail/'),
    });
    const older = [first.note, second.note, first.note];
    expect(openHeads('records', older, KEY).fault).toContain(
      'head 3 of records (of 2026-11-24T12:10:00.000Z, size 10) is not newer',
    );
    const early = await headOf(30, 15);
    expect(openHeads('records', [first.note, second.note, early.note], KEY).fault).toContain('is not newer');
  });
});
