import { AGGREGATE_TYPES } from '#domain/aggregates';
import { Projection } from '#views/projection';
import { reportOf } from '../apps/keytrail/src/cli/aggregate-report';
import { GOLDEN_COMMITS } from './support/golden-commits';
import { disconnect, keyInStore } from './support/memory-key-stores';
import { MemoryOperations } from './support/memory-operations';

const ROOT = 'arn:aws:iam::000000000000';
const KEYS = 'arn:aws:kms:us-east-1:000000000000:key';
const ORDERS = '8c0c3863-e6c5-4f5a-99f1-27e414aafb91';
const SECOND = '1f0d6f5e-2a67-4c1f-9d1a-0b6f6f0f9a11';

const projection = new Projection();
for (const entry of GOLDEN_COMMITS) projection.apply(entry);
const linesOf = (heading: string | RegExp): string[] => {
  const reports = AGGREGATE_TYPES.flatMap((type) =>
    Array.from(projection.all(type), (folded) => reportOf(folded, { projection, at: '2028-01-01T00:00:00.000Z' })),
  );
  const report = reports.find((one) =>
    typeof heading === 'string' ? one.heading === heading : heading.test(one.heading),
  );
  if (!report) throw new Error(`no report has the heading ${heading}: ${reports.map((one) => one.heading).join('\n')}`);
  return report.lines;
};

describe('replay shows', () => {
  test('a user with its policies and access keys, never a policy’s text', () => {
    expect(linesOf(`${ROOT}:user/team/Ann.Orders`)).toEqual([
      'state: User AIDAGOLDEN0000000001',
      'policy: Another',
      'access key: AKIAGOLDEN0000000002, Active, since 2027-08-05T00:00:00.000Z',
    ]);
  });

  test('a role, one that was deleted, and an account', () => {
    expect(linesOf(`${ROOT}:role/Orders`)).toEqual(['state: Role AROAGOLDEN0000000001', 'policy: use-keys']);
    expect(linesOf(`${ROOT}:role/temp`)).toEqual([
      'state: deleted 2027-08-11T00:00:00.000Z; it was AROAGOLDEN0000000002',
    ]);
    expect(linesOf('arn:aws:iam::111122223333:root')).toEqual([
      'state: Account',
      'access key: AKIAROOTGOLDEN000001, Active, since 2027-08-01T00:00:00.000Z',
    ]);
  });

  test('grants that are active, have ended, or went with their key', () => {
    expect(linesOf(`grant ${'a'.repeat(64)} on ${KEYS}/${ORDERS}`)).toEqual([
      'state: Active',
      `DescribeKey for ${ROOT}:role/Orders`,
    ]);
    expect(linesOf(`grant ${'b'.repeat(64)} on ${KEYS}/${ORDERS}`)).toEqual([
      'state: Retired 2027-08-03T00:00:00.000Z',
    ]);
    expect(linesOf(`grant ${'c'.repeat(64)} on ${KEYS}/${SECOND}`)[0]).toBe('state: gone with its key');
    expect(linesOf(/^grant 9242/)).toContain(`may be retired by ${ROOT}:role/Orders`);
  });

  test('a custom key store, one that was deleted, and never where its secret lies', () => {
    const store = (id: string) => linesOf(`custom key store ${id} of 000000000000 in eu-central-1`);
    expect(store('cks-0123456789abcdef0')).toEqual([
      ...['name: renamed', 'state: CONNECTED', 'AWS_CLOUDHSM: cluster-abcdefghijk', 'keys: 0'],
    ]);
    expect(store('cks-0123456789abcdef1')).toEqual([
      ...['name: proxy', 'state: CONNECTED', 'EXTERNAL_KEY_STORE: https://proxy.example.com/other/kms/xks/v1'],
      'keys: 1',
    ]);
    expect(store('cks-0123456789abcdef2')).toEqual(['state: Deleted']);
  });

  test('a key in a custom key store, and why callers are told Unavailable', async () => {
    const keys = 'arn:aws:kms:eu-central-1:000000000000:key';
    expect(linesOf(`${keys}/1c6e2f4a-5f0e-4b7c-8d1e-2a3b4c5d6e7f`).slice(0, 2)).toEqual([
      ...['state: Enabled', 'in custom key store cks-0123456789abcdef1 as outer-key'],
    ]);
    const operations = new MemoryOperations();
    const { KeyId, CustomKeyStoreId: store } = await keyInStore(operations, 'cluster');
    const placeOf = (): string | undefined => {
      const moment = { projection: operations.projection, at: new Date(operations.now).toISOString() };
      return reportOf(operations.projection.key('us-east-1', '000000000000', KeyId)!, moment).lines[1];
    };
    expect(placeOf()).toBe(`in custom key store ${store}`);
    await disconnect(operations, store);
    expect(placeOf()).toBe(`in custom key store ${store}, which is DISCONNECTED: callers are told Unavailable`);
    await operations.call('ScheduleKeyDeletion', { KeyId });
    expect(placeOf()).toBe(`in custom key store ${store}, which is DISCONNECTED`);
  });

  test('how far a rotation of the root key is', () => {
    expect(linesOf('root key')).toEqual([
      'epoch 3 (fedcba9876543210), to which all material of epoch 2 is being moved since 2029-02-01T00:00:00.000Z',
    ]);
  });

  test('an alias that was deleted, and a key as before', () => {
    expect(linesOf('arn:aws:kms:us-east-1:000000000000:alias/orders')).toEqual(['state: deleted']);
    expect(linesOf(`${KEYS}/${SECOND}`)).toEqual([
      'state: Deleted',
      'deleted 2027-07-15T00:00:00.000Z; all material erased',
      'next timer: none',
    ]);
  });
});
