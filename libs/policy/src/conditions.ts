const COMPARISONS = ['Equals', 'NotEquals', 'LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals'];

/** IAM's condition operators without their set prefix and IfExists suffix. */
const OPERATORS = new Set([
  ...['Equals', 'NotEquals', 'EqualsIgnoreCase', 'NotEqualsIgnoreCase', 'Like', 'NotLike'].map((how) => `String${how}`),
  ...COMPARISONS.map((how) => `Numeric${how}`),
  ...COMPARISONS.map((how) => `Date${how}`),
  ...['Equals', 'Like', 'NotEquals', 'NotLike'].map((how) => `Arn${how}`),
  'Bool',
  'BinaryEquals',
  'IpAddress',
  'NotIpAddress',
  'Null',
]);

export interface Condition {
  /** Without prefix and suffix: `StringEquals`. */
  operator: string;
  /** How a context key with many values is compared. */
  set?: 'ForAnyValue' | 'ForAllValues';
  ifExists: boolean;
  /** The context key as written; keys are compared without case. */
  key: string;
  /** Any of them may match. Numbers and booleans are kept as text. */
  values: string[];
}

/** Splits `ForAnyValue:StringLikeIfExists`, or undefined where that is no operator. */
export function parseOperator(text: string): Pick<Condition, 'operator' | 'set' | 'ifExists'> | undefined {
  const [, set, rest] = /^(?:(ForAnyValue|ForAllValues):)?(\w+)$/.exec(text) ?? [];
  if (rest === undefined) return undefined;
  const ifExists = rest.endsWith('IfExists');
  const operator = ifExists ? rest.slice(0, -'IfExists'.length) : rest;
  // Null asks whether the key exists, so a variant "if it exists" would mean nothing.
  if (!OPERATORS.has(operator) || (operator === 'Null' && ifExists)) return undefined;
  return { operator, ifExists, ...(set === 'ForAnyValue' || set === 'ForAllValues' ? { set } : {}) };
}

/** `aws:SourceIp`, `kms:EncryptionContext:App Name`, `token.example.com:sub`. */
export const isContextKey = (key: string): boolean => /^[\w./-]+:.+$/s.test(key);
