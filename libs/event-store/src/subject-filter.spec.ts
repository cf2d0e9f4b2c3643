import { isExactSubject, subjectMatcher } from './subject-filter';

// Examples of https://docs.nats.io/nats-concepts/subjects#wildcards
it.each([
  ['time.*.east', 'time.us.east', true],
  ['time.*.east', 'time.eu.east', true],
  ['time.*.east', 'time.us.east.atlanta', false],
  ['time.*.east', 'time.east', false],
  ['time.us.>', 'time.us.east', true],
  ['time.us.>', 'time.us.east.atlanta', true],
  ['time.us.>', 'time.us', false],
  ['time.us', 'time.us', true],
  ['time.us', 'time.us.east', false],
  ['>', 'time', true],
  ['*', 'time.us', false],
])('%s on %s: %s', (filter, subject, matches) => {
  expect(subjectMatcher(filter)(subject)).toBe(matches);
});

it('takes wildcards only as whole tokens, as the server does', () => {
  expect(isExactSubject('kms.evt.a*b.c>')).toBe(true);
  expect(isExactSubject('kms.*.a')).toBe(false);
  expect(isExactSubject('kms.>')).toBe(false);
});

it('matches every subject without a filter', () => {
  expect(subjectMatcher(undefined)('any.thing')).toBe(true);
});
