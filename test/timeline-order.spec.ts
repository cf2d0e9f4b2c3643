import type { KeyCall } from '#platform/history/key-calls';
import { type Change, inOneOrder } from '../apps/keytrail/src/cli/timeline-order';

const change = (position: number, time: string, requestId: string, more: Partial<Change> = {}): Change => ({
  kind: 'change',
  position,
  of: 'key',
  version: position,
  time: `2026-11-24T12:00:${time}Z`,
  principal: 'root',
  operation: 'DisableKey',
  requestId,
  events: [],
  ...more,
});

const call = (second: string, requestID: string, eventName: string, errorCode?: string): KeyCall => ({
  eventTime: `2026-11-24T12:00:${second}Z`,
  eventID: `event of ${requestID} ${eventName}`,
  eventName,
  requestID,
  userIdentity: { type: 'Root' },
  ...(errorCode !== undefined && { errorCode }),
});

const told = (changes: Change[], calls: KeyCall[]): string[] =>
  inOneOrder(changes, calls).map((entry) =>
    entry.kind === 'change' ? `${entry.position}${entry.eventID ? ` ${entry.eventID}` : ''}` : entry.eventID,
  );

test('the calls of one second lie around its changes as their records do', () => {
  const changes = [change(1, '01.900', 'a'), change(2, '01.950', 'b')];
  const calls = [
    call('01', 'x', 'Encrypt'),
    call('01', 'a', 'DisableKey'),
    call('01', 'y', 'Encrypt'),
    call('01', 'b', 'DisableKey'),
    call('01', 'z', 'Encrypt'),
  ];
  expect(told(changes, calls)).toEqual([
    'event of x Encrypt',
    '1 event of a DisableKey',
    'event of y Encrypt',
    '2 event of b DisableKey',
    'event of z Encrypt',
  ]);
});

test('what a service did by itself lies between the seconds before and after it, by when it was recorded', () => {
  const late = change(1, '01.000', 'timer', { recordedAt: '2026-11-24T12:00:05.000Z' });
  const calls = [call('02', 'x', 'Encrypt'), call('04', 'y', 'Encrypt'), call('06', 'z', 'Encrypt')];
  expect(told([late], calls)).toEqual(['event of x Encrypt', 'event of y Encrypt', '1', 'event of z Encrypt']);
});

test('only a call that succeeded, by that operation, and the first one, is the change that it made', () => {
  const changes = [change(1, '02.000', 'a')];
  const calls = [
    call('01', 'a', 'DisableKey', 'AccessDeniedException'),
    call('02', 'a', 'Encrypt'),
    call('02', 'a', 'DisableKey'),
    call('03', 'a', 'DisableKey'),
  ];
  expect(told(changes, calls)).toEqual([
    'event of a DisableKey',
    'event of a Encrypt',
    '1 event of a DisableKey',
    'event of a DisableKey',
  ]);
});

test('changes keep the order of the log, whatever the records say, and none is left out', () => {
  const changes = [change(1, '02.000', 'a'), change(2, '01.000', 'b'), change(3, '03.000', 'c')];
  const calls = [call('01', 'b', 'DisableKey'), call('02', 'a', 'DisableKey')];
  expect(told(changes, calls)).toEqual(['1 event of a DisableKey', '2 event of b DisableKey', '3']);
  expect(told(changes, [])).toEqual(['1', '2', '3']);
});
