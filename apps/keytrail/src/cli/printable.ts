/**
 * What a terminal obeys rather than shows (Unicode's categories Cc and Cf: escape sequences, changes of direction; surrogates alone) and what it
 * takes for an end of the line, but for the line feeds and tabs of our own layout.
 */
const OBEYED = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/**
 * The text as it may be printed: descriptions, tags and policies are whatever somebody put there, and must not be able to
 * rewrite what this program says of them. As JSON escapes, which leave JSON what it is.
 */
export const printable = (text: string): string =>
  text.replace(OBEYED, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
