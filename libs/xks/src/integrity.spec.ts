import fc from 'fast-check';
import { boundData, integrityValue } from './integrity';

const base64 = (text: string): Buffer => Buffer.from(text, 'base64');
/** The example of the specification: Encrypt's reply, and the AAD of its request. */
const AAD = base64('cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n');
const SEALED = {
  authenticationTag: base64('vBxN2ncH1oEkR8WVXpmyYQ=='),
  ciphertext: base64('ghxkK1txeDNn3q8Y'),
  ciphertextMetadata: base64('a2V5X3ZlcnNpb249MQ=='),
  initializationVector: base64('HMrlRw85cAJUd5Ax'),
};

test('the integrity value is that of the example in the specification', () => {
  expect(integrityValue(AAD, SEALED).toString('base64')).toBe('qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc=');
});

test('what is absent counts as empty in it', () => {
  const { ciphertextMetadata: _, ...without } = SEALED;
  expect(integrityValue(undefined, without)).toEqual(
    integrityValue(Buffer.alloc(0), { ...SEALED, ciphertextMetadata: Buffer.alloc(0) }),
  );
});

describe('the data that a key manager binds', () => {
  test('is each part after its length', () => {
    expect(boundData(Buffer.from('ab'), Buffer.from('c')).toString('hex')).toBe('0002616201' + '63');
    expect(boundData(undefined, undefined).toString('hex')).toBe('000000');
  });

  test('is the same for no two pairs of parts', () => {
    // Few values: what could be taken for a length has to come up.
    const part = fc.uint8Array({ maxLength: 3, max: 2 });
    fc.assert(
      fc.property(part, part, part, part, (a, b, c, d) => {
        const same = Buffer.from(a).equals(c) && Buffer.from(b).equals(d);
        expect(boundData(a, b).equals(boundData(c, d))).toBe(same);
      }),
      { numRuns: 2_000 },
    );
  });
});
