import type { AuditRecord } from '#audit-log/record';
import { KmsError } from '#domain/errors';
import type { Recorder } from '#operations/audit/recorder';
import { OPERATION_TABLE } from '#operations/table';
import { EdgeRecords, eventIdOf } from './edge-records';

class Kept implements Recorder {
  readonly records: AuditRecord[] = [];
  full = false;

  admit(): void {
    if (this.full) throw new KmsError('ThrottlingException', 'full');
  }

  async write(make: () => AuditRecord): Promise<void> {
    this.records.push(make());
  }
}

const HOME = { account: '000000000000', region: 'us-east-1' };
const REQUEST_ID = 'c1a7f6f3-7f5d-4a38-8ee3-4e1e5f0c0a01';
const call = { operation: OPERATION_TABLE.get('ListKeys')!, requestId: REQUEST_ID, eventId: eventIdOf(REQUEST_ID) };
const refusal = {
  body: '{"__type":"InvalidSignatureException","message":"no"}',
  error: 'InvalidSignatureException' as const,
  status: 400,
};

let kept: Kept;
let unrecorded: number;
const edge = (rate?: { perSecond: number; burst: number }) =>
  new EdgeRecords(
    kept,
    { now: () => Date.parse('2026-11-25T02:00:00Z') } as never,
    HOME,
    () => {},
    () => unrecorded++,
    rate,
  );

beforeEach(() => {
  kept = new Kept();
  unrecorded = 0;
});

test('a call of nobody known goes into the trail of the account that this is', async () => {
  expect(await edge().refused(refusal, call, { accessKeyId: 'AKIANOBODY' })).toBe(refusal);
  expect(kept.records).toMatchObject([
    {
      recipientAccountId: HOME.account,
      awsRegion: HOME.region,
      requestID: REQUEST_ID,
      eventID: eventIdOf(REQUEST_ID),
      userIdentity: { type: 'Unknown', accessKeyId: 'AKIANOBODY' },
    },
  ]);
});

test('past their rate calls of nobody known are refused without a record and counted; those of others are not', async () => {
  const records = edge({ perSecond: 0, burst: 2 });
  const codes: (string | undefined)[] = [];
  for (let n = 0; n < 4; n++) codes.push((await records.refused(refusal, call, {})).error);
  expect(codes).toEqual([...Array(2).fill('InvalidSignatureException'), ...Array(2).fill('ThrottlingException')]);
  expect([kept.records.length, unrecorded]).toEqual([2, 2]);
  const known = { account: '111122223333', principalId: 'root' };
  expect(await records.refused(refusal, call, known)).toBe(refusal);
  expect(kept.records.at(-1)).toMatchObject({ recipientAccountId: '111122223333' });
});

test('the rate fills up again', async () => {
  const records = edge({ perSecond: 1e9, burst: 1 });
  for (let n = 0; n < 20; n++) expect(await records.refused(refusal, call, {})).toBe(refusal);
});

test('what finds no place in the queue is refused as that', async () => {
  kept.full = true;
  expect(await edge().refused(refusal, call, {})).toMatchObject({ error: 'ThrottlingException' });
});

test('the id of an event is a UUID of version 8 that is the same for the same request alone', () => {
  expect(eventIdOf(REQUEST_ID)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(eventIdOf(REQUEST_ID)).toBe(eventIdOf(REQUEST_ID));
  expect(eventIdOf(`${REQUEST_ID} `)).not.toBe(eventIdOf(REQUEST_ID));
});
