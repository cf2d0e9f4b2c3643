import { createCipheriv, createDecipheriv, createHash, type KeyObject } from 'node:crypto';
import type { AuditRecord, OpenPart, SealedPart } from './record';

/**
 * A batch: the records that one message of KMS_AUDIT holds, as lines of UTF-8. First a head, then the open part of each
 * record, then what was sealed, a part for each account and month. See docs/audit.md.
 */
export interface BatchHead {
  v: typeof BATCH_VERSION;
  /** A UUID, of one process from its start to its end. */
  writer: string;
  /** 1 for the writer's first batch, then without gaps. */
  batch: number;
  /** Hex SHA-256 of the bytes of the writer's batch before; 64 zeros in the first. */
  prev: string;
  records: number;
}

/** Whose key a sealed part is under. Erasing that key makes it unreadable for ever. */
export interface SealingScope {
  account: string;
  /** `2026-11`, of the records' times. */
  month: string;
}

/** A key to seal records of a scope with. They have had `generation` - 1 others before, which are erased. */
export interface SealingKey {
  generation: number;
  /** The AES-256 key of one writer for the scope and generation. */
  key: KeyObject;
}

/** A record, ready to go into a batch. */
export interface BatchEntry extends SealingScope {
  /** The open part with its commitment: exactly these bytes are the leaf of the Merkle log. */
  open: string;
  /** The salt in base64 and the sealed text. */
  sealed: string;
}

/** A stored record. `sealed` is undefined where its key has been erased. */
export interface StoredRecord {
  open: string;
  sealed: { salt: string; text: string } | undefined;
}

/** What the lines of a batch say, nothing unsealed yet. */
export interface DecodedBatch {
  head: BatchHead;
  /** The records' open parts, as their exact texts. */
  open: string[];
  parts: SealedLine[];
}

/** Sealed parts of one scope. */
interface SealedLine extends SealingScope {
  /** Of the key; absent for the first. */
  generation?: number;
  of: number[];
  ct: string;
}

/** Bytes that are no batch, or not the one that they say. The message says which line, and what is wrong with it. */
export class AuditFormatError extends Error {
  override readonly name = 'AuditFormatError';
}

export const BATCH_VERSION = 1;
export const NO_BATCH = '0'.repeat(64);
export const SALT_BYTES = 16;
const SALT_TEXT = 24;
const TAG_BYTES = 16;
const IV_BYTES = 12;

/** Hex SHA-256 of a batch's bytes, for the `prev` of the writer's next one. */
export const batchHash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Base64 SHA-256 over salt and text. Who has both can show them; who has not cannot guess them. */
const commitmentOf = (salt: Uint8Array, text: string): string =>
  createHash('sha256').update(salt).update(text, 'utf8').digest('base64');

/** Puts the commitment into the open part. `salt`: SALT_BYTES random bytes, of this record alone. */
export function batchEntry(open: OpenPart, sealedText: string, salt: Buffer): BatchEntry {
  const text = JSON.stringify(open);
  return {
    account: open.recipientAccountId,
    month: open.eventTime.slice(0, 7),
    open: `${text.slice(0, -1)},"sealed":"${commitmentOf(salt, sealedText)}"}`,
    sealed: salt.toString('base64') + sealedText,
  };
}

/** `keyOf`: the key of this writer for the scope, which no other writer uses. */
export function encodeBatch(
  { writer, batch, prev }: Omit<BatchHead, 'v' | 'records'>,
  entries: readonly BatchEntry[],
  keyOf: (scope: SealingScope) => SealingKey,
): Buffer {
  const head: BatchHead = { v: BATCH_VERSION, writer, batch, prev, records: entries.length };
  const lines = [JSON.stringify(head)];
  const scopes = new Map<string, SealingScope & { of: number[]; texts: string[] }>();
  for (const [index, { open, account, month, sealed }] of entries.entries()) {
    lines.push(open);
    const name = `${account} ${month}`;
    let scope = scopes.get(name);
    if (!scope) {
      scope = { account, month, of: [], texts: [] };
      scopes.set(name, scope);
    }
    scope.of.push(index);
    scope.texts.push(sealed);
  }
  for (const { account, month, of, texts } of scopes.values()) {
    const { key, generation } = keyOf({ account, month });
    const cipher = createCipheriv('aes-256-gcm', key, ivOf(batch));
    cipher.setAAD(aadOf(head, { account, month }));
    const ct = Buffer.concat([cipher.update(texts.join('\n'), 'utf8'), cipher.final(), cipher.getAuthTag()]);
    const which = generation === 1 ? {} : { generation };
    lines.push(JSON.stringify({ account, month, ...which, of, ct: ct.toString('base64') } satisfies SealedLine));
  }
  return Buffer.from(lines.join('\n'), 'utf8');
}

