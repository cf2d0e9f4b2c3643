import { decodeBase64 } from './base64';
import { isKeyName, isSignedBy, keyLabel, type VerifierKey } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';

/** A signature line of a note: `— <name> <base64 of key id and signature>`. */
export interface NoteSignature {
  name: string;
  keyId: number;
  /** In the form of the key's signature type; not empty. */
  signature: Buffer;
}

/**
 * A text with signatures under it (C2SP signed-note, "Format"): the text, which ends in a newline, an empty line, and one
 * or more signature lines. No part of it is to be believed before a signature is verified.
 */
export interface SignedNote {
  text: string;
  signatures: NoteSignature[];
}

/** Signs a message, wherever the key is kept: 64 bytes of Ed25519 (RFC 8032). */
export type Sign = (message: Uint8Array) => Uint8Array | Promise<Uint8Array>;

const MAX_NOTE_LENGTH = 1024 * 1024;
const MAX_SIGNATURES = 100;
const KEY_ID_LENGTH = 4;
const LINE_START = '\u2014 ';

/** Reads a note of at most 1 MiB and 100 signatures. Throws MalformedError. */
export function parseNote(bytes: Uint8Array): SignedNote {
  const note = decodeNoteText(bytes);
  const separator = note.lastIndexOf('\n\n');
  if (separator < 0) throw new MalformedError('a note has an empty line between its text and its signatures');
  const lines = note.slice(separator + 2).split('\n');
  if (lines.pop() !== '') throw new MalformedError('a note ends in a newline');
  if (lines.length === 0) throw new MalformedError('a note has at least one signature');
  if (lines.length > MAX_SIGNATURES) throw new MalformedError(`a note has at most ${MAX_SIGNATURES} signatures`);
  return { text: note.slice(0, separator + 1), signatures: lines.map(parseSignatureLine) };
}

/** The bytes of a note. Throws RangeError for a text or signature that `parseNote` would not give back. */
export function encodeNote({ text, signatures }: SignedNote): Buffer {
  if (!isNoteText(text)) throw new RangeError('the text of a note ends in a newline and has no control characters');
  const lines = signatures.map(({ name, keyId, signature }) => {
    if (!isKeyName(name)) throw new RangeError('the name of a key is not empty, and has no white space and no plus');
    const id = Buffer.alloc(KEY_ID_LENGTH);
    id.writeUInt32BE(keyId);
    return `${LINE_START}${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
  });
  return Buffer.from(`${text}\n${lines.join('')}`, 'utf8');
}

/**
 * Signs a text as `key`, by Ed25519 over the text (C2SP signed-note, "Ed25519 signatures"). Throws RangeError for a text
 * that is not a note's, and NotProvedError where `sign` has given what is not a signature of this key.
 */
export async function signNote(text: string, key: VerifierKey, sign: Sign): Promise<NoteSignature> {
  if (key.type !== 'note') throw new RangeError(`${keyLabel(key)} does not sign notes`);
  if (!isNoteText(text)) throw new RangeError('the text of a note ends in a newline and has no control characters');
  const message = Buffer.from(text, 'utf8');
  const signature = Buffer.from(await sign(message));
  if (!isSignedBy(key, message, signature))
    throw new NotProvedError(`what was signed is not signed by ${keyLabel(key)}`);
  return { name: key.name, keyId: key.id, signature };
}

/**
 * The keys, out of `keys`, that have signed the note; at least one. A signature by any other key is passed over. Throws
 * NotProvedError where a key of these has a line that it did not sign, or where none of them has one.
 */
export function verifyNote(note: SignedNote, keys: readonly VerifierKey[]): VerifierKey[] {
  const message = Buffer.from(note.text, 'utf8');
  const signers = keys.filter((key) => {
    const signatures = key.type === 'note' ? signaturesBy(key, note) : [];
    if (!signatures.every(({ signature }) => isSignedBy(key, message, signature))) {
      throw new NotProvedError(`the signature of ${keyLabel(key)} does not fit the note`);
    }
    return signatures.length > 0;
  });
  if (signers.length === 0) throw new NotProvedError(`the note is not signed by ${keys.map(keyLabel).join(' or ')}`);
  return signers;
}

/** The signatures that say they are by this key. */
export const signaturesBy = ({ name, id }: VerifierKey, { signatures }: SignedNote): NoteSignature[] =>
  signatures.filter((signature) => signature.name === name && signature.keyId === id);

function decodeNoteText(bytes: Uint8Array): string {
  if (bytes.length > MAX_NOTE_LENGTH) throw new MalformedError(`a note has at most ${MAX_NOTE_LENGTH} bytes`);
  const note = decodeUtf8('a note', bytes);
  if (CONTROL.test(note)) throw new MalformedError('a note has no control characters other than newlines');
  return note;
}

/** The text of UTF-8, a byte order mark being part of it. Throws MalformedError. */
export function decodeUtf8(what: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new MalformedError(`${what} is in UTF-8`);
  }
}

const CONTROL = /[\0-\t\v-\x1f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

const isNoteText = (text: string): boolean => text.endsWith('\n') && !CONTROL.test(text) && !LONE_SURROGATE.test(text);

function parseSignatureLine(line: string, at: number): NoteSignature {
  const which = `signature line ${at + 1} of the note`;
  if (!line.startsWith(LINE_START)) throw new MalformedError(`${which} does not start with an em dash and a space`);
  const space = line.indexOf(' ', LINE_START.length);
  if (space < 0) throw new MalformedError(`${which} is not a name, a space and base64`);
  const name = line.slice(LINE_START.length, space);
  if (!isKeyName(name)) throw new MalformedError(`${which} has no name, or one with white space or a plus`);
  const bytes = decodeBase64(line.slice(space + 1));
  if (!bytes) throw new MalformedError(`${which} does not end in base64`);
  if (bytes.length <= KEY_ID_LENGTH) throw new MalformedError(`${which} is too short for a key id and a signature`);
  return { name, keyId: bytes.readUInt32BE(), signature: bytes.subarray(KEY_ID_LENGTH) };
}
