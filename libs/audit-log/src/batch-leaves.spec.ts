import { createSecretKey } from 'node:crypto';
import fc from 'fast-check';
import { batchEntry, decodeBatch, encodeBatch, NO_BATCH } from './batch';
import { batchLeaves } from './batch-leaves';
import type { OpenPart } from './record';

const KEY = createSecretKey(Buffer.alloc(32, 1));
const WRITER = '00000000-0000-4000-8000-000000000000';

const open = (eventName: string): OpenPart => ({
  eventVersion: '1.11',
  userIdentity: { type: 'Root' },
  eventTime: '2026-11-24T12:00:00Z',
  eventSource: 'kms.amazonaws.com',
  eventName,
  awsRegion: 'us-east-1',
  eventID: WRITER,
  readOnly: true,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: '000000000000',
  eventCategory: 'Management',
});

const batchOf = (names: readonly string[]): Buffer =>
  encodeBatch(
    { writer: WRITER, batch: 1, prev: NO_BATCH },
    names.map((name) => batchEntry(open(name), '{}', Buffer.alloc(16))),
    () => ({ generation: 1, key: KEY }),
  );

test('the leaves of a batch are the bytes of its open parts', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 5 }), (names) => {
      const bytes = batchOf(names);
      expect(batchLeaves(bytes).map((leaf) => Buffer.from(leaf).toString('utf8'))).toEqual(decodeBatch(bytes).open);
    }),
  );
});

test.each([
  ['', 'the head of a batch is no JSON'],
  ['null\n{}', 'the head of a batch lacks its version or number of records'],
  ['{"v":2,"records":1}\n{}', 'the head of a batch lacks its version or number of records'],
  ['{"v":1,"records":0}\n{}', 'the head of a batch lacks its version or number of records'],
  ['{"v":1,"records":2}\n{}', 'a batch of 2 records has only 1'],
])('bytes that are no batch are refused: %j', (text, message) => {
  expect(() => batchLeaves(Buffer.from(text))).toThrow(message);
});
