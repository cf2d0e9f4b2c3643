import { escapeBackslashes, escapeLiteral } from './wildcard';

/**
 * A text of a policy with its variables: parts in order, literal ones as patterns of matchesPattern.
 * `${*}`, `${?}` and `${$}` are literal already. Source: IAM User Guide, "Policy elements: Variables and tags".
 */
export type Template = readonly (string | Variable)[];

export interface Variable {
  /** The context key in lower case. */
  key: string;
  /** Stands in where the request lacks the key. */
  fallback?: string;
}

/** Looks a context key (lower case) up; undefined where the request has none. */
export type ContextLookup = (key: string) => string | readonly string[] | undefined;

const VARIABLE = /\$\{(?:([*?$])|([\w.:/+=@-]+)(?:\s*,\s*'([^'{}]*)')?)\}/gy;

/** Reads the variables of a text, or tells the piece that starts like a variable and is none. */
export function parseTemplate(text: string): { template: Template } | { fault: string } {
  const template: (string | Variable)[] = [];
  let literal = '';
  for (let at = 0; at < text.length; ) {
    const start = text.indexOf('${', at);
    literal += escapeBackslashes(text.slice(at, start < 0 ? text.length : start));
    if (start < 0) break;
    VARIABLE.lastIndex = start;
    const [whole, symbol, key, fallback] = VARIABLE.exec(text) ?? [];
    if (whole === undefined) return { fault: text.slice(start, start + 64) };
    if (symbol !== undefined) {
      literal += escapeLiteral(symbol);
    } else {
      if (literal !== '') template.push(literal);
      literal = '';
      template.push({ key: key!.toLowerCase(), ...(fallback === undefined ? {} : { fallback }) });
    }
    at = start + whole.length;
  }
  if (literal !== '' || template.length === 0) template.push(literal);
  return { template };
}

/**
 * The text as a template. Without `variables` (Version 2008-10-17), and where it is no valid template, it stands for
 * itself: the parser refuses the latter, but what was stored before it did must still be read.
 */
export function templateOf(text: string, variables: boolean): Template {
  const parsed = variables ? parseTemplate(text) : { fault: text };
  return 'template' in parsed ? parsed.template : [escapeBackslashes(text)];
}

export const hasVariables = (template: Template): boolean => template.some((part) => typeof part !== 'string');

/**
 * The pattern with its variables replaced: values from the request match only themselves. Undefined where the request
 * lacks a key without fallback, or has many values of it: then the text fits nothing.
 */
export function resolveTemplate(template: Template, context: ContextLookup): string | undefined {
  let pattern = '';
  for (const part of template) {
    if (typeof part === 'string') {
      pattern += part;
      continue;
    }
    const value = context(part.key);
    const single = typeof value === 'string' ? value : value?.length === 1 ? value[0] : undefined;
    if (single === undefined && (part.fallback === undefined || value !== undefined)) return undefined;
    pattern += escapeLiteral(single ?? part.fallback!);
  }
  return pattern;
}

/** A resolved pattern as the text it stands for, where wildcards are ordinary characters (StringEquals). */
export const plainText = (pattern: string): string => pattern.replace(/\\(.)/gs, '$1');
