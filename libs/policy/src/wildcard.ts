/**
 * Whether `text` fits a policy pattern, where `*` stands for any characters, `?` for one, and `\` makes the next
 * character an ordinary one (policies have no such escape: see escapeBackslashes and escapeLiteral).
 * Linear in memory and at worst pattern times text in steps: patterns come from callers, so nothing here backtracks.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let read = 0;
  while (read < text.length) {
    const wanted = pattern[at];
    if (wanted === '*') {
      star = at++;
      resume = read;
    } else if (wanted === '\\' && pattern[at + 1] === text[read]) {
      at += 2;
      read++;
    } else if (wanted === '?' || (wanted !== '\\' && wanted === text[read])) {
      at++;
      read++;
    } else if (star >= 0) {
      at = star + 1;
      read = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}

/** The same for a pattern as policies write it, in which a backslash means itself. */
export const matchesWildcard = (pattern: string, text: string): boolean =>
  matchesPattern(escapeBackslashes(pattern), text);

/** A pattern as policies write it, for matchesPattern. */
export const escapeBackslashes = (pattern: string): string => pattern.replaceAll('\\', '\\\\');

/** A pattern that fits this text alone: what a request says must act neither as a wildcard nor as the colon of an ARN. */
export const escapeLiteral = (text: string): string => (/[*?:\\]/.test(text) ? text.replace(/[*?:\\]/g, '\\$&') : text);

export type TextTest = (text: string) => boolean;

/** Whether any of the tests holds. */
export function anyOf(tests: readonly TextTest[]): TextTest {
  const [only] = tests;
  if (only !== undefined && tests.length === 1) return only;
  return (text) => {
    for (const test of tests) if (test(text)) return true;
    return false;
  };
}

const everything: TextTest = () => true;

/** matchesPattern with the pattern prepared: most patterns of policies are `*`, one text, or a text and a `*`. */
export function compilePattern(pattern: string): TextTest {
  if (/^\*+$/.test(pattern)) return everything;
  const [, head = '', tail = ''] = /^((?:[^*?\\]|\\.)*)(.*)$/s.exec(pattern)!;
  const literal = head.replace(/\\(.)/gs, '$1');
  if (tail === '') return (text) => text === literal;
  if (tail === '*') return (text) => text.startsWith(literal);
  return (text) => text.startsWith(literal) && matchesPattern(tail, text.slice(literal.length));
}
