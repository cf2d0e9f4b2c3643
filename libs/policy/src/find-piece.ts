/** In a piece, a character that may be any. */
export const ANY = -1;

/** A fixed run of characters to be looked for, some of which may be any. */
export interface Piece {
  /** Of UTF-16; ANY for one that may be any. */
  codes: readonly number[];
  length: number;
  /** Its longest run without ANY, and where in it that is. */
  run: string;
  runAt: number;
}

/** A piece that is there is most often found in as many tries. */
const TRIES = 16;
const WORD = 32;

/**
 * Where the piece fits first, from `from` on; -1 if nowhere. Callers write both: with a policy of thousands of `*aa?b*` and a
 * text of nothing but `a`, each character of one would be compared with each of the other. So after a few tries all places are
 * looked at together, a bit each (Baeza-Yates and Gonnet, "A New Approach to Text Searching", 1992: shift-and).
 */
export function findPiece(piece: Piece, text: string, from: number): number {
  const { length, run, runAt } = piece;
  let start = from;
  for (let tries = 0; tries < TRIES; tries++) {
    const found = text.indexOf(run, start + runAt);
    if (found < 0) return -1;
    start = found - runAt;
    if (start + length > text.length) return -1;
    if (fitsAt(piece, text, start)) return start;
    start++;
  }
  return length <= WORD ? byWord(piece, text, start) : byWords(piece, text, start);
}

export function fitsAt({ codes, length, run, runAt }: Piece, text: string, start: number): boolean {
  if (start < 0 || start + length > text.length || !text.startsWith(run, start + runAt)) return false;
  if (run.length === length) return true;
  for (let at = 0; at < length; at++) {
    if (codes[at] !== ANY && codes[at] !== text.charCodeAt(start + at)) return false;
  }
  return true;
}

const ASCII = 128;
/** Written anew by each call, which is synchronous. */
const masks = new Int32Array(ASCII);

/** A piece of at most a word's bits. Bit n is set while the piece's first n + 1 characters fit up to here. */
function byWord({ codes, length }: Piece, text: string, from: number): number {
  let any = 0;
  for (let at = 0; at < length; at++) if (codes[at] === ANY) any |= 1 << at;
  masks.fill(any);
  const others = new Map<number, number>();
  for (let at = 0; at < length; at++) {
    const code = codes[at]!;
    if (code >= ASCII) others.set(code, (others.get(code) ?? any) | (1 << at));
    else if (code !== ANY) masks[code]! |= 1 << at;
  }
  const whole = 1 << (length - 1);
  for (let at = from, fits = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    fits = ((fits << 1) | 1) & (code < ASCII ? masks[code]! : (others.get(code) ?? any));
    if ((fits & whole) !== 0) return at - length + 1;
  }
  return -1;
}

/** The same for one of any length. */
function byWords({ codes, length }: Piece, text: string, from: number): number {
  const words = Math.ceil(length / WORD);
  const any = new Uint32Array(words);
  for (let at = 0; at < length; at++) if (codes[at] === ANY) any[at >>> 5]! |= 1 << (at & 31);
  const maskOf = new Map<number, Uint32Array>();
  for (let at = 0; at < length; at++) {
    const code = codes[at]!;
    if (code === ANY) continue;
    const mask = maskOf.get(code) ?? any.slice();
    mask[at >>> 5]! |= 1 << (at & 31);
    maskOf.set(code, mask);
  }
  const fits = new Uint32Array(words);
  const whole = 1 << ((length - 1) & 31);
  for (let at = from; at < text.length; at++) {
    const mask = maskOf.get(text.charCodeAt(at)) ?? any;
    let carried = 1;
    for (let word = 0; word < words; word++) {
      const before = fits[word]!;
      fits[word] = ((before << 1) | carried) & mask[word]!;
      carried = before >>> 31;
    }
    if ((fits[words - 1]! & whole) !== 0) return at - length + 1;
  }
  return -1;
}
