import type { NamedIds } from '#domain/named-ids';
import { compileArnPattern } from './arn-pattern';
import { type CompiledCondition, compileCondition } from './compiled-condition';
import type { Listed, PolicyDocument, Statement } from './document';
import type { PolicyKind } from './grammar';
import { type CompiledPrincipals, compilePrincipals } from './principals';
import { type ContextLookup, hasVariables, resolveTemplate, templateOf } from './variables';
import { anyOf, compilePattern, escapeBackslashes, type TextTest } from './wildcard';

/** A policy with its matchers prepared; they are made once for each version of its text. */
export interface CompiledPolicy {
  readonly kind: PolicyKind;
  readonly statements: readonly CompiledStatement[];
  /** Whom its ARNs meant when it was put; what is not recorded goes by the ARN alone. */
  readonly namedIds: NamedIds | undefined;
}

export interface CompiledStatement {
  /** Its place in the policy, from 0. */
  readonly index: number;
  readonly sid?: string;
  readonly effect: 'Allow' | 'Deny';
  /** Absent: the policy belongs to its principal. */
  readonly principals?: CompiledPrincipals;
  /** Takes the action in lower case. */
  readonly fitsAction: TextTest;
  readonly fitsResource: (resource: string, context: ContextLookup) => boolean;
  readonly conditions: readonly CompiledCondition[];
  /** As it was written, for explanations. */
  readonly written: Statement;
}

export function compilePolicy(document: PolicyDocument, namedIds?: NamedIds): CompiledPolicy {
  const variables = document.version === '2012-10-17';
  return {
    kind: document.kind,
    statements: document.statements.map((statement, index) => compileStatement(statement, index, document, variables)),
    namedIds,
  };
}

function compileStatement(
  written: Statement,
  index: number,
  { kind }: PolicyDocument,
  variables: boolean,
): CompiledStatement {
  const { sid, effect, principal, action, resource, conditions } = written;
  return {
    index,
    ...(sid === undefined ? {} : { sid }),
    effect,
    ...(principal ? { principals: compilePrincipals(principal) } : {}),
    fitsAction: compileActions(action),
    // A trust policy is about its role alone.
    fitsResource: kind === 'trust' ? () => true : compileResources(resource, effect, variables),
    conditions: conditions.map((condition) => compileCondition(condition, effect, variables)),
    written,
  };
}

function compileActions(listed: Listed<string[]> | undefined): TextTest {
  if (listed === undefined) return () => false;
  const patterns = listed.of.map((action) => action.toLowerCase());
  const exact = new Set(patterns.filter((pattern) => !/[*?]/.test(pattern)));
  const tests = patterns
    .filter((pattern) => !exact.has(pattern))
    .map((each) => compilePattern(escapeBackslashes(each)));
  const { not } = listed;
  if (tests.length === 0) return (action) => exact.has(action) !== not;
  const any = anyOf(tests);
  return (action) => (exact.has(action) || any(action)) !== not;
}

function compileResources(
  listed: Listed<string[]> | undefined,
  effect: 'Allow' | 'Deny',
  variables: boolean,
): (resource: string, context: ContextLookup) => boolean {
  if (listed === undefined) return () => false;
  const templates = listed.of.map((text) => templateOf(text, variables));
  const constant = templates.filter((each) => !hasVariables(each)).map((each) => compileArnPattern(each.join('')));
  const variable = templates.filter(hasVariables);
  const { not } = listed;
  const any = anyOf(constant);
  if (variable.length === 0) return (resource) => any(resource) !== not;
  return (resource, context) => {
    const patterns = variable.map((template) => resolveTemplate(template, context));
    // A value the request lacks fits nothing, which under NotResource must not allow everything.
    if (not && effect === 'Allow' && patterns.includes(undefined)) return false;
    const fits = (pattern: string | undefined) => pattern !== undefined && compileArnPattern(pattern)(resource);
    return (any(resource) || patterns.some(fits)) !== not;
  };
}
