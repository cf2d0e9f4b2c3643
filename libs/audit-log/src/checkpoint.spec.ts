import fc from 'fast-check';
import { encodeCheckpoint, openCheckpoint, parseCheckpoint } from './checkpoint';
import { encodeNote, signNote } from './note';
import { parseVerifierKey, signerKey, signWith } from './note-key';
import { MalformedError } from './proof-errors';
import { flipBit } from './reference-tree.suite';

const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';

/** Signed by sum.golang.org, the checksum database of Go. */
const SUM_DB = parseVerifierKey('sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8');
const SUM_DB_NOTE = Buffer.from(
  'go.sum database tree\n6476701\nmb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=\n\n' +
    '\u2014 sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=\n',
);

describe('a checkpoint', () => {
  // The example of C2SP tlog-checkpoint.
  it('is read and written back', () => {
    const text = `example.com/behind-the-sofa\n20852163\n${ROOT}\n`;
    const checkpoint = parseCheckpoint(text);
    expect(checkpoint).toEqual({
      origin: 'example.com/behind-the-sofa',
      size: 20852163,
      root: Buffer.from(ROOT, 'base64'),
      extensions: [],
    });
    expect(encodeCheckpoint(checkpoint)).toBe(text);
    expect(parseCheckpoint(`${text}one\ntwo\n`).extensions).toEqual(['one', 'two']);
    expect(encodeCheckpoint(parseCheckpoint(`${text}one\ntwo\n`))).toBe(`${text}one\ntwo\n`);
  });

  it.each([
    ['', 'at least three lines'],
    ['\n', 'at least three lines'],
    [`a\n1\n${ROOT}`, 'ends in a newline'],
    ['a\n1\n', 'at least three lines'],
    [`\n1\n${ROOT}\n`, 'line 1 of the checkpoint is empty'],
    [`a\n1\n${ROOT}\n\nx\n`, 'line 4 of the checkpoint is empty'],
    [`a\n01\n${ROOT}\n`, 'no decimal number without leading zeros'],
    [`a\n-1\n${ROOT}\n`, 'no decimal number without leading zeros'],
    [`a\n1e3\n${ROOT}\n`, 'no decimal number without leading zeros'],
    [`a\n 1\n${ROOT}\n`, 'no decimal number without leading zeros'],
    [`a\n\u0661\n${ROOT}\n`, 'no decimal number without leading zeros'],
    [`a\n${'9'.repeat(1e5)}\n${ROOT}\n`, 'no decimal number without leading zeros'],
    [`a\n9007199254740992\n${ROOT}\n`, 'above 2^53 - 1'],
    ['a\n1\n!\n', 'the root of the checkpoint is not base64'],
    [`a\n1\n${ROOT.slice(0, -1)}\n`, 'the root of the checkpoint is not base64'],
    [`a\n1\n${ROOT.replace('2I=', '2J=')}\n`, 'the root of the checkpoint is not base64'],
    ['a\n1\nAAAA\n', 'the root of the checkpoint has 3 bytes, not 32'],
  ])('%# is refused for what is wrong with it', (text, message) => {
    expect(() => parseCheckpoint(text)).toThrow(MalformedError);
    expect(() => parseCheckpoint(text)).toThrow(message);
  });

  it('is read and written back, or refused, whatever the text', () => {
    const part = fc.oneof(fc.string(), fc.constantFrom('1', '0', '00', ROOT, 'a'));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (lines) => {
        const text = lines.map((line) => `${line}\n`).join('');
        try {
          expect(encodeCheckpoint(parseCheckpoint(text))).toBe(text);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is not written of what is none', () => {
    const checkpoint = parseCheckpoint(`a\n1\n${ROOT}\n`);
    expect(() => encodeCheckpoint({ ...checkpoint, origin: '' })).toThrow(RangeError);
    expect(() => encodeCheckpoint({ ...checkpoint, extensions: ['a\nb'] })).toThrow(RangeError);
    expect(() => encodeCheckpoint({ ...checkpoint, size: 1.5 })).toThrow(RangeError);
    expect(() => encodeCheckpoint({ ...checkpoint, root: Buffer.alloc(31) })).toThrow(RangeError);
  });
});

describe('a signed checkpoint', () => {
  it('of the checksum database of Go opens by its public key', () => {
    const { checkpoint, note } = openCheckpoint(SUM_DB_NOTE, { key: SUM_DB, origin: 'go.sum database tree' });
    expect(checkpoint.size).toBe(6476701);
    expect(note.signatures).toHaveLength(1);
  });

  it('of another log does not open', () => {
    expect(() => openCheckpoint(SUM_DB_NOTE, { key: SUM_DB })).toThrow(
      'the checkpoint is not of the log sum.golang.org',
    );
    const other = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
    expect(() => openCheckpoint(SUM_DB_NOTE, { key: other })).toThrow('is not signed by PeterNeumann+c74f20a3');
  });

  it('does not open with any one bit of it changed', () => {
    const log = { key: SUM_DB, origin: 'go.sum database tree' };
    for (let bit = 0; bit < SUM_DB_NOTE.length * 8; bit++) {
      expect(() => openCheckpoint(flipBit(SUM_DB_NOTE, bit), log)).toThrow(/^(a|the|signature line 1 of the) /);
    }
  });

  it('is no checkpoint only because the log has signed it', async () => {
    const key = signerKey('log.example', Buffer.alloc(32, 1));
    const signature = await signNote('hello\n', key, (message) => signWith(key, message));
    expect(() => openCheckpoint(encodeNote({ text: 'hello\n', signatures: [signature] }), { key })).toThrow(
      'a checkpoint has at least three lines',
    );
  });
});
