import { AuditFormatError, BATCH_VERSION, type BatchHead } from './batch';

const NEWLINE = 0x0a;

/**
 * The leaves of a batch: the exact bytes of its records' open parts, views on `bytes`. Nothing else of the batch is looked
 * at but its head. Throws AuditFormatError.
 */
export function batchLeaves(bytes: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = buffer.indexOf(NEWLINE);
  const records = recordsIn(at < 0 ? '' : buffer.toString('utf8', 0, at));
  const leaves: Uint8Array[] = [];
  while (leaves.length < records) {
    if (at < 0) throw new AuditFormatError(`a batch of ${records} records has only ${leaves.length}`);
    const next = buffer.indexOf(NEWLINE, at + 1);
    leaves.push(buffer.subarray(at + 1, next < 0 ? buffer.length : next));
    at = next;
  }
  return leaves;
}

function recordsIn(line: string): number {
  let head: Partial<BatchHead> | null;
  try {
    head = JSON.parse(line) as Partial<BatchHead> | null;
  } catch (cause) {
    throw new AuditFormatError('the head of a batch is no JSON', { cause });
  }
  if (head?.v !== BATCH_VERSION || !Number.isSafeInteger(head.records) || head.records! < 1) {
    throw new AuditFormatError('the head of a batch lacks its version or number of records');
  }
  return head.records!;
}
