import { compileCondition } from './compiled-condition';
import { parseOperator } from './conditions';

type Actual = string | string[] | undefined;

const holds = (operator: string, values: string[], actual: Actual): boolean => {
  const condition = { ...parseOperator(operator)!, key: 'kms:Some', values };
  return compileCondition(condition, 'Allow', true).holds((key) => (key === 'kms:some' ? actual : undefined));
};

/** Operator, values of the policy, value of the request, whether it holds. */
type Row = [string, string[], Actual, boolean];

const THEMES: [string, Row[]][] = [
  [
    'strings',
    [
      ['StringEquals', ['john'], 'john', true],
      ['StringEquals', ['john'], 'John', false],
      ['StringEquals', ['jo*'], 'john', false],
      ['StringEquals', ['jo*'], 'jo*', true],
      ['StringEquals', ['a', 'b'], 'b', true],
      ['StringEquals', [''], '', true],
      ['StringEquals', ['back\\slash'], 'back\\slash', true],
      ['StringNotEquals', ['john'], 'john', false],
      ['StringNotEquals', ['john'], 'jane', true],
      ['StringNotEquals', ['a', 'b'], 'b', false],
      ['StringEqualsIgnoreCase', ['john'], 'JOHN', true],
      ['StringEqualsIgnoreCase', ['JOHN'], 'john', true],
      ['StringEqualsIgnoreCase', ['john'], 'jane', false],
      ['StringNotEqualsIgnoreCase', ['john'], 'JOHN', false],
      ['StringNotEqualsIgnoreCase', ['john'], 'jane', true],
      ['StringLike', ['jo*'], 'john', true],
      ['StringLike', ['jo*'], 'John', false],
      ['StringLike', ['jo?n'], 'john', true],
      ['StringLike', ['*oh*'], 'john', true],
      ['StringLike', ['*'], '', true],
      ['StringLike', ['a:*'], 'a:b:c', true],
      ['StringLike', ['a\\*'], 'a\\b', true],
      ['StringLike', ['jane', 'jo*'], 'john', true],
      ['StringNotLike', ['jo*'], 'john', false],
      ['StringNotLike', ['ja*', 'jo*'], 'john', false],
      ['StringNotLike', ['ja*'], 'john', true],
    ],
  ],
  [
    'numbers',
    [
      ['NumericEquals', ['10'], '10', true],
      ['NumericEquals', ['10'], '10.0', true],
      ['NumericEquals', ['1e1'], '10', true],
      ['NumericEquals', ['10'], '11', false],
      ['NumericEquals', ['10'], 'ten', false],
      ['NumericEquals', ['ten'], 'ten', false],
      ['NumericEquals', ['0x10'], '16', false],
      ['NumericEquals', [''], '0', false],
      ['NumericNotEquals', ['10'], '11', true],
      ['NumericNotEquals', ['10'], '10.00', false],
      ['NumericLessThan', ['10'], '9.99', true],
      ['NumericLessThan', ['10'], '10', false],
      ['NumericLessThan', ['10'], '-11', true],
      ['NumericLessThanEquals', ['10'], '10', true],
      ['NumericLessThanEquals', ['10'], '11', false],
      ['NumericGreaterThan', ['10'], '9', false],
      ['NumericGreaterThan', ['10'], '100', true],
      ['NumericGreaterThanEquals', ['10'], '10', true],
      ['NumericGreaterThanEquals', ['5', '20'], '10', true],
      ['NumericLessThan', ['10'], 'nine', false],
    ],
  ],
  [
    'dates',
    [
      ['DateEquals', ['2026-07-01T12:00:00Z'], '2026-07-01T12:00:00Z', true],
      ['DateEquals', ['2026-07-01T12:00:00Z'], '2026-07-01T14:00:00+02:00', true],
      ['DateEquals', ['2026-07-01T12:00:00Z'], '2026-07-01T12:00Z', true],
      ['DateEquals', ['2026-07-01T12:00:00Z'], '2026-07-01T12:00:00', true],
      ['DateEquals', ['2026-07-01T12:00:00.250Z'], '2026-07-01T12:00:00.25Z', true],
      ['DateEquals', ['2026-07-01'], '2026-07-01T00:00:00Z', true],
      ['DateEquals', ['2026'], '2026-01-01T00:00:00Z', true],
      ['DateEquals', ['1782907200'], '2026-07-01T12:00:00Z', true],
      ['DateEquals', ['2026-07-01T12:00:00Z'], '1782907200', true],
      ['DateEquals', ['2026-07-01T12:00:00.500Z'], '1782907200.5', true],
      ['DateEquals', ['July 1, 2026'], 'July 1, 2026', false],
      ['DateEquals', ['2026-13-01'], '2026-13-01', false],
      ['DateNotEquals', ['2026-07-01'], '2026-07-02', true],
      ['DateNotEquals', ['2026-07-01'], '2026-07-01', false],
      ['DateLessThan', ['2026-07-01T00:00:00Z'], '2026-06-30T23:59:59Z', true],
      ['DateLessThan', ['2026-07-01T00:00:00Z'], '2026-07-01T00:00:00Z', false],
      ['DateLessThanEquals', ['2026-07-01T00:00:00Z'], '2026-07-01T00:00:00Z', true],
      ['DateGreaterThan', ['2026-07-01T00:00:00Z'], '2026-07-01T00:00:01Z', true],
      ['DateGreaterThan', ['2026-07-01T00:00:00Z'], '2026-06-30', false],
      ['DateGreaterThanEquals', ['2026-07-01T00:00:00Z'], '2026-07-01', true],
    ],
  ],
  [
    'booleans',
    [
      ['Bool', ['true'], 'true', true],
      ['Bool', ['true'], 'True', true],
      ['Bool', ['TRUE'], 'true', true],
      ['Bool', ['true'], 'false', false],
      ['Bool', ['false'], 'false', true],
      ['Bool', ['false'], undefined, false],
      ['BoolIfExists', ['false'], undefined, true],
    ],
  ],
  [
    'bytes',
    [
      ['BinaryEquals', ['QmluYXJ5VmFsdWVJbkJhc2U2NA=='], 'QmluYXJ5VmFsdWVJbkJhc2U2NA==', true],
      ['BinaryEquals', ['QmluYXJ5VmFsdWVJbkJhc2U2NA=='], 'QmluYXJ5VmFsdWVJbkJhc2U2NA', true],
      ['BinaryEquals', ['QmluYXJ5'], 'qmluyxj5', false],
      ['BinaryEquals', ['QmluYXJ5'], undefined, false],
    ],
  ],
  [
    'addresses',
    [
      ['IpAddress', ['203.0.113.0/24'], '203.0.113.7', true],
      ['IpAddress', ['203.0.113.0/24'], '203.0.114.7', false],
      ['IpAddress', ['203.0.113.7'], '203.0.113.7', true],
      ['IpAddress', ['203.0.113.7'], '203.0.113.8', false],
      ['IpAddress', ['203.0.113.7/24'], '203.0.113.200', true],
      ['IpAddress', ['10.0.0.0/8', '203.0.113.0/24'], '203.0.113.7', true],
      ['IpAddress', ['0.0.0.0/0'], '198.51.100.1', true],
      ['IpAddress', ['0.0.0.0/0'], '2001:db8::1', false],
      ['IpAddress', ['203.0.113.0/33'], '203.0.113.7', false],
      ['IpAddress', ['2001:DB8:1234:5678::/64'], '2001:db8:1234:5678::9', true],
      ['IpAddress', ['2001:DB8:1234:5678::/64'], '2001:db8:1234:5679::9', false],
      ['IpAddress', ['2001:db8::1'], '2001:0db8:0:0:0:0:0:1', true],
      ['IpAddress', ['::/0'], '2001:db8::1', true],
      ['IpAddress', ['somewhere'], '203.0.113.7', false],
      ['IpAddress', ['203.0.113.0/24'], 'somewhere', false],
      ['IpAddress', ['fe80::/10'], 'fe80::1%eth0', false],
      ['IpAddress', ['203.0.113.0/24'], undefined, false],
      ['NotIpAddress', ['203.0.113.0/24'], '203.0.113.7', false],
      ['NotIpAddress', ['203.0.113.0/24'], '198.51.100.1', true],
      ['NotIpAddress', ['203.0.113.0/24', '198.51.100.0/24'], '198.51.100.1', false],
    ],
  ],
  [
    'ARNs',
    [
      ['ArnEquals', ['arn:aws:sqs:us-east-1:111122223333:q'], 'arn:aws:sqs:us-east-1:111122223333:q', true],
      ['ArnEquals', ['arn:aws:sqs:*:111122223333:q*'], 'arn:aws:sqs:us-east-1:111122223333:queue', true],
      ['ArnLike', ['arn:aws:sqs:*:111122223333:q*'], 'arn:aws:sqs:us-east-1:111122223333:queue', true],
      ['ArnLike', ['arn:aws:iam::111122223333:role/*'], 'arn:aws:iam::111122223333:role/ops/Admin', true],
      ['ArnLike', ['arn:aws:iam::111122223333:role/*'], 'arn:aws:iam::111122223333:user/alice', false],
      ['ArnLike', ['arn:aws:sns:us-*:a*:t'], 'arn:aws:sns:us-east-1:b:a:t', false],
      ['ArnLike', ['arn:aws:sns:*:t'], 'arn:aws:sns:us-east-1:111122223333:t', false],
      ['ArnLike', ['arn:aws:sns:*:*:t'], 'arn:aws:sns:us-east-1:111122223333:t', true],
      ['ArnLike', ['arn:aws:sns:us-east-?:111122223333:*'], 'arn:aws:sns:us-east-1:111122223333:a:b', true],
      ['ArnLike', ['ARN:aws:sns:*:*:t'], 'arn:aws:sns:us-east-1:111122223333:t', false],
      ['ArnLike', ['arn:aws:sns:*:*:*'], 'no arn', false],
      ['ArnLike', ['*'], 'arn:aws:sns:us-east-1:111122223333:t', true],
      ['ArnNotEquals', ['arn:aws:sqs:*:*:q*'], 'arn:aws:sqs:us-east-1:111122223333:queue', false],
      ['ArnNotLike', ['arn:aws:sqs:*:*:q*'], 'arn:aws:sqs:us-east-1:111122223333:other', true],
    ],
  ],
  [
    'a key that the request lacks',
    [
      ...['StringEquals', 'StringEqualsIgnoreCase', 'StringLike', 'NumericEquals', 'NumericLessThan'].map(
        (operator): Row => [operator, ['1'], undefined, false],
      ),
      ...['DateEquals', 'DateGreaterThan', 'Bool', 'BinaryEquals', 'IpAddress', 'ArnEquals', 'ArnLike'].map(
        (operator): Row => [operator, ['1'], undefined, false],
      ),
      ...['StringNotEquals', 'StringNotEqualsIgnoreCase', 'StringNotLike', 'NumericNotEquals', 'DateNotEquals'].map(
        (operator): Row => [operator, ['1'], undefined, true],
      ),
      ...['NotIpAddress', 'ArnNotEquals', 'ArnNotLike'].map((operator): Row => [operator, ['1'], undefined, true]),
      ...['StringEquals', 'StringNotEquals', 'StringLike', 'NumericEquals', 'DateEquals', 'IpAddress', 'ArnLike'].map(
        (operator): Row => [`${operator}IfExists`, ['1'], undefined, true],
      ),
      ['StringEqualsIfExists', ['a'], 'b', false],
      ['StringEqualsIfExists', ['a'], 'a', true],
      ['StringEquals', ['a'], [], false],
      ['StringNotEquals', ['a'], [], true],
      ['Null', ['true'], undefined, true],
      ['Null', ['true'], [], true],
      ['Null', ['true'], 'x', false],
      ['Null', ['true'], '', false],
      ['Null', ['false'], undefined, false],
      ['Null', ['false'], 'x', true],
      ['Null', ['False'], 'x', true],
    ],
  ],
  [
    'keys of many values',
    [
      ['ForAnyValue:StringEquals', ['a', 'b'], ['b', 'c'], true],
      ['ForAnyValue:StringEquals', ['a', 'b'], ['c', 'd'], false],
      ['ForAnyValue:StringEquals', ['a', 'b'], 'a', true],
      ['ForAnyValue:StringEquals', ['a'], undefined, false],
      ['ForAnyValue:StringEquals', ['a'], [], false],
      ['ForAnyValue:StringEquals', [''], '', false],
      ['ForAnyValue:StringEqualsIfExists', ['a'], undefined, true],
      ['ForAnyValue:StringNotEquals', ['a', 'b'], ['a', 'b'], false],
      ['ForAnyValue:StringNotEquals', ['a', 'b'], ['a', 'c'], true],
      ['ForAnyValue:StringNotEquals', ['a', 'b'], undefined, false],
      ['ForAnyValue:StringLike', ['a*'], ['x', 'ab'], true],
      ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'b'], true],
      ['ForAllValues:StringEquals', ['a', 'b'], ['a'], true],
      ['ForAllValues:StringEquals', ['a', 'b'], ['a', 'c'], false],
      ['ForAllValues:StringEquals', ['a', 'b'], 'c', false],
      ['ForAllValues:StringEquals', ['a'], undefined, true],
      ['ForAllValues:StringEquals', ['a'], [], true],
      ['ForAllValues:StringEquals', ['a'], '', true],
      ['ForAllValues:StringNotEquals', ['a', 'b'], ['c', 'd'], true],
      ['ForAllValues:StringNotEquals', ['a', 'b'], ['b', 'd'], false],
      ['ForAllValues:StringNotEquals', ['a', 'b'], undefined, true],
      ['ForAllValues:NumericLessThan', ['5'], ['1', '4'], true],
      ['ForAllValues:NumericLessThan', ['5'], ['1', '5'], false],
      ['StringEquals', ['a'], ['b', 'a'], true],
      ['StringNotEquals', ['a'], ['b', 'a'], false],
      ['StringNotEquals', ['a'], ['b', 'c'], true],
    ],
  ],
];

