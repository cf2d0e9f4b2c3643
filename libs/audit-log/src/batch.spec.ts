import { createHash, createSecretKey, type KeyObject } from 'node:crypto';
import * as fc from 'fast-check';
import {
  AuditFormatError,
  batchEntry,
  decodeBatch,
  encodeBatch,
  NO_BATCH,
  recordOf,
  recordText,
  type SealingScope,
  unsealBatch,
} from './batch';
import { type AuditRecord, splitRecord } from './record';

const WRITER = '7a0d3f6e-5c0e-4a6e-9d0b-2f1f7a3f9f10';
const keys: Record<string, KeyObject> = {};
const keyOf = ({ account, month, generation }: SealingScope & { generation: number }): KeyObject => {
  const name = `${account} ${month} ${generation}`;
  keys[name] ??= createSecretKey(createHash('sha256').update(name).digest());
  return keys[name];
};
const salt = (n: number): Buffer => createHash('sha256').update(String(n)).digest().subarray(0, 16);

const record = (changes: Partial<AuditRecord> = {}): AuditRecord => ({
  eventVersion: '1.11',
  userIdentity: { type: 'Root', accountId: '111122223333' },
  eventTime: '2026-11-24T12:00:00Z',
  eventSource: 'kms.amazonaws.com',
  eventName: 'Encrypt',
  awsRegion: 'eu-central-1',
  requestID: 'c1a7f6f3-7f5d-4a38-8ee3-4e1e5f0c0a01',
  eventID: '0d6b9c0e-96a4-4a6c-8e0b-0c1b5b0e5b11',
  readOnly: true,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: '111122223333',
  eventCategory: 'Management',
  sourceIPAddress: '192.0.2.7',
  userAgent: 'aws-cli/2.0',
  requestParameters: { encryptionContext: { patient: 'Ann\nB' } },
  responseElements: null,
  ...changes,
});

const batchUnder = (generation: number, ...records: AuditRecord[]): Buffer =>
  encodeBatch(
    { writer: WRITER, batch: 1, prev: NO_BATCH },
    records.map((one, n) => {
      const { open, sealed } = splitRecord(one);
      return batchEntry(open, sealed, salt(n));
    }),
    (scope) => ({ generation, key: keyOf({ ...scope, generation }) }),
  );
const batchOf = (...records: AuditRecord[]): Buffer => batchUnder(1, ...records);

test('what is put into a batch comes out of it, in order, across accounts and months', () => {
  const records = [
    record(),
    record({ recipientAccountId: '444455556666', errorMessage: 'no\u2028' }),
    record({ eventTime: '2026-12-01T00:00:00Z', responseElements: { keyId: 'k' } }),
    record({ eventName: 'Decrypt' }),
  ];
  const decoded = decodeBatch(batchOf(...records));
  expect(decoded.head).toEqual({ v: 1, writer: WRITER, batch: 1, prev: NO_BATCH, records: 4 });
  expect(decoded.parts.map(({ account, month, of }) => ({ account, month, of }))).toEqual([
    { account: '111122223333', month: '2026-11', of: [0, 3] },
    { account: '444455556666', month: '2026-11', of: [1] },
    { account: '111122223333', month: '2026-12', of: [2] },
  ]);
  expect(unsealBatch(decoded, keyOf).map(recordOf)).toEqual(records);
});

test('nothing that may be personal is in the clear', () => {
  const text = batchOf(record({ errorMessage: 'for Ann' })).toString('latin1');
  for (const personal of ['Ann', 'patient', '192.0.2.7', 'aws-cli']) expect(text).not.toContain(personal);
  expect(text).toContain('"eventName":"Encrypt"');
});

test('with the key of a month erased, its records keep their open part and their leaf', () => {
  const bytes = batchOf(record(), record({ eventTime: '2026-12-01T00:00:00Z' }));
  const stored = unsealBatch(decodeBatch(bytes), (scope) => (scope.month === '2026-11' ? undefined : keyOf(scope)));
  expect(stored.map(({ sealed }) => sealed === undefined)).toEqual([true, false]);
  expect(recordOf(stored[0]!)).toMatchObject({ eventName: 'Encrypt', userIdentity: { type: 'Root' } });
  expect(recordOf(stored[0]!)).not.toHaveProperty('requestParameters');
  expect(stored.map(({ open }) => open)).toEqual(decodeBatch(bytes).open);
});

