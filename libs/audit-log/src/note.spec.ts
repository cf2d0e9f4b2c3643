import fc from 'fast-check';
import { encodeNote, parseNote, signNote, verifyNote } from './note';
import { parseSignerKey, parseVerifierKey, signerKey, signWith } from './note-key';
import { MalformedError, NotProvedError } from './proof-errors';

/** Of golang.org/x/mod/sumdb/note, note_test.go. */
const PETER = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
const PETER_SECRET = parseSignerKey('PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz');
const ENOCH = parseVerifierKey('EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop');
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const BY_PETER =
  '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const BY_ENOCH =
  '\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';

const noteOf = (text: string) => parseNote(Buffer.from(text, 'utf8'));

describe('a note', () => {
  it('of C2SP signed-note verifies', () => {
    const key = parseVerifierKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
    const note = noteOf(
      'This is an example message.\n\n' +
        '\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n',
    );
    expect(note.text).toBe('This is an example message.\n');
    expect(verifyNote(note, [key])).toEqual([key]);
  });

  it('of C2SP signed-note is split at its last empty line', () => {
    const text = 'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n';
    const line =
      '\u2014 quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';
    const note = noteOf(`${text}\n${line}`);
    expect(note.text).toBe(text);
    expect(note.signatures).toMatchObject([{ name: 'quasimodo.example/salvatore', keyId: 0x367ba04b }]);
    expect(encodeNote(note).toString('utf8')).toBe(`${text}\n${line}`);
  });

  it('is signed as golang.org/x/mod signs it, byte for byte', async () => {
    const signature = await signNote(TEXT, PETER, (message) => signWith(PETER_SECRET, message));
    expect(encodeNote({ text: TEXT, signatures: [signature] }).toString('utf8')).toBe(`${TEXT}\n${BY_PETER}`);
  });

  it('is believed when one known key has signed it, and says which ones have', () => {
    const note = noteOf(`${TEXT}\n${BY_PETER}${BY_ENOCH}`);
    expect(verifyNote(note, [PETER])).toEqual([PETER]);
    expect(verifyNote(note, [ENOCH, PETER])).toEqual([ENOCH, PETER]);
    expect(() => verifyNote(note, [])).toThrow(NotProvedError);
    expect(() => verifyNote(noteOf(`${TEXT}\n${BY_ENOCH}`), [PETER])).toThrow(
      'the note is not signed by PeterNeumann+c74f20a3',
    );
  });

  it('is not believed when a known key has a line that it did not sign, whoever else has signed', () => {
    const changed = `${BY_ENOCH.slice(0, 60)}ABCD${BY_ENOCH.slice(64)}`;
    for (const lines of [changed + BY_PETER, BY_PETER + changed, BY_ENOCH + changed]) {
      expect(() => verifyNote(noteOf(`${TEXT}\n${lines}`), [PETER, ENOCH])).toThrow(
        'the signature of EnochRoot+af0cfe78 does not fit the note',
      );
    }
    expect(verifyNote(noteOf(`${TEXT}\n${changed}${BY_PETER}`), [PETER])).toEqual([PETER]);
    expect(() => verifyNote(noteOf(`${TEXT} \n\n${BY_PETER}`), [PETER])).toThrow('does not fit the note');
  });

  it('takes a key of the same name, or the same id alone, for another one', () => {
    const otherName = BY_PETER.replace('PeterNeumann', 'CarmenSandiego');
    const otherId = BY_PETER.replace('x08g', 'xxxx');
    for (const line of [otherName, otherId]) {
      expect(() => verifyNote(noteOf(`${TEXT}\n${line}`), [PETER])).toThrow('the note is not signed by');
    }
  });

  it.each([
    // Those of note_test.go first.
    [TEXT, 'an empty line between'],
    [`${TEXT}\n`, 'a note has at least one signature'],
    [`${TEXT}\n${BY_PETER.slice(0, -1)}`, 'ends in a newline'],
    [`\x01${TEXT}\n${BY_PETER}`, 'no control characters'],
    [`${TEXT}\n${BY_PETER.replace('PeterNeumann', 'Bad Name')}`, 'signature line 1 of the note does not end in base64'],
    [`${TEXT}\n${BY_PETER}Unexpected line.\n`, 'signature line 2 of the note does not start with an em dash'],
    [`${TEXT}\n${BY_PETER.repeat(101)}`, 'at most 100 signatures'],
    [`${TEXT}\r\n\n${BY_PETER}`, 'no control characters'],
    [`${TEXT}\n\u2014 \n`, 'is not a name, a space and base64'],
    [`${TEXT}\n\u2014  AAAAAAA=\n`, 'has no name'],
    [`${TEXT}\n\u2014 a+b AAAAAAA=\n`, 'has no name, or one with white space or a plus'],
    [`${TEXT}\n\u2014 a AAAAAA==\n`, 'too short for a key id and a signature'],
    [`${TEXT}\n\u2014 a AAAAAAB=\n`, 'does not end in base64'],
    [`${TEXT}\n\u2014 a AAAAAAA\n`, 'does not end in base64'],
    [`${TEXT}\n\u2014 a \n`, 'too short'],
    ['', 'an empty line between'],
    ['\n'.repeat(1024 * 1024), 'a note has at least one signature'],
    ['\n'.repeat(1024 * 1024 + 1), 'at most 1048576 bytes'],
  ])('%# is refused for what is wrong with it', (text, message) => {
    expect(() => noteOf(text)).toThrow(MalformedError);
    expect(() => noteOf(text)).toThrow(message);
  });

  it('is in UTF-8, and a byte order mark is part of it', () => {
    expect(() => parseNote(Buffer.from(`\xff${TEXT}\n${BY_PETER}`, 'latin1'))).toThrow('a note is in UTF-8');
    expect(noteOf(`\ufeff${TEXT}\n${BY_PETER}`).text).toBe(`\ufeff${TEXT}`);
  });

  it('is read and written back, or refused, whatever the bytes', () => {
    const names = fc.constantFrom('a', 'a b', '', 'x/y', 'a+b', '\u00a0');
    const lines = fc.tuple(names, fc.base64String()).map(([name, base64]) => `\u2014 ${name} ${base64}\n`);
    const notes = fc
      .tuple(fc.string(), fc.array(lines))
      .map(([text, all]) => Buffer.from(`${text}\n\n${all.join('')}`));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), notes), (bytes) => {
        try {
          expect(encodeNote(parseNote(bytes))).toEqual(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('signing a note', () => {
  it('gives no signature that is not of the key', async () => {
    const other = signerKey('PeterNeumann', Buffer.alloc(32, 7));
    await expect(signNote(TEXT, PETER, (message) => signWith(other, message))).rejects.toThrow(
      'what was signed is not signed by PeterNeumann+c74f20a3',
    );
    await expect(signNote(TEXT, PETER, async () => Buffer.alloc(3))).rejects.toThrow(NotProvedError);
  });

  it('is refused for what is not the text of a note, and for a witness', async () => {
    const sign = (message: Uint8Array) => signWith(PETER_SECRET, message);
    for (const text of ['', 'no newline', 'a\tb\n', '\ud800\n']) {
      await expect(signNote(text, PETER, sign)).rejects.toThrow(RangeError);
      expect(() => encodeNote({ text, signatures: [] })).toThrow(RangeError);
    }
    await expect(signNote(TEXT, { ...PETER, type: 'cosignature' }, sign)).rejects.toThrow('does not sign notes');
    const signature = { name: 'a b', keyId: 1, signature: Buffer.alloc(1) };
    expect(() => encodeNote({ text: TEXT, signatures: [signature] })).toThrow('the name of a key');
  });
});
