import { OPERATOR_MEANINGS } from './condition-operators';
import type { Condition } from './conditions';
import { type ContextLookup, hasVariables, resolveTemplate, templateOf } from './variables';
import type { TextTest } from './wildcard';

/** A condition ready to be asked; `condition` is what was written, for explanations. */
export interface CompiledCondition {
  readonly condition: Condition;
  holds(context: ContextLookup): boolean;
}

/**
 * `variables`: whether the policy's version has them; texts that are no valid variable stand for themselves. A value
 * whose variable the request lacks fits nothing, and makes a negated operator false in an Allow: it errs against the caller.
 */
export function compileCondition(
  condition: Condition,
  effect: 'Allow' | 'Deny',
  variables: boolean,
): CompiledCondition {
  const key = condition.key.toLowerCase();
  if (condition.operator === 'Null') {
    const wanted = new Set(condition.values.map((value) => value.toLowerCase()));
    return { condition, holds: (context) => wanted.has(String(isAbsent(context(key)))) };
  }
  const { negated, variables: replaced, prepare } = OPERATOR_MEANINGS.get(condition.operator)!;
  const whenAbsent = condition.ifExists || (condition.set === undefined ? negated : condition.set === 'ForAllValues');
  const prepared = replaced
    ? prepareWithVariables(condition.values, variables, prepare)
    : { constant: prepare(condition.values) };
  const matches = QUANTIFIERS[condition.set ?? 'none'];
  return {
    condition,
    holds: (context) => {
      const actual = context(key);
      if (actual === undefined || isEmpty(actual, condition.set !== undefined)) return whenAbsent;
      if ('constant' in prepared) return matches(actual, prepared.constant, negated);
      const { test, complete } = prepared.resolve(context);
      return (complete || !negated || effect === 'Deny') && matches(actual, test, negated);
    },
  };
}

type Actual = string | readonly string[];

const isAbsent = (actual: Actual | undefined): boolean => actual === undefined || isEmpty(actual, false);

/** The set operators count an empty text as no value at all, the others as a value. */
const isEmpty = (actual: Actual, inSet: boolean): boolean =>
  typeof actual === 'string' ? inSet && actual === '' : actual.every((each) => inSet && each === '');

/**
 * Without a set operator a key of many values fits where any of them does, and a negated operator holds where none
 * fits; AWS leaves this case open.
 */
const QUANTIFIERS: Record<
  'none' | 'ForAnyValue' | 'ForAllValues',
  (actual: Actual, test: TextTest, negated: boolean) => boolean
> = {
  none: (actual, test, negated) => (typeof actual === 'string' ? test(actual) : actual.some(test)) !== negated,
  ForAnyValue: (actual, test, negated) =>
    typeof actual === 'string' ? test(actual) !== negated : actual.some((each) => test(each) !== negated),
  ForAllValues: (actual, test, negated) =>
    typeof actual === 'string' ? test(actual) !== negated : actual.every((each) => test(each) !== negated),
};

type Prepared = { constant: TextTest } | { resolve: (context: ContextLookup) => { test: TextTest; complete: boolean } };

function prepareWithVariables(
  values: readonly string[],
  variables: boolean,
  prepare: (patterns: readonly string[]) => TextTest,
): Prepared {
  const templates = values.map((value) => templateOf(value, variables));
  if (!templates.some(hasVariables)) return { constant: prepare(templates.map((template) => template.join(''))) };
  return {
    resolve: (context) => {
      const patterns = templates.flatMap((template) => resolveTemplate(template, context) ?? []);
      return { test: prepare(patterns), complete: patterns.length === templates.length };
    },
  };
}
