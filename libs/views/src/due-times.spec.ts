import { eventSubject } from '#domain/subjects';
import { GOLDEN_COMMITS } from '../../../test/support/golden-commits';
import { DueTimes, type TimerKind, timerOf } from './due-times';
import { Projection } from './projection';

const ORDERS = '8c0c3863-e6c5-4f5a-99f1-27e414aafb91';
const EXTERNAL = '5b2f8a5e-93c4-4a86-9d53-3f6a30c1e7d2';
const subjectOf = (id: string): string =>
  eventSubject({ region: 'us-east-1', account: '000000000000', aggregate: 'key', id });

/** The golden log's timers after each commit, kept up to date as a scheduler does it. */
function timersAfter(position: number, kinds: TimerKind[]): DueTimes {
  const projection = new Projection();
  const due = new DueTimes(new Set(kinds));
  for (const entry of GOLDEN_COMMITS.slice(0, position)) {
    due.note(projection, projection.apply(entry));
  }
  return due;
}

const ALL: TimerKind[] = ['Rotation', 'Deletion', 'Cleanup', 'MaterialExpiry', 'MaterialErasure'];
/** The golden log's commits on the key with imported material begin behind this one. */
const BEFORE_IMPORTS = GOLDEN_COMMITS.findIndex(({ subject }) => subject.includes(EXTERNAL));
const shown = (due: DueTimes): string | undefined => {
  const timer = due.first();
  return timer && `${timer.kind} of ${timer.ref.id === ORDERS ? 'orders' : 'second'} at ${timer.deadline.slice(0, 10)}`;
};

describe('timers', () => {
  test.each([
    [8, 'none before rotation is enabled', undefined],
    [9, 'the first rotation', 'Rotation of orders at 2027-02-25'],
    [10, 'the next, a period after the last one’s deadline', 'Rotation of orders at 2027-05-26'],
    [11, 'the same after a rotation on demand', 'Rotation of orders at 2027-05-26'],
    [12, 'none while the key is disabled', undefined],
    [13, 'the missed rotation, at the moment the key was enabled', 'Rotation of orders at 2027-06-12'],
    [14, 'none once rotation is disabled', undefined],
    [15, 'the deletion', 'Deletion of orders at 2027-06-20'],
    [16, 'none once it is cancelled', undefined],
    [17, 'the other key’s deletion', 'Deletion of second at 2027-07-15'],
    [18, 'the cleaning up after it', 'Cleanup of second at 2027-07-15'],
    [19, 'still that, while an alias is left', 'Cleanup of second at 2027-07-15'],
    [20, 'none at last', undefined],
  ])('after commit %i: %s', (position, _what, expected) => {
    expect(shown(timersAfter(position, ALL))).toBe(expected);
  });

  test.each([
    [1, 'none before anything is imported', undefined],
    [2, 'the end of the first material', 'MaterialExpiry at 2027-10-11'],
    [4, 'the same once another is current', 'MaterialExpiry at 2027-10-11'],
    [5, 'the erasing of what has expired', 'MaterialErasure at 2027-10-11'],
    [6, 'none once it is erased', undefined],
    [8, 'the erasing of what was deleted', 'MaterialErasure at 2027-10-14'],
    [9, 'still that, before the end of what waits for a rotation', 'MaterialErasure at 2027-10-14'],
  ])('of imported material, after its commit %i: %s', (commit, _what, expected) => {
    const subject = eventSubject({ region: 'eu-central-1', account: '000000000000', aggregate: 'key', id: EXTERNAL });
    const timer = timersAfter(BEFORE_IMPORTS + commit, ALL).of(subject);
    expect(timer && `${timer.kind} at ${timer.deadline.slice(0, 10)}`).toBe(expected);
  });

  test('rebuilt from the folded state are those that were kept up commit by commit', () => {
    for (let position = 1; position <= GOLDEN_COMMITS.length; position++) {
      const projection = new Projection();
      for (const entry of GOLDEN_COMMITS.slice(0, position)) projection.apply(entry);
      const rebuilt = new DueTimes(new Set(ALL));
      rebuilt.build(projection);
      const far = '9999-12-31T00:00:00.000Z';
      expect(rebuilt.due(far, 10)).toEqual(timersAfter(position, ALL).due(far, 10));
    }
  });

  test('are only those of the kinds asked for', () => {
    expect(shown(timersAfter(9, ['Deletion', 'Cleanup']))).toBeUndefined();
    expect(shown(timersAfter(17, ['Rotation']))).toBeUndefined();
  });

  test('are due at their deadline and not before', () => {
    const due = timersAfter(9, ALL);
    expect(due.due('2027-02-24T23:59:59.999Z', 10)).toEqual([]);
    expect(due.due('2027-02-25T00:00:00.000Z', 10)).toHaveLength(1);
    expect(due.due('2027-02-25T00:00:00.000Z', 0)).toEqual([]);
  });

  test('are without those of the keys left out', () => {
    const due = timersAfter(9, ALL);
    expect(due.first(new Set([subjectOf(ORDERS)]))).toBeUndefined();
    expect(due.of(subjectOf(ORDERS))).toEqual(due.first());
  });

  test('of a key that nobody knows are none', () => {
    expect(timerOf(new Projection(), subjectOf(ORDERS))).toBeUndefined();
  });
});
