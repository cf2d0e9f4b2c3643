import { compilePattern, type TextTest } from './wildcard';

/** `arn:partition:service:region:account:resource`; the last part keeps its own colons. */
const PARTS = 6;

/**
 * Tests ARNs against a pattern (of matchesPattern) part by part, so that a wildcard never reaches over a colon but in
 * the resource. The pattern `*` fits everything; any other that is no ARN fits nothing.
 * Source: IAM User Guide, "ARN condition operators" and "JSON policy elements: Resource".
 */
export function compileArnPattern(pattern: string): TextTest {
  if (pattern === '*') return () => true;
  const parts = splitArn(pattern);
  if (parts === undefined) return () => false;
  if (!/[*?\\]/.test(pattern)) return (text) => text === pattern;
  const tests = parts.map(partTest);
  const last = tests.pop()!;
  return (text) => {
    let from = 0;
    for (const test of tests) {
      const colon = text.indexOf(':', from);
      if (colon < 0 || !test(text, from, colon)) return false;
      from = colon + 1;
    }
    return last(text, from, text.length);
  };
}

/** Tests the piece of a text from `from` up to `to`: without cutting it out, where the pattern is `*` or plain. */
type PartTest = (text: string, from: number, to: number) => boolean;

function partTest(pattern: string): PartTest {
  if (pattern === '*') return () => true;
  if (!/[*?\\]/.test(pattern)) {
    return (text, from, to) => to - from === pattern.length && text.startsWith(pattern, from);
  }
  const test = compilePattern(pattern);
  return (text, from, to) => test(text.slice(from, to));
}

/** At its colons, which those in the value of a variable (escaped) are not. */
const PART = String.raw`((?:[^:\\]|\\.)*)`;
const SPLIT = new RegExp(`^${`${PART}:`.repeat(PARTS - 1)}(.*)$`, 's');

const splitArn = (pattern: string): string[] | undefined => {
  const [, ...parts] = SPLIT.exec(pattern) ?? [];
  return parts[0] === 'arn' ? parts : undefined;
};