describe.each(THEMES)('conditions on %s', (_, rows) => {
  it.each(rows)('%s %j against %j gives %s', (operator, values, actual, expected) => {
    expect(holds(operator, values, actual)).toBe(expected);
  });
});

test('every negated operator is the opposite of its positive form, for a key that is there', () => {
  const pairs = [
    ['StringEquals', 'StringNotEquals'],
    ['StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase'],
    ['StringLike', 'StringNotLike'],
    ['NumericEquals', 'NumericNotEquals'],
    ['DateEquals', 'DateNotEquals'],
    ['IpAddress', 'NotIpAddress'],
    ['ArnEquals', 'ArnNotEquals'],
    ['ArnLike', 'ArnNotLike'],
  ] as const;
  const texts = ['a', '1', '2026-07-01', '10.0.0.1', 'arn:aws:iam::111122223333:root', 'x*', ''];
  for (const [positive, negative] of pairs) {
    for (const value of texts) {
      for (const actual of texts) expect(holds(negative, [value], actual)).toBe(!holds(positive, [value], actual));
    }
  }
});

test('a context key is asked for once, and only when the condition is', () => {
  const asked: string[] = [];
  const condition = { ...parseOperator('StringEquals')!, key: 'aws:PrincipalTag/Team', values: ['red'] };
  const compiled = compileCondition(condition, 'Allow', true);
  expect(asked).toEqual([]);
  compiled.holds((key) => {
    asked.push(key);
    return 'red';
  });
  expect(asked).toEqual(['aws:principaltag/team']);
});
