import fc from 'fast-check';
import {
  encodeSignerKey,
  encodeVerifierKey,
  isSignedBy,
  parseSignerKey,
  parseVerifierKey,
  signerKey,
  signWith,
  verifierKey,
} from './note-key';
import { MalformedError } from './proof-errors';

/** Of golang.org/x/mod/sumdb/note, note_test.go. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETER_SECRET = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';

/** Whether a key is read; whatever is not must be refused by a MalformedError. */
function isRead(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedError);
    return false;
  }
}

describe('a verifier key', () => {
  it.each([
    ['C2SP signed-note', 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'],
    ['golang.org/x/mod', PETER],
    ['golang.org/x/mod', 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'],
    ['sum.golang.org', 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'],
    ['transparency-dev/formats, a plus in its base64', 'TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6'],
  ])('of %s is read, and written back', (_, text) => {
    const key = parseVerifierKey(text);
    expect(encodeVerifierKey(key)).toBe(text);
    expect(verifierKey(key.name, key.publicKey)).toEqual(key);
  });

  it('of a witness is of another type', () => {
    const text = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2';
    expect(encodeVerifierKey(parseVerifierKey(text, 'cosignature'))).toBe(text);
    expect(() => parseVerifierKey(text)).toThrow('the verifier key is of signature type 0x04, not 0x01');
  });

  it('is not read with a part missing or a character changed', () => {
    for (let from = 0; from < PETER.length; from++) {
      for (let to = from; to <= PETER.length; to++) {
        const whole = from === 0 && to === PETER.length;
        expect(isRead(parseVerifierKey, PETER.slice(from, to))).toBe(whole);
      }
      const next = String.fromCharCode(PETER.charCodeAt(from) + 1);
      expect(isRead(parseVerifierKey, PETER.slice(0, from) + next + PETER.slice(from + 1))).toBe(false);
    }
  });

  it.each([
    // The first two of note_test.go: right ids, of a key too long, whose last bits do not count, and of an unknown type.
    ['PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==', 'does not end in base64'],
    [`PeterNeumann+c74f20a3+${Buffer.alloc(34, 1).toString('base64')}`, 'a key of 33 bytes, not 32'],
    ['PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'signature type 0x65, not 0x01'],
    [PETER.replace('c74f20a3', 'c74f20a4'), 'an id that is not that of its name and key'],
    [PETER.replace('c74f20a3', 'C74F20A3'), '<name>+<key id, 8 hexadecimal digits>+<base64>'],
    [PETER.replace('PeterNeumann', ''), 'the name in the verifier key is empty'],
    [PETER.replace('rN', 'r\u2003N'), 'the name in the verifier key is empty or has white space in it'],
    [`${PETER}\n`, 'does not end in base64'],
    ['PeterNeumann+c74f20a3+', 'does not end in base64'],
    ['a+b', '<name>+<key id'],
    ['x'.repeat(1e6), '<name>+<key id'],
  ])('%# is refused for what is wrong with it', (text, message) => {
    expect(() => parseVerifierKey(text)).toThrow(MalformedError);
    expect(() => parseVerifierKey(text)).toThrow(message);
  });

  it('is read or refused, whatever the text', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^.*\+[0-9a-f]{8}\+A[A-Za-z0-9+/]{43}$/),
    );
    fc.assert(
      fc.property(texts, (text) => expect(isRead(parseVerifierKey, text)).toBe(false)),
      { numRuns: 1000 },
    );
  });

  it('is not made of what is no name or key', () => {
    const { publicKey } = parseVerifierKey(PETER);
    for (const name of ['', 'a b', 'a+b', 'a\n', 'a\u00a0b', '\ud800']) {
      expect(() => verifierKey(name, publicKey)).toThrow(RangeError);
    }
    expect(() => verifierKey('a', publicKey.subarray(1))).toThrow('an Ed25519 public key has 32 bytes');
    expect(() => signerKey('a', publicKey.subarray(1))).toThrow('an Ed25519 seed has 32 bytes');
  });
});

describe('a signer key', () => {
  it('is read, written back, and signs for its verifier key', () => {
    const key = parseSignerKey(PETER_SECRET);
    expect(encodeSignerKey(key)).toBe(PETER_SECRET);
    expect(encodeVerifierKey(key)).toBe(PETER);
    const signature = signWith(key, Buffer.from('hi'));
    expect(isSignedBy(parseVerifierKey(PETER), Buffer.from('hi'), signature)).toBe(true);
    expect(isSignedBy(parseVerifierKey(PETER), Buffer.from('ho'), signature)).toBe(false);
    expect(isSignedBy(parseVerifierKey(PETER), Buffer.from('hi'), signature.subarray(1))).toBe(false);
  });

  it('has an id of its own as a witness', () => {
    const { name, seed, publicKey, id } = parseSignerKey(PETER_SECRET);
    const witness = signerKey(name, seed, 'cosignature');
    expect(witness.publicKey).toEqual(publicKey);
    expect(witness.id).not.toBe(id);
    expect(parseSignerKey(encodeSignerKey(witness), 'cosignature')).toEqual(witness);
  });

  it('is not read with a part missing or a character changed, and its refusal does not repeat it', () => {
    for (let at = 0; at < PETER_SECRET.length; at++) {
      const next = String.fromCharCode(PETER_SECRET.charCodeAt(at) + 1);
      const changed = PETER_SECRET.slice(0, at) + next + PETER_SECRET.slice(at + 1);
      for (const text of [PETER_SECRET.slice(at + 1), PETER_SECRET.slice(0, at), changed]) {
        expect(() => parseSignerKey(text)).toThrow(MalformedError);
        expect(() => parseSignerKey(text)).not.toThrow(/YEKFALVF/);
      }
    }
  });
});
