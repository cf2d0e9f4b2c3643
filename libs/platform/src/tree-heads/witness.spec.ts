import { CompactTree, leafHash } from '#audit-log/merkle';
import { proveConsistency } from '#audit-log/merkle-proof';
import { encodeNote, parseNote, signNote } from '#audit-log/note';
import { signerKey, signWith } from '#audit-log/note-key';
import { encodeHead, openHead, type SignedHead } from '#audit-log/tree-head';
import { WitnessServer } from '../../../../test/support/witness-server';
import { Witness } from './witness';

const LOG = signerKey('keytrail/test/records', Buffer.alloc(32, 3));
const leavesOf = (what: string) => Array.from({ length: 40 }, (_, at) => leafHash(Buffer.from(`${what} ${at}`)));
const LEAVES = leavesOf('leaf');

const rootOf = (leaves: readonly Uint8Array[]): Uint8Array => {
  const tree = new CompactTree();
  for (const leaf of leaves) tree.append(leaf);
  return tree.root();
};

async function headOf(size: number, leaves = LEAVES): Promise<SignedHead> {
  const root = Buffer.from(rootOf(leaves.slice(0, size)));
  const text = encodeHead(LOG.name, { size, root, time: '2026-11-24T12:00:00.000Z', position: size });
  const note = encodeNote({ text, signatures: [await signNote(text, LOG, (bytes) => signWith(LOG, bytes))] });
  return openHead(note, LOG);
}

const proofOf =
  (leaves = LEAVES) =>
  (from: number, to: number): Uint8Array[] =>
    proveConsistency(from, to, (level, index) => rootOf(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)));

let server: WitnessServer;
let witness: Witness;
beforeEach(async () => {
  server = new WitnessServer('witness.example/w1', 7);
  server.trust(LOG);
  await server.start();
  witness = new Witness({ key: server.key, url: server.url });
});
afterEach(() => server.stop());

const statuses = (): [string, number][] => server.answers.map(({ old, status }) => [old, status]);

test('a head is cosigned, and the next one goes on from it', async () => {
  const first = await headOf(5);
  const line = await witness.cosign('records', first, proofOf());
  const cosigned = encodeNote({ text: parseNote(first.note).text, signatures: [line] });
  expect(witness.of(cosigned)).toEqual(line);
  await witness.cosign('records', await headOf(13), proofOf());
  // The same again, as after an answer that was lost.
  await witness.cosign('records', await headOf(13), proofOf());
  expect(statuses()).toEqual([
    ['old 0', 200],
    ['old 5', 200],
    ['old 13', 200],
  ]);
  expect(server.seen.get(LOG.name)).toMatchObject({ size: 13 });
});

test('one who does not know what the witness has seen is told, and proves from there', async () => {
  await witness.cosign('records', await headOf(5), proofOf());
  const later = new Witness({ key: server.key, url: server.url });
  await later.cosign('records', await headOf(21), proofOf());
  expect(statuses()).toEqual([
    ['old 0', 200],
    ['old 0', 409],
    ['old 5', 200],
  ]);
});

test('of a log that has lost its end, or is another one, nothing is cosigned, and why is said', async () => {
  await witness.cosign('records', await headOf(21), proofOf());
  const later = () => new Witness({ key: server.key, url: server.url });
  await expect(later().cosign('records', await headOf(13), proofOf())).rejects.toThrow(
    /w1\+[0-9a-f]{8} has seen 21 records, but the head has 13: the log has lost its end, or there are two/,
  );
  const other = leavesOf('other');
  await expect(later().cosign('records', await headOf(30, other), proofOf(other))).rejects.toThrow(
    /w1\+[0-9a-f]{8} answered 422/,
  );
  await expect(witness.cosign('records', await headOf(21, other), proofOf(other))).rejects.toThrow(
    'has seen another tree of 21 records: there are two logs',
  );
  expect(server.seen.get(LOG.name)).toMatchObject({ size: 21 });
});

test('what is no cosignature of the witness is not taken', async () => {
  const impostor = new Witness({ key: new WitnessServer('witness.example/w1', 8).key, url: server.url });
  await expect(impostor.cosign('records', await headOf(5), proofOf())).rejects.toThrow(
    'answered with no cosignature of its own',
  );
  const unknown = new WitnessServer('witness.example/w2', 9);
  await unknown.start();
  const stranger = new Witness({ key: unknown.key, url: unknown.url });
  await expect(stranger.cosign('records', await headOf(5), proofOf())).rejects.toThrow('answered 404: unknown origin');
  await unknown.stop();
  await expect(stranger.cosign('records', await headOf(5), proofOf())).rejects.toThrow('fetch failed');
});
