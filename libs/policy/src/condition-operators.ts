import { compileAddressRanges } from './address-ranges';
import { compileArnPattern } from './arn-pattern';
import { plainText } from './variables';
import { anyOf, compilePattern, type TextTest } from './wildcard';

/**
 * What each condition operator means for one value of the request: whether it fits any of the expected ones.
 * Negated operators are the same test with `negated`. Source: IAM User Guide, "JSON policy elements: Condition operators".
 */
export interface OperatorMeaning {
  negated: boolean;
  /** Whether policy variables are replaced in the expected values. */
  variables: boolean;
  /** Prepares a test. `patterns` are of matchesPattern; where `variables` is false nothing in them is escaped. */
  prepare(patterns: readonly string[]): TextTest;
}

type Family = Pick<OperatorMeaning, 'prepare'> & { variables?: true };

const equal: Family = {
  variables: true,
  prepare: (patterns) => {
    const expected = new Set(patterns.map(plainText));
    return (actual) => expected.has(actual);
  },
};

const equalWithoutCase: Family = {
  variables: true,
  prepare: (patterns) => {
    const expected = new Set(patterns.map((pattern) => plainText(pattern).toLowerCase()));
    return (actual) => expected.has(actual.toLowerCase());
  },
};

const like: Family = { variables: true, prepare: (patterns) => anyOf(patterns.map(compilePattern)) };

const arn: Family = { variables: true, prepare: (patterns) => anyOf(patterns.map(compileArnPattern)) };

/** Not by an expression: that would look at each `=` of a long text again for each one before it. */
function withoutPadding(base64: string): string {
  let end = base64.length;
  while (base64[end - 1] === '=') end--;
  return base64.slice(0, end);
}

const binary: Family = {
  prepare: (values) => {
    const expected = new Set(values.map(withoutPadding));
    return (actual) => expected.has(withoutPadding(actual));
  },
};

const address: Family = { prepare: compileAddressRanges };

type Comparison = (actual: number, expected: number) => boolean;

const COMPARISONS: Record<string, Comparison> = {
  Equals: (actual, expected) => actual === expected,
  LessThan: (actual, expected) => actual < expected,
  LessThanEquals: (actual, expected) => actual <= expected,
  GreaterThan: (actual, expected) => actual > expected,
  GreaterThanEquals: (actual, expected) => actual >= expected,
};

/** What cannot be read is NaN, which no comparison holds for. */
const ordered = (read: (text: string) => number, compare: Comparison): Family => ({
  prepare: (values) => {
    const expected = values.map(read);
    return (actual) => {
      const value = read(actual);
      return expected.some((each) => compare(value, each));
    };
  },
});

export const readNumber = (text: string): number =>
  /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;

// The formats of the W3C note on ISO 8601; a time without zone is read as UTC.
const DATE = /^\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

/** Milliseconds since 1970 of an ISO 8601 date, or of epoch seconds (more or fewer digits than a year has). */
export function readDate(text: string): number {
  const date = DATE.exec(text);
  if (date) return Date.parse(text.includes('T') && date[1] === undefined ? `${text}Z` : text);
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Number.NaN;
}

const both = (name: string, positive: string, family: Family, not: string): [string, OperatorMeaning][] => [
  [`${name}${positive}`, { variables: false, ...family, negated: false }],
  [not, { variables: false, ...family, negated: true }],
];

const comparisons = (name: string, read: (text: string) => number): [string, OperatorMeaning][] => [
  ...Object.entries(COMPARISONS).map(([how, compare]): [string, OperatorMeaning] => [
    `${name}${how}`,
    { variables: false, ...ordered(read, compare), negated: false },
  ]),
  [`${name}NotEquals`, { variables: false, ...ordered(read, COMPARISONS['Equals']!), negated: true }],
];

/** Every operator but Null, which asks for no value. */
export const OPERATOR_MEANINGS: ReadonlyMap<string, OperatorMeaning> = new Map([
  ...both('String', 'Equals', equal, 'StringNotEquals'),
  ...both('String', 'EqualsIgnoreCase', equalWithoutCase, 'StringNotEqualsIgnoreCase'),
  ...both('String', 'Like', like, 'StringNotLike'),
  ...both('Arn', 'Equals', arn, 'ArnNotEquals'),
  ...both('Arn', 'Like', arn, 'ArnNotLike'),
  ...both('', 'IpAddress', address, 'NotIpAddress'),
  ...comparisons('Numeric', readNumber),
  ...comparisons('Date', readDate),
  ['Bool', { ...equalWithoutCase, variables: true, negated: false }],
  ['BinaryEquals', { ...binary, variables: false, negated: false }],
]);
