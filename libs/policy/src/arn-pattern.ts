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
  const tests = parts.map(compilePattern);
  return (text) => {
    let from = 0;
    for (let part = 0; part < PARTS - 1; part++) {
      const colon = text.indexOf(':', from);
      if (colon < 0 || !tests[part]!(text.slice(from, colon))) return false;
      from = colon + 1;
    }
    return tests[PARTS - 1]!(text.slice(from));
  };
}

/** At its colons, which those in the value of a variable (escaped) are not. */
const PART = String.raw`((?:[^:\\]|\\.)*)`;
const SPLIT = new RegExp(`^${`${PART}:`.repeat(PARTS - 1)}(.*)$`, 's');

const splitArn = (pattern: string): string[] | undefined => {
  const [, ...parts] = SPLIT.exec(pattern) ?? [];
  return parts[0] === 'arn' ? parts : undefined;
};
