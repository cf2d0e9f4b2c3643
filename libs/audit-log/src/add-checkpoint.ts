import { decodeBase64 } from './base64';
import { HASH_LENGTH, isTreeSize } from './merkle';
import { decodeUtf8 } from './note';
import { MalformedError } from './proof-errors';

/**
 * What a witness is asked to cosign (C2SP tlog-witness, "add-checkpoint"), and, kept as a file, the proof that a log goes on
 * from an older head: text, in lines.
 *
 *   old <decimal>
 *   <base64 of a hash>       the consistency proof, a line each
 *                            an empty line
 *   <checkpoint>             as the log signed it
 */
export interface AddCheckpoint {
  /** Size of the tree that the proof begins with; 0 where there is nothing to prove. */
  oldSize: number;
  hashes: readonly Uint8Array[];
  /** The signed note of a checkpoint, byte for byte. */
  checkpoint: Uint8Array;
}

const MAX_HASHES = 63;
const MAX_LENGTH = 2 * 1024 * 1024;
const OLD = /^old (0|[1-9][0-9]{0,18})$/;
const END_OF_HASHES = Buffer.from('\n\n');

export function encodeAddCheckpoint({ oldSize, hashes, checkpoint }: AddCheckpoint): Buffer {
  const lines = [`old ${oldSize}`, ...hashes.map((hash) => Buffer.from(hash).toString('base64'))];
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n\n`, 'utf8'), checkpoint]);
}

/** Nothing of it is verified. Throws MalformedError. */
export function parseAddCheckpoint(bytes: Uint8Array): AddCheckpoint {
  if (bytes.length > MAX_LENGTH) throw new MalformedError(`a consistency proof has at most ${MAX_LENGTH} bytes`);
  const buffer = Buffer.from(bytes);
  const end = buffer.indexOf(END_OF_HASHES);
  if (end < 0) throw new MalformedError('a consistency proof has an empty line before its checkpoint');
  const [first = '', ...lines] = decodeUtf8('a consistency proof', buffer.subarray(0, end)).split('\n');
  const oldSize = Number(OLD.exec(first)?.[1] ?? Number.NaN);
  if (!isTreeSize(oldSize)) {
    throw new MalformedError('a consistency proof begins with a line old <decimal number without leading zeros>');
  }
  if (lines.length > MAX_HASHES) throw new MalformedError(`a consistency proof has at most ${MAX_HASHES} hashes`);
  const hashes = lines.map((line, at) => {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_LENGTH) {
      throw new MalformedError(`hash ${at + 1} of the consistency proof is not base64 of ${HASH_LENGTH} bytes`);
    }
    return hash;
  });
  return { oldSize, hashes, checkpoint: buffer.subarray(end + END_OF_HASHES.length) };
}
