import { CompactTree, EMPTY_ROOT, leafHash, nodeHash, nodesOf, treeRoot } from './merkle';
import { hashesOf, leafHashes, naiveRoot } from './reference-tree.suite';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Published with certificate-transparency's merkletree, and kept in transparency-dev/merkle (testonly/constants.go). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('hashing', () => {
  // transparency-dev/merkle, rfc6962/rfc6962_test.go. Its node vector has children of four bytes, which none has here.
  it('is that of the published vectors', () => {
    expect(hex(EMPTY_ROOT)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(hex(leafHash(Buffer.alloc(0)))).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
    expect(hex(leafHash(Buffer.from('L123456')))).toBe(
      '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56',
    );
    const leaves = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, 'hex')));
    expect(hex(nodeHash(leaves[2]!, leaves[3]!))).toBe(
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    );
  });

  it('tells a leaf from a node, and left from right', () => {
    const [one, two] = leafHashes(2) as [Buffer, Buffer];
    expect(nodeHash(one, two)).not.toEqual(leafHash(Buffer.concat([one, two])));
    expect(nodeHash(one, two)).not.toEqual(nodeHash(two, one));
  });
});

describe('a root', () => {
  it('is the published one at each size', () => {
    const leaves = LEAVES.map((leaf) => leafHash(Buffer.from(leaf, 'hex')));
    const tree = new CompactTree();
    expect(hex(tree.root())).toBe(ROOTS[0]);
    for (const [at, leaf] of leaves.entries()) {
      tree.append(leaf);
      expect(hex(tree.root())).toBe(ROOTS[at + 1]);
      expect(hex(treeRoot(at + 1, hashesOf(leaves)))).toBe(ROOTS[at + 1]);
    }
  });

  it('is that of the definition at each size to 600, appended leaf by leaf or computed anew', () => {
    const leaves = leafHashes(600);
    const hashAt = hashesOf(leaves);
    const tree = new CompactTree();
    for (let size = 0; size <= leaves.length; size++) {
      const expected = hex(naiveRoot(leaves.slice(0, size)));
      expect(hex(tree.root())).toBe(expected);
      expect(hex(treeRoot(size, hashAt))).toBe(expected);
      if (size < leaves.length) tree.append(leaves[size]!);
    }
  });
});

describe('a compact tree', () => {
  it('goes on from the hashes that it kept, at each size', () => {
    const leaves = leafHashes(70);
    const whole = naiveRoot(leaves);
    const before = new CompactTree();
    for (const leaf of leaves) {
      const after = new CompactTree(before.size, before.hashes);
      for (const rest of leaves.slice(before.size)) after.append(rest);
      expect(after.size).toBe(leaves.length);
      expect(hex(after.root())).toBe(hex(whole));
      before.append(leaf);
    }
  });

  it('keeps a hash for each bit of its size that is set', () => {
    const tree = new CompactTree();
    for (const leaf of leafHashes(0b1101)) tree.append(leaf);
    expect(tree.hashes).toHaveLength(3);
    expect(nodesOf({ start: 0, end: 2 ** 53 - 1 })).toHaveLength(53);
  });

  it('does not change with the buffer that a leaf came in', () => {
    const tree = new CompactTree();
    const leaf = Buffer.from(leafHashes(1)[0]!);
    tree.append(leaf);
    leaf.fill(0);
    expect(hex(tree.root())).toBe(hex(leafHashes(1)[0]!));
  });

  it('does not start from what is no tree', () => {
    for (const size of [-1, 0.5, 2 ** 53, Number.NaN]) expect(() => new CompactTree(size)).toThrow(RangeError);
    expect(() => new CompactTree(3, leafHashes(1))).toThrow('a tree of 3 leaves goes on from 2 hashes of 32 bytes');
    expect(() => new CompactTree(1, [Buffer.alloc(31)])).toThrow(RangeError);
    expect(() => new CompactTree().append(Buffer.alloc(33))).toThrow('the hash of a leaf has 32 bytes');
  });
});
