import { ANY, findPiece, fitsAt, type Piece } from './find-piece';

/**
 * Whether `text` fits a policy pattern, where `*` stands for any characters, `?` for one, and `\` makes the next
 * character an ordinary one (policies have no such escape: see escapeBackslashes and escapeLiteral).
 * Both come from callers, so nothing here backtracks: the pieces between stars are looked for in order, each once.
 */
export const matchesPattern = (pattern: string, text: string): boolean => compilePieces(pattern)(text);

/** What is between two stars. */
function pieceOf(codes: readonly number[]): Piece {
  let run = '';
  let runAt = 0;
  for (let from = 0; from < codes.length; from++) {
    let to = from;
    while (to < codes.length && codes[to] !== ANY) to++;
    if (to - from > run.length) {
      run = codes
        .slice(from, to)
        .map((code) => String.fromCharCode(code))
        .join('');
      runAt = from;
    }
    from = to;
  }
  return { length: codes.length, codes, run, runAt };
}

/** Undefined for a pattern that ends in the middle of an escape: it fits nothing. */
function piecesOf(pattern: string): Piece[] | undefined {
  const pieces: Piece[] = [];
  let codes: number[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    if (character === '*') {
      pieces.push(pieceOf(codes));
      codes = [];
    } else if (character === '?') {
      codes.push(ANY);
    } else {
      if (character === '\\' && ++at === pattern.length) return undefined;
      codes.push(pattern.charCodeAt(at));
    }
  }
  pieces.push(pieceOf(codes));
  return pieces;
}

function compilePieces(pattern: string): TextTest {
  const pieces = piecesOf(pattern);
  if (!pieces) return () => false;
  const first = pieces.shift()!;
  const last = pieces.pop();
  if (!last) return (text) => text.length === first.length && fitsAt(first, text, 0);
  return (text) => {
    const end = text.length - last.length;
    let from = first.length;
    if (from > end || !fitsAt(first, text, 0) || !fitsAt(last, text, end)) return false;
    for (const piece of pieces) {
      const start = findPiece(piece, text, from);
      if (start < 0) return false;
      from = start + piece.length;
    }
    return from <= end;
  };
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
  const rest = compilePieces(tail);
  return (text) => text.startsWith(literal) && rest(text.slice(literal.length));
}