/** Throws AuditFormatError. */
export function decodeBatch(bytes: Uint8Array): DecodedBatch {
  const [first = '', ...lines] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('utf8')
    .split('\n');
  const head = parseLine<BatchHead>(first, 'the head');
  if (head.v !== BATCH_VERSION) throw new AuditFormatError(`a batch of unknown version ${JSON.stringify(head.v)}`);
  const { writer, batch, prev, records } = head;
  if (
    typeof writer !== 'string' ||
    !isCount(batch, 1) ||
    !isCount(records, 1) ||
    !/^[0-9a-f]{64}$/.test(String(prev))
  ) {
    throw new AuditFormatError('the head of a batch lacks writer, batch, prev or records');
  }
  if (lines.length < records) throw new AuditFormatError(`a batch of ${records} records has ${lines.length} lines`);
  const parts = lines.slice(records).map((line, index) => {
    const part = parseLine<SealedLine>(line, `sealed part ${index + 1}`);
    const { account, month, generation, of, ct } = part;
    const named =
      typeof account === 'string' &&
      typeof month === 'string' &&
      (generation === undefined || isCount(generation, 2)) &&
      typeof ct === 'string';
    if (!named || !Array.isArray(of) || !of.every((at) => isCount(at, 0) && at < records)) {
      throw new AuditFormatError(`sealed part ${index + 1} of a batch lacks account, month, of or ct`);
    }
    return part;
  });
  return { head, open: lines.slice(0, records), parts };
}

/**
 * The records of a batch. `keyOf` gives undefined for an erased key. Throws AuditFormatError where a sealed part is
 * altered, is missing, or is not what the record's commitment says.
 */
export function unsealBatch(
  { head, open, parts }: DecodedBatch,
  keyOf: (scope: SealingScope & { writer: string; generation: number }) => KeyObject | undefined,
): StoredRecord[] {
  const sealed = new Array<StoredRecord['sealed'] | null>(open.length).fill(null);
  for (const { account, month, generation = 1, of, ct } of parts) {
    const key = keyOf({ account, month, generation, writer: head.writer });
    const texts = key && unseal(head, { account, month }, ct, key);
    if (texts && texts.length !== of.length) {
      throw new AuditFormatError(
        `the sealed part of ${account} ${month} has ${texts.length} texts for ${of.length} records`,
      );
    }
    for (const [nth, index] of of.entries()) {
      const text = texts?.[nth];
      sealed[index] = text === undefined ? undefined : { salt: text.slice(0, SALT_TEXT), text: text.slice(SALT_TEXT) };
    }
  }
  return open.map((text, index) => {
    const own = sealed[index];
    if (own === null) throw new AuditFormatError(`record ${index + 1} of a batch has no sealed part`);
    const record = { open: text, sealed: own };
    if (!keepsCommitment(record)) {
      throw new AuditFormatError(`record ${index + 1} of a batch: the sealed part is not the one that it commits to`);
    }
    return record;
  });
}

/** Whether the sealed part, where it is known, is the one that the open part commits to. */
export function keepsCommitment({ open, sealed }: StoredRecord): boolean {
  if (!sealed) return true;
  const own = commitmentOf(Buffer.from(sealed.salt, 'base64'), sealed.text);
  // As batchEntry writes it: no other member can end like that.
  if (open.endsWith(`,"sealed":"${own}"}`)) return true;
  return parseLine<{ sealed?: unknown }>(open, 'a record').sealed === own;
}

/** The record as it was made; without its sealed part, as far as is known. */
export function recordOf({ open, sealed }: StoredRecord): AuditRecord | (OpenPart & Partial<SealedPart>) {
  const { sealed: _commitment, ...part } = parseLine<OpenPart & { sealed: string }>(open, 'a record');
  return sealed ? { ...part, ...parseLine<SealedPart>(sealed.text, 'a sealed part') } : part;
}

/** The record as JSON: the texts of its parts put together, where they are written as `batchEntry` writes them. */
export function recordText(record: StoredRecord): string {
  const { open, sealed } = record;
  const end = open.length - COMMITMENT_LENGTH;
  const asWritten = open.startsWith(COMMITMENT_START, end) && !open.includes('\t');
  if (!asWritten || (sealed && !/^\{"[^\t]*$/.test(sealed.text))) return JSON.stringify(recordOf(record));
  return sealed ? `${open.slice(0, end)},${sealed.text.slice(1)}` : `${open.slice(0, end)}}`;
}

const COMMITMENT_START = ',"sealed":"';
const COMMITMENT_LENGTH = COMMITMENT_START.length + Buffer.alloc(32).toString('base64').length + '"}'.length;

/** A key is one writer's, and a writer's batch numbers are never used twice: so neither is a nonce. */
function ivOf(batch: number): Buffer {
  const iv = Buffer.alloc(IV_BYTES);
  iv.writeBigUInt64BE(BigInt(batch), IV_BYTES - 8);
  return iv;
}

const aadOf = ({ writer, batch }: BatchHead, { account, month }: SealingScope): Buffer =>
  Buffer.from(`${writer} ${batch} ${account} ${month}`, 'utf8');

function unseal(head: BatchHead, scope: SealingScope, ct: string, key: KeyObject): string[] {
  const bytes = Buffer.from(ct, 'base64');
  const where = `the sealed part of ${scope.account} ${scope.month}`;
  if (bytes.length < TAG_BYTES) throw new AuditFormatError(`${where} is too short`);
  const decipher = createDecipheriv('aes-256-gcm', key, ivOf(head.batch), { authTagLength: TAG_BYTES });
  decipher.setAAD(aadOf(head, scope));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
    return text.toString('utf8').split('\n');
  } catch (cause) {
    throw new AuditFormatError(`${where} cannot be unsealed: it was altered, or is another writer's`, { cause });
  }
}

function parseLine<T extends object>(line: string, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new AuditFormatError(`${what} of a batch is no JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null) throw new AuditFormatError(`${what} of a batch is no JSON object`);
  return value as T;
}

const isCount = (value: unknown, least: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= least;
