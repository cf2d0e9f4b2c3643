/** NATS subject filters: `*` stands for one token, `>` at the end for one or more. */

export const isExactSubject = (filter: string): boolean => !/(^|\.)(\*|>)(\.|$)/.test(filter);

/** A function that tells whether a subject matches. Every subject matches an undefined filter. */
export function subjectMatcher(filter: string | undefined): (subject: string) => boolean {
  if (filter === undefined) return () => true;
  if (isExactSubject(filter)) return (subject) => subject === filter;
  const wanted = filter.split('.');
  const openEnded = wanted.at(-1) === '>';
  const fixed = openEnded ? wanted.slice(0, -1) : wanted;
  return (subject) => {
    const tokens = subject.split('.');
    if (openEnded ? tokens.length <= fixed.length : tokens.length !== fixed.length) return false;
    return fixed.every((token, i) => token === '*' || token === tokens[i]);
  };
}
