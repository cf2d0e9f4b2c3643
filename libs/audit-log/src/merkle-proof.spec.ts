import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { CompactTree, EMPTY_ROOT, type HashReader, leafHash, nodeHash, nodesOf, rangeHash, treeRoot } from './merkle';
import { consistencyRanges, inclusionRanges, proveConsistency, proveInclusion } from './merkle-proof';
import { NotProvedError } from './proof-errors';
import { flipBit, hashesOf, leafHashes, naiveRoot } from './reference-tree.suite';
import { type TreeHead, verifyConsistency, verifyInclusion } from './verify-merkle-proof';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** Of transparency-dev/merkle, proof/verify_test.go, whose leaves count from 1. */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const INCLUSION = [
  { leaf: 1, size: 1, proof: [] },
  {
    leaf: 1,
    size: 8,
    proof: [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  },
  {
    leaf: 6,
    size: 8,
    proof: [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  },
  { leaf: 3, size: 3, proof: ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'] },
  {
    leaf: 2,
    size: 5,
    proof: [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  },
];
const CONSISTENCY = [
  { from: 1, to: 1, proof: [] },
  {
    from: 1,
    to: 8,
    proof: [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  },
  {
    from: 6,
    to: 8,
    proof: [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  },
  {
    from: 2,
    to: 5,
    proof: [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  },
  {
    from: 6,
    to: 7,
    proof: [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  },
];

const published = LEAVES.map((leaf) => leafHash(bytes(leaf)));
const LOG = leafHashes(300);
const hashAt = hashesOf(LOG);
const headOf = (size: number): TreeHead => ({ size, root: treeRoot(size, hashAt) });
const SOME_HASH = bytes('abacaba000000000000000000000000000000000000000000060061e00123456');

function verifies(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(NotProvedError);
    return false;
  }
}

const sizes = fc.integer({ min: 1, max: LOG.length });
const leafInTree = sizes.chain((size) => fc.record({ size: fc.constant(size), index: fc.nat(size - 1) }));
const treePair = sizes.chain((to) => fc.record({ from: fc.integer({ min: 1, max: to }), to: fc.constant(to) }));

it('proofs verify beyond 32 bits, in a tree of one leaf again and again', () => {
  const levels = [LOG[0]!];
  for (let level = 1; level <= 53; level++) levels.push(nodeHash(levels[level - 1]!, levels[level - 1]!));
  const same: HashReader = (level) => levels[level]!;
  const large = fc.integer({ min: 2 ** 31, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(large, large, (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const [older, newer] = [from, to].map((size) => ({ size, root: treeRoot(size, same) })) as [TreeHead, TreeHead];
      verifyInclusion(newer, from - 1, levels[0]!, proveInclusion(from - 1, to, same));
      verifyConsistency(older, newer, proveConsistency(from, to, same));
      const edgeOf = (size: number) => nodesOf({ start: 0, end: size }).map(({ level }) => levels[level]!);
      const tree = new CompactTree(from - 1, edgeOf(from - 1));
      tree.append(levels[0]!);
      expect(tree.hashes).toEqual(edgeOf(from));
      expect(tree.root()).toEqual(older.root);
    }),
    { numRuns: 200 },
  );
});

describe('an inclusion proof', () => {
  it.each(INCLUSION)('of leaf $leaf of $size is the published one, and verifies', ({ leaf, size, proof }) => {
    const made = proveInclusion(leaf - 1, size, hashesOf(published));
    expect(made.map((hash) => Buffer.from(hash).toString('hex'))).toEqual(proof);
    const head = { size, root: naiveRoot(published.slice(0, size)) };
    verifyInclusion(head, leaf - 1, published[leaf - 1]!, proof.map(bytes));
  });

  // The accumulated vectors of draft-ietf-plants-merkle-tree-certs, "Subtree Test Vectors", as transparency-dev/merkle
  // has them (testonly/vectors_test.go): a subtree is a tree over some leaves of a larger one.
  it('of every leaf of every subtree of 130 leaves is that of the accumulated vectors', () => {
    const subtreeHashes = createHash('sha256');
    const subtreeProofs = createHash('sha256');
    const nodes = hashesOf(Array.from({ length: 130 }, (_, at) => leafHash(Buffer.of(at))));
    const hexOf = (range: { start: number; end: number }): string =>
      ` ${Buffer.from(rangeHash(range, nodes)).toString('hex')}`;
    for (let end = 1; end <= 130; end++) {
      for (let start = 0; start < end; start++) {
        if (start % 2 ** Math.ceil(Math.log2(end - start)) !== 0) continue;
        subtreeHashes.update(`[${start}, ${end})${hexOf({ start, end })}\n`);
        for (let index = start; index < end; index++) {
          const ranges = inclusionRanges(index - start, end - start);
          const proof = ranges.map((range) => hexOf({ start: start + range.start, end: start + range.end }));
          subtreeProofs.update(`${index} [${start}, ${end})${proof.join('')}\n`);
        }
      }
    }
    expect(subtreeHashes.digest('hex')).toBe('94a95384a8c69acea9b50d035a58285b3a777cb7a724005faa5e1f1e1190007f');
    expect(subtreeProofs.digest('hex')).toBe('ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f');
  });

  it('verifies, for every leaf of every tree to 70 leaves', () => {
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        verifyInclusion(headOf(size), index, LOG[index]!, proveInclusion(index, size, hashAt));
      }
    }
  });

  it('fails with any one bit of it, of the leaf or of the root changed', () => {
    fc.assert(
      fc.property(leafInTree, fc.nat(), ({ size, index }, at) => {
        const head = headOf(size);
        const hashes = [head.root, LOG[index]!, ...proveInclusion(index, size, hashAt)];
        const bit = at % (hashes.length * 256);
        const which = Math.floor(bit / 256);
        hashes[which] = flipBit(hashes[which]!, bit % 256);
        const [root, leaf, ...proof] = hashes as [Uint8Array, Uint8Array, ...Uint8Array[]];
        expect(verifies(() => verifyInclusion({ size, root }, index, leaf, proof))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('fails for every other leaf and place', () => {
    fc.assert(
      fc.property(leafInTree, fc.nat(), ({ size, index }, at) => {
        const other = at % (size + 3);
        const proof = proveInclusion(index, size, hashAt);
        const head = headOf(size);
        expect(verifies(() => verifyInclusion(head, other, LOG[index]!, proof))).toBe(other === index);
        if (other < size)
          expect(verifies(() => verifyInclusion(head, index, LOG[other]!, proof))).toBe(other === index);
      }),
      { numRuns: 1000 },
    );
  });

  // What the signature of a checkpoint is for: tlog-proof.spec.ts flips the size there.
  it('fails with a bit of the size changed, unless the path has the same turns in a tree of that size', () => {
    const turns = (index: number, size: number): string =>
      index >= size
        ? 'none'
        : inclusionRanges(index, size)
            .map(({ start }) => (start < index ? 'L' : 'R'))
            .join('');
    fc.assert(
      fc.property(leafInTree, fc.nat(9), ({ size, index }, bit) => {
        const other = size ^ (1 << bit);
        const head = { ...headOf(size), size: other };
        const proof = proveInclusion(index, size, hashAt);
        expect(verifies(() => verifyInclusion(head, index, LOG[index]!, proof))).toBe(
          turns(index, other) === turns(index, size),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('fails when it is longer or shorter, or its hashes are no hashes', () => {
    const [head, leaf, proof] = [headOf(13), LOG[5]!, proveInclusion(5, 13, hashAt)];
    const message = (changed: readonly Uint8Array[]) => () => verifyInclusion(head, 5, leaf, changed);
    expect(message([...proof, head.root])).toThrow('the inclusion proof is too long');
    expect(message([head.root, ...proof])).toThrow('the inclusion proof is too long');
    expect(message(proof.slice(1))).toThrow('the inclusion proof is too short');
    expect(message(proof.slice(0, -1))).toThrow('the inclusion proof is too short');
    expect(message([...proof.slice(0, 3), SOME_HASH])).toThrow('leads to another root');
    expect(message([Buffer.alloc(0), ...proof.slice(1)])).toThrow('hash 0 of the proof has 0 bytes, not 32');
    expect(message(Array.from({ length: 100_000 }, () => SOME_HASH))).toThrow('the inclusion proof is too long');
  });

  it('is refused, not looped over, for numbers that are no size or index', () => {
    const numbers = fc.oneof(fc.double(), fc.constantFrom(-1, 0, 1, 2 ** 53, 2 ** 53 - 1, Number.NaN, Infinity));
    fc.assert(
      fc.property(numbers, numbers, (size, index) => {
        expect(verifies(() => verifyInclusion({ size, root: SOME_HASH }, index, LOG[0]!, [SOME_HASH]))).toBe(false);
      }),
    );
    expect(() => verifyInclusion({ size: 0, root: EMPTY_ROOT }, 0, SOME_HASH, [])).toThrow(
      'leaf 0 is not in a tree of 0 leaves',
    );
    expect(() => proveInclusion(3, 3, hashAt)).toThrow('leaf 3 is not in a tree of 3 leaves');
    expect(inclusionRanges(2 ** 53 - 2, 2 ** 53 - 1)).toHaveLength(52);
  });
});

describe('a consistency proof', () => {
  it.each(CONSISTENCY)('from $from leaves to $to is the published one, and verifies', ({ from, to, proof }) => {
    const made = proveConsistency(from, to, hashesOf(published));
    expect(made.map((hash) => Buffer.from(hash).toString('hex'))).toEqual(proof);
    const older = { size: from, root: naiveRoot(published.slice(0, from)) };
    const newer = { size: to, root: naiveRoot(published.slice(0, to)) };
    verifyConsistency(older, newer, proof.map(bytes));
    if (from !== to) expect(verifies(() => verifyConsistency(newer, older, proof.map(bytes)))).toBe(false);
  });

  it('verifies, between all trees to 70 leaves', () => {
    for (let to = 0; to <= 70; to++) {
      for (let from = 0; from <= to; from++) {
        verifyConsistency(headOf(from), headOf(to), proveConsistency(from, to, hashAt));
      }
    }
  });

  it('fails with any one bit of it or of a root changed', () => {
    fc.assert(
      fc.property(treePair, fc.nat(), ({ from, to }, at) => {
        const hashes = [headOf(from).root, headOf(to).root, ...proveConsistency(from, to, hashAt)];
        const bit = at % (hashes.length * 256);
        const which = Math.floor(bit / 256);
        hashes[which] = flipBit(hashes[which]!, bit % 256);
        const [older, newer, ...proof] = hashes as [Uint8Array, Uint8Array, ...Uint8Array[]];
        const check = () => verifyConsistency({ size: from, root: older }, { size: to, root: newer }, proof);
        expect(verifies(check)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it('fails with a bit of a size changed, unless the path has the same turns between trees of these sizes', () => {
    const turns = (from: number, to: number): string =>
      from < 1 || from >= to
        ? `none ${from} ${to}`
        : `${from} ${consistencyRanges(from, to).map(({ start, end }) => (end < from ? 'L' : start < from ? '=' : 'R'))}`;
    fc.assert(
      fc.property(treePair, fc.nat(9), fc.boolean(), ({ from, to }, bit, ofOlder) => {
        const [older, newer] = ofOlder ? [from ^ (1 << bit), to] : [from, to ^ (1 << bit)];
        const proof = proveConsistency(from, to, hashAt);
        const check = () => verifyConsistency({ ...headOf(from), size: older }, { ...headOf(to), size: newer }, proof);
        expect(verifies(check)).toBe(turns(older, newer) === turns(from, to));
      }),
      { numRuns: 2000 },
    );
  });

  it('fails when a leaf that the older tree had is changed, dropped or moved', () => {
    fc.assert(
      fc.property(treePair, fc.nat(), ({ from, to }, at) => {
        const index = at % from;
        const changed = LOG.with(index, SOME_HASH).slice(0, to);
        const dropped = LOG.toSpliced(index, 1).slice(0, to);
        const moved = LOG.with(index, LOG[index + 1] ?? SOME_HASH)
          .with((index + 1) % LOG.length, LOG[index]!)
          .slice(0, to);
        for (const leaves of index + 1 < from ? [changed, dropped, moved] : [changed, dropped]) {
          const newer = { size: leaves.length, root: naiveRoot(leaves) };
          const size = Math.min(from, leaves.length);
          const proof = proveConsistency(size, leaves.length, hashesOf(leaves));
          expect(verifies(() => verifyConsistency(headOf(from), newer, proof))).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('says what is wrong with it', () => {
    const [older, newer, proof] = [headOf(6), headOf(13), proveConsistency(6, 13, hashAt)];
    const message = (changed: readonly Uint8Array[]) => () => verifyConsistency(older, newer, changed);
    expect(message([])).toThrow('the consistency proof is too short');
    expect(message(proof.slice(0, -1))).toThrow('the consistency proof is too short');
    expect(message([...proof, newer.root])).toThrow('the consistency proof is too long');
    expect(message([proof[0]!, ...proof])).toThrow('the consistency proof is too long');
    expect(message([...proof.slice(0, -1), SOME_HASH])).toThrow('another root than that of the newer tree');
    expect(message([SOME_HASH, ...proof.slice(1)])).toThrow('another root than that of the older tree');
    expect(() => verifyConsistency(newer, older, proof)).toThrow('a tree of 6 leaves does not go on from one of 13');
    expect(() => verifyConsistency(older, { ...older, root: SOME_HASH }, [])).toThrow(
      'two trees of 6 leaves have different roots',
    );
    expect(() => verifyConsistency({ size: 0, root: SOME_HASH }, newer, [])).toThrow(
      'the older tree is empty, and its root is not that of an empty tree',
    );
    expect(() => verifyConsistency({ size: 0, root: EMPTY_ROOT }, newer, [SOME_HASH])).toThrow('too long');
    expect(() => verifyConsistency({ size: Number.NaN, root: SOME_HASH }, newer, proof)).toThrow(NotProvedError);
    expect(() => proveConsistency(7, 6, hashAt)).toThrow('a tree of 6 leaves does not go on from one of 7');
  });
});
