import { encodeVerifierKey, signerKey } from '#audit-log/note-key';
import { parseBucket, parseWitnesses } from './publication-places';

const keyOf = (seed: number, type: 'cosignature' | 'note' = 'cosignature') =>
  signerKey('witness.example/w', Buffer.alloc(32, seed), type);
const text = (seed: number, type?: 'note') => encodeVerifierKey(keyOf(seed, type));

test('a witness is a verifier key and a URL', () => {
  const two = `${text(1)} https://w.example/prefix/, ${text(2)} http://127.0.0.1:8080`;
  expect(parseWitnesses(two)?.map(({ key, url }) => [encodeVerifierKey(key), url])).toEqual([
    [text(1), 'https://w.example/prefix'],
    [text(2), 'http://127.0.0.1:8080'],
  ]);
});

test.each([
  ['no URL', text(1)],
  ['no key', 'https://w.example'],
  ['the key of a log', `${text(1, 'note')} https://w.example`],
  ['one key twice', `${text(1)} https://w.example,${text(1)} https://v.example`],
  ['a URL with a query', `${text(1)} https://w.example/?a=b`],
  ['another protocol', `${text(1)} ftp://w.example`],
  ['nothing after a comma', `${text(1)} https://w.example,`],
])('%s is no witness', (_what, value) => {
  expect(parseWitnesses(value)).toBeUndefined();
});

test.each([
  ['https://s3.example.com/heads', { origin: 'https://s3.example.com', bucket: 'heads', prefix: '' }],
  ['http://127.0.0.1:9000/heads/a/b/', { origin: 'http://127.0.0.1:9000', bucket: 'heads', prefix: 'a/b/' }],
])('%s is a bucket', (value, place) => {
  expect(parseBucket(value)).toEqual(place);
});

test.each([
  'https://s3.example.com',
  's3://heads',
  'https://h/heads/../x',
  'https://h/heads?x',
  'https://u:p@h/heads',
  'https://h/He',
])('%s is none', (value) => {
  expect(parseBucket(value)).toBeUndefined();
});