test('what is sealed after a shredding says so, and is opened with the later key', () => {
  const decoded = decodeBatch(batchUnder(3, record()));
  expect(decoded.parts.map(({ generation }) => generation)).toEqual([3]);
  expect(unsealBatch(decoded, keyOf).map(recordOf)).toEqual([record()]);
  expect(() => unsealBatch(decoded, (scope) => keyOf({ ...scope, generation: 1 }))).toThrow('cannot be unsealed');
});

test('the text of a record says what it was made of, on one line without tabs', () => {
  const texts = fc.record({
    eventName: fc.string({ unit: 'binary' }),
    requestParameters: fc.option(fc.dictionary(fc.string(), fc.string({ unit: 'binary' }))),
    erased: fc.boolean(),
  });
  fc.assert(
    fc.property(texts, ({ erased, ...changes }) => {
      const [stored] = unsealBatch(decodeBatch(batchOf(record(changes))), erased ? () => undefined : keyOf);
      const text = recordText(stored!);
      expect(JSON.parse(text)).toEqual(recordOf(stored!));
      expect(text).not.toMatch(/[\t\n]/);
    }),
  );
});

test.each([
  ['a tab in its open part', '{"a":\t1,"sealed":"C"}', '{"b":2}'],
  ['a tab in its sealed part', '{"a":1,"sealed":"C"}', '{"b":\t2}'],
  ['an empty sealed part', '{"a":1,"sealed":"C"}', '{}'],
  ['its commitment not at the end', '{"sealed":"C","a":1}', '{"b":2}'],
  ['only a commitment', '{"sealed":"C"}', '{"b":2}'],
])('a record that nobody writes, with %s, has a text too', (_, open, text) => {
  const commitment = createHash('sha256').update('').digest('base64');
  const stored = { open: open.replace('C', commitment), sealed: { salt: '', text } };
  expect(JSON.parse(recordText(stored))).toEqual(recordOf(stored));
  expect(recordText(stored)).not.toMatch(/[\t\n]/);
});

test('the same sealed text under another salt has another commitment', () => {
  const { open, sealed } = splitRecord(record());
  expect(batchEntry(open, sealed, salt(1)).open).not.toBe(batchEntry(open, sealed, salt(2)).open);
});

test('no changed byte makes another sealed part: it is refused, or reads as before', () => {
  const bytes = batchOf(record(), record({ eventName: 'Decrypt' }));
  const sealedOf = (batch: Buffer) => unsealBatch(decodeBatch(batch), keyOf).map(({ sealed }) => sealed);
  const before = sealedOf(bytes);
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 7 }), (at, bit) => {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1 << bit;
      try {
        expect(sealedOf(changed)).toEqual(before);
      } catch (error) {
        if (!(error instanceof AuditFormatError)) throw error;
        refused++;
      }
    }),
    { numRuns: 500 },
  );
  expect(refused).toBeGreaterThan(100);
});

test.each([
  ['', 'the head of a batch is no JSON'],
  ['[]', 'unknown version'],
  ['null', 'the head of a batch is no JSON object'],
  ['{"v":2}', 'a batch of unknown version 2'],
  ['{"v":1}', 'lacks writer, batch, prev or records'],
  [`{"v":1,"writer":"w","batch":1,"prev":"${NO_BATCH}","records":9000000000}`, 'has 0 lines'],
  [`{"v":1,"writer":"w","batch":1,"prev":"${NO_BATCH}","records":1}\n{}\n{}`, 'sealed part 1 of a batch lacks'],
])('%p is refused: %s', (text, message) => {
  expect(() => decodeBatch(Buffer.from(text))).toThrow(AuditFormatError);
  expect(() => decodeBatch(Buffer.from(text))).toThrow(message);
});

test('a record without its sealed part, or with another one, is refused', () => {
  const decoded = decodeBatch(batchOf(record(), record({ eventName: 'Decrypt', sourceIPAddress: '192.0.2.8' })));
  expect(() => unsealBatch({ ...decoded, parts: [] }, keyOf)).toThrow('record 1 of a batch has no sealed part');
  const swapped = { ...decoded, parts: decoded.parts.map((part) => ({ ...part, of: [1, 0] })) };
  expect(() => unsealBatch(swapped, keyOf)).toThrow('not the one that it commits to');
});
