import { decodeBase64 } from './base64';
import { type Checkpoint, type Log, openCheckpoint } from './checkpoint';
import { type Cosignature, verifyCosignatures } from './cosignature';
import { HASH_LENGTH } from './merkle';
import { decodeUtf8 } from './note';
import type { VerifierKey } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';
import { verifyInclusion } from './verify-merkle-proof';

/**
 * All that it takes to check, offline, that something is in a log (C2SP tlog-proof): text, in lines.
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>           only where there is some
 *   index <decimal>
 *   <base64 of a hash>       the inclusion proof, a line each, from the leaf's sibling up
 *                            an empty line
 *   <checkpoint>             as the log signed it
 */
export interface TlogProof {
  /** From 0. */
  index: number;
  hashes: readonly Uint8Array[];
  /** The signed note of a checkpoint, byte for byte. */
  checkpoint: Uint8Array;
  /** What an application needs beside it. Nothing authenticates it. */
  extra?: Uint8Array;
}

/** Whom a proof has to convince. */
export interface ProofPolicy extends Log {
  witnesses?: readonly VerifierKey[];
  /** Of how many of these witnesses the checkpoint needs a cosignature; 0 by default. */
  quorum?: number;
}

export interface ProvedRecord {
  index: number;
  checkpoint: Checkpoint;
  cosignatures: Cosignature[];
}

const HEADER = 'c2sp.org/tlog-proof@v1';
const MAX_PROOF_LENGTH = 2 * 1024 * 1024;
/** No tree is higher: 2^53 - 1 leaves. */
const MAX_HASHES = 53;
const INDEX = /^index (0|[1-9][0-9]{0,18})$/;
const END_OF_HASHES = Buffer.from('\n\n');

export function encodeTlogProof({ index, hashes, checkpoint, extra }: TlogProof): Buffer {
  const lines = [HEADER];
  if (extra) lines.push(`extra ${Buffer.from(extra).toString('base64')}`);
  lines.push(`index ${index}`, ...hashes.map((hash) => Buffer.from(hash).toString('base64')));
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`, 'utf8'), checkpoint]);
}

/** Reads a proof of at most 2 MiB, and does not look into its checkpoint. Throws MalformedError. */
export function parseTlogProof(bytes: Uint8Array): TlogProof {
  if (bytes.length > MAX_PROOF_LENGTH) throw new MalformedError(`a proof has at most ${MAX_PROOF_LENGTH} bytes`);
  const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(END_OF_HASHES);
  if (end < 0) throw new MalformedError('a proof has an empty line before its checkpoint');
  const [header, ...lines] = decodeUtf8('a proof', bytes.subarray(0, end)).split('\n');
  if (header !== HEADER) throw new MalformedError(`a proof starts with the line ${HEADER}`);
  const extra = lines[0]?.startsWith('extra ') ? parseExtra(lines.shift()!) : undefined;
  const index = parseIndex(lines.shift());
  if (lines.length > MAX_HASHES) throw new MalformedError(`a proof has at most ${MAX_HASHES} hashes`);
  const checkpoint = bytes.subarray(end + END_OF_HASHES.length);
  return { index, hashes: lines.map(parseHash), checkpoint, ...(extra && { extra }) };
}

/**
 * What a proof proves of the leaf of this hash, which the caller computes from the record itself: that it is leaf `index`
 * of a tree that the log has signed, and enough witnesses with it (C2SP tlog-proof, "Verifying a tlog proof"). Throws
 * MalformedError and NotProvedError.
 */
export function verifyTlogProof(bytes: Uint8Array, leaf: Uint8Array, policy: ProofPolicy): ProvedRecord {
  const { index, hashes, checkpoint: signed } = parseTlogProof(bytes);
  const { checkpoint, note } = openCheckpoint(signed, policy);
  const cosignatures = verifyCosignatures(note, policy.witnesses ?? []);
  const quorum = policy.quorum ?? 0;
  // A key that is listed twice is one witness.
  const signers = new Set(cosignatures.map(({ witness }) => witness.publicKey.toString('base64'))).size;
  if (signers < quorum) {
    throw new NotProvedError(`${signers} of the known witnesses have signed the checkpoint, not ${quorum}`);
  }
  verifyInclusion(checkpoint, index, leaf, hashes);
  return { index, checkpoint, cosignatures };
}

function parseExtra(line: string): Buffer {
  const extra = decodeBase64(line.slice('extra '.length));
  if (!extra) throw new MalformedError('the extra data of the proof is not base64');
  return extra;
}

function parseIndex(line: string | undefined): number {
  const index = line === undefined ? null : INDEX.exec(line);
  if (!index) throw new MalformedError('a proof has a line index <decimal number without leading zeros>');
  if (!Number.isSafeInteger(Number(index[1]))) throw new MalformedError('the index of the proof is above 2^53 - 1');
  return Number(index[1]);
}

function parseHash(line: string, at: number): Buffer {
  const hash = decodeBase64(line);
  if (!hash) throw new MalformedError(`hash ${at} of the proof is not base64`);
  if (hash.length !== HASH_LENGTH) {
    throw new MalformedError(`hash ${at} of the proof has ${hash.length} bytes, not ${HASH_LENGTH}`);
  }
  return hash;
}
