import { AGGREGATE_TYPES } from '#domain/aggregates';
import { commitHash } from '#domain/commit';
import { eventSubject } from '#domain/subjects';
import { GOLDEN_COMMITS, GOLDEN_FOLDED } from '../../../test/support/golden-commits';
import { LogCorruptError, type LogEntry, Projection } from './projection';

const REGION = 'us-east-1';
const ACCOUNT = '000000000000';
const ORDERS = '8c0c3863-e6c5-4f5a-99f1-27e414aafb91';
const SECOND = '1f0d6f5e-2a67-4c1f-9d1a-0b6f6f0f9a11';

/** The golden log up to a position. */
function projected(position = GOLDEN_COMMITS.length): Projection {
  const projection = new Projection();
  for (const entry of GOLDEN_COMMITS.slice(0, position)) projection.apply(entry);
  return projection;
}

const foldedOf = (projection: Projection) =>
  Object.fromEntries(
    AGGREGATE_TYPES.flatMap((type) => [...projection.all(type)]).map(({ ref, version, hash, time, state }) => [
      eventSubject(ref),
      { version, hash, time, state },
    ]),
  );

/** The golden commit at a position, with members of it changed. */
function changed(position: number, changes: Record<string, unknown>): LogEntry {
  const { seq, subject, bytes } = GOLDEN_COMMITS[position - 1]!;
  return { seq, subject, bytes: Buffer.from(JSON.stringify({ ...JSON.parse(bytes.toString()), ...changes })) };
}

/** The first position of a key's third commit or later: one that follows others on its subject. */
const LATER = 4;

describe('a projection', () => {
  test('of the golden log is what it was when the log was written', () => {
    expect(foldedOf(projected())).toEqual(GOLDEN_FOLDED);
  });

  test.each<[string, LogEntry, RegExp]>([
    ['a gap', GOLDEN_COMMITS[LATER]!, /follows position 3: commits are missing/],
    ['a repetition', GOLDEN_COMMITS[LATER - 2]!, /follows position 3/],
    ['a version that was passed over', changed(LATER, { version: 4 }), /has version 4 where 3 must follow/],
    ['another prevHash', changed(LATER, { prevHash: 'f'.repeat(64) }), /prevHash is not the hash of version 2/],
    ['a time before the last', changed(LATER, { time: '2026-11-24T23:59:59.999Z' }), /time runs backwards/],
    ['an unknown event', changed(LATER, { events: [{ type: 'KeyForgotten', v: 1 }] }), /unknown event "KeyForgotten"/],
    [
      'an event that cannot follow',
      changed(LATER, { events: [{ type: 'KeyMaterialDestroyed', v: 1, materialIds: [] }] }),
      /KeyMaterialDestroyed on a key that is not deleted/,
    ],
  ])('stops at %s, names it, and changes nothing', (_what, entry, message) => {
    const projection = projected(LATER - 1);
    const before = foldedOf(projection);
    expect(() => projection.apply(entry)).toThrow(LogCorruptError);
    expect(() => projection.apply(entry)).toThrow(message);
    expect(() => projection.apply(entry)).toThrow(`commit ${entry.seq} (${entry.subject})`);
    expect([projection.position, foldedOf(projection)]).toEqual([LATER - 1, before]);
    projection.apply(GOLDEN_COMMITS[LATER - 1]!);
    expect(projection.position).toBe(LATER);
  });

  test('finds any byte changed in a commit that others follow', () => {
    const first = GOLDEN_COMMITS[0]!;
    for (const at of first.bytes.keys()) {
      const bytes = Buffer.from(first.bytes);
      bytes[at] = bytes[at]! ^ 0x01;
      const projection = new Projection();
      expect(() => {
        projection.apply({ ...first, bytes });
        for (const entry of GOLDEN_COMMITS.slice(1)) projection.apply(entry);
      }).toThrow(LogCorruptError);
    }
  });

  test('lists the ids of a region’s keys in order, until they are deleted', () => {
    const ids = (projection: Projection, after?: string) => [...projection.keyIdsAfter(REGION, ACCOUNT, after)];
    expect(ids(projected(7))).toEqual([SECOND, ORDERS]);
    expect(ids(projected(7), SECOND)).toEqual([ORDERS]);
    expect(ids(projected(7), '5')).toEqual([ORDERS]);
    expect(ids(projected())).toEqual([ORDERS]);
    expect(projected(7).keyCount(REGION, ACCOUNT)).toBe(2);
    expect(projected().keyCount(REGION, ACCOUNT)).toBe(1);
    expect([...projected().keyIdsAfter('eu-west-1', ACCOUNT, undefined)]).toEqual([]);
  });

  test('knows the aliases of each key as they move and go', () => {
    const aliases = (projection: Projection, id: string) => [
      ...projection.aliasNamesOf({ region: REGION, account: ACCOUNT, aggregate: 'key', id }),
    ];
    expect([aliases(projected(7), ORDERS), aliases(projected(7), SECOND)]).toEqual([['orders'], []]);
    expect([aliases(projected(8), ORDERS), aliases(projected(8), SECOND)]).toEqual([[], ['orders']]);
    expect(aliases(projected(), SECOND)).toEqual([]);
    expect([...projected(8).aliasNamesAfter(REGION, ACCOUNT, undefined)]).toEqual(['orders']);
    expect([...projected().aliasNamesAfter(REGION, ACCOUNT, undefined)]).toEqual([]);
  });

  test('keeps the hash of the exact bytes of the newest commit', () => {
    const last = GOLDEN_COMMITS.findLast(({ subject }) => subject.endsWith(ORDERS))!;
    expect(projected().key(REGION, ACCOUNT, ORDERS)).toMatchObject({ hash: commitHash(last.bytes), seq: last.seq });
  });
});
