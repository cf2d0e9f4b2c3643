import fc from 'fast-check';
import { encodeCheckpoint } from './checkpoint';
import { cosign } from './cosignature';
import { treeRoot } from './merkle';
import { proveInclusion } from './merkle-proof';
import { encodeNote, type NoteSignature, signNote } from './note';
import { signerKey, signWith } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';
import { flipBit, hashesOf, leafHashes } from './reference-tree.suite';
import { encodeTlogProof, parseTlogProof, verifyTlogProof } from './tlog-proof';

const LOG = signerKey('keytrail.example/records', Buffer.alloc(32, 1));
const WITNESSES = [2, 3].map((fill) => signerKey(`witness.example/w${fill}`, Buffer.alloc(32, fill), 'cosignature'));
const LEAVES = leafHashes(13);
const TEXT = encodeCheckpoint({
  origin: LOG.name,
  size: 13,
  root: Buffer.from(treeRoot(13, hashesOf(LEAVES))),
  extensions: [],
});
const HASHES = proveInclusion(5, 13, hashesOf(LEAVES));

let byLog: NoteSignature;
let byWitnesses: NoteSignature[];
beforeAll(async () => {
  byLog = await signNote(TEXT, LOG, (message) => signWith(LOG, message));
  byWitnesses = await Promise.all(
    WITNESSES.map((witness) => cosign(TEXT, 1700000000, witness, (message) => signWith(witness, message))),
  );
});

const proofWith = (signatures: NoteSignature[]): Buffer =>
  encodeTlogProof({ index: 5, hashes: HASHES, checkpoint: encodeNote({ text: TEXT, signatures }) });

/** The example of C2SP tlog-proof, whose signatures are cut short there. */
const EXAMPLE = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

\u2014 example.com/fancylog hI2DJw[...]1roloI=
`;

describe('a proof', () => {
  it('convinces with nothing but the public key of the log', () => {
    const proved = verifyTlogProof(proofWith([byLog]), LEAVES[5]!, { key: LOG });
    expect(proved).toMatchObject({ index: 5, checkpoint: { origin: LOG.name, size: 13 }, cosignatures: [] });
  });

  it('convinces of no other leaf, and nobody who knows another key or another origin', () => {
    const proof = proofWith([byLog]);
    const other = signerKey(LOG.name, Buffer.alloc(32, 9));
    expect(() => verifyTlogProof(proof, LEAVES[4]!, { key: LOG })).toThrow(
      'the inclusion proof of leaf 5 leads to another root than that of the tree',
    );
    expect(() => verifyTlogProof(proof, LEAVES[5]!, { key: other })).toThrow('the note is not signed by');
    expect(() => verifyTlogProof(proof, LEAVES[5]!, { key: LOG, origin: 'x' })).toThrow('is not of the log x');
  });

  it('does not convince with any one bit of it changed', () => {
    const proof = proofWith([byLog]);
    for (let bit = 0; bit < proof.length * 8; bit++) {
      let error: unknown;
      try {
        verifyTlogProof(flipBit(proof, bit), LEAVES[5]!, { key: LOG });
      } catch (thrown) {
        error = thrown;
      }
      if (!(error instanceof MalformedError || error instanceof NotProvedError)) {
        throw new Error(`bit ${bit} may be changed: ${String(error)}`);
      }
    }
  });

  it('needs as many different witnesses as the policy says', () => {
    const [one, two] = WITNESSES;
    const verify = (signatures: NoteSignature[], witnesses: (typeof LOG)[], quorum: number) =>
      verifyTlogProof(proofWith([byLog, ...signatures]), LEAVES[5]!, { key: LOG, witnesses, quorum }).cosignatures
        .length;
    expect(verify(byWitnesses, WITNESSES, 2)).toBe(2);
    expect(verify(byWitnesses.slice(1), WITNESSES, 1)).toBe(1);
    expect(() => verify(byWitnesses.slice(1), WITNESSES, 2)).toThrow(
      '1 of the known witnesses have signed the checkpoint, not 2',
    );
    expect(() => verify(byWitnesses, [one!, one!], 2)).toThrow('1 of the known witnesses');
    expect(() =>
      verify([{ ...byWitnesses[0]!, signature: Buffer.alloc(72) }, byWitnesses[1]!], [one!, two!], 1),
    ).toThrow('does not fit the note');
  });

  it('is written and read as the specification shows', () => {
    const proof = parseTlogProof(Buffer.from(EXAMPLE));
    expect(proof.index).toBe(73894);
    expect(proof.hashes).toHaveLength(5);
    expect(Buffer.from(proof.extra!).toString('base64')).toBe('YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ');
    expect(encodeTlogProof(proof).toString('utf8')).toBe(EXAMPLE);
    expect(() => verifyTlogProof(Buffer.from(EXAMPLE), LEAVES[0]!, { key: LOG })).toThrow(
      'signature line 1 of the note does not end in base64',
    );
  });

  it.each([
    // The first seven of transparency-dev/merkle, proof/tlog_proof_test.go.
    ['wrong-header\nindex 0\n\ncheckpoint\n', 'starts with the line c2sp.org/tlog-proof@v1'],
    [
      'c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\ncheckpoint\n',
      'the extra data of the proof is not base64',
    ],
    ['c2sp.org/tlog-proof@v1\n\n\ncheckpoint\n', 'a proof has a line index'],
    ['c2sp.org/tlog-proof@v1\nindex notanumber\n\ncheckpoint\n', 'a proof has a line index'],
    ['c2sp.org/tlog-proof@v1\nindex -5\n\ncheckpoint\n', 'a proof has a line index'],
    ['c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n\ncheckpoint\n', 'hash 0 of the proof is not base64'],
    [`c2sp.org/tlog-proof@v1\nindex 0\n${Buffer.alloc(64).toString('base64')}\n\ncheckpoint\n`, 'has 64 bytes, not 32'],
    ['c2sp.org/tlog-proof@v1\nindex 05\n\ncheckpoint\n', 'without leading zeros'],
    ['c2sp.org/tlog-proof@v1\nindex 9007199254740992\n\ncheckpoint\n', 'above 2^53 - 1'],
    ['c2sp.org/tlog-proof@v1\nindex 0\nextra AAAA\n\ncheckpoint\n', 'hash 0 of the proof is not base64'],
    [`c2sp.org/tlog-proof@v1\nindex 0\n${`${'A'.repeat(43)}=\n`.repeat(54)}\ncheckpoint\n`, 'at most 53 hashes'],
    ['c2sp.org/tlog-proof@v1\nindex 0\n', 'an empty line before its checkpoint'],
    ['', 'an empty line before its checkpoint'],
    ['\n\n', 'starts with the line'],
    ['a'.repeat(2 * 1024 * 1024 + 1), 'at most 2097152 bytes'],
  ])('%# is refused for what is wrong with it', (text, message) => {
    expect(() => parseTlogProof(Buffer.from(text))).toThrow(MalformedError);
    expect(() => parseTlogProof(Buffer.from(text))).toThrow(message);
  });

  it('is read and written back, or refused, whatever the bytes', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('index 0', 'index 7', 'extra AAAA', 'extra ', '', `${'A'.repeat(43)}=`),
    );
    const proofs = fc
      .array(line)
      .map((lines) => Buffer.from(`c2sp.org/tlog-proof@v1\n${lines.join('\n')}\n\ncheckpoint\n`, 'utf8'));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), proofs), (bytes) => {
        try {
          expect(encodeTlogProof(parseTlogProof(bytes))).toEqual(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
