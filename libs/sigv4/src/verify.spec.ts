import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { KmsError } from '#domain/errors';
import { parseClaim, type SignatureClaim, type SignedRequest } from './claim';
import { presignQuery, type SigningInput, signRequest } from './sign';
import { deriveSigningKey } from './signing-key';
import { checkFreshness, checkScope, verifySignature } from './verify';

const TIME = Date.UTC(2015, 7, 30, 12, 36);
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const ENCRYPT: SigningInput = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: SECRET,
  region: 'us-east-1',
  service: 'kms',
  timeMs: TIME,
  method: 'POST',
  path: '/',
  headers: {
    host: 'localhost:4599',
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'TrentService.Encrypt',
  },
  body: Buffer.from('{"KeyId":"alias/a","Plaintext":"AAAA"}'),
};

const signed = (input: SigningInput): SignedRequest => ({
  method: input.method,
  path: input.path,
  query: input.query ?? '',
  headers: signRequest(input),
  body: input.body ?? new Uint8Array(0),
});
const presigned = (input: SigningInput, expiresSeconds: number): SignedRequest => ({
  method: input.method,
  path: input.path,
  query: presignQuery(input, expiresSeconds),
  headers: input.headers,
  body: input.body ?? new Uint8Array(0),
});

/** All that a gateway does with a request, in its order. */
function authenticate(request: SignedRequest, nowMs = TIME): SignatureClaim {
  const claim = parseClaim(request);
  checkScope(claim, ['kms']);
  checkFreshness(claim, nowMs);
  if (claim.accessKeyId !== 'AKIDEXAMPLE') throw new KmsError('UnrecognizedClientException', 'nobody');
  verifySignature(claim, request, deriveSigningKey(SECRET, claim.date, claim.region, claim.service));
  return claim;
}

function errorOf(run: () => void): { code: string; message: string } | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof KmsError) return { code: error.code, message: error.message };
    throw error;
  }
  return undefined;
}

const MISMATCH = {
  code: 'InvalidSignatureException',
  message:
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key ' +
    'and signing method. Consult the service documentation for details.',
};

const token = fc.stringMatching(/^[a-z0-9]{1,12}$/);
const fieldText = fc.stringMatching(/^[!-~\x80-\xff]([ -~\x80-\xff]{0,30}[!-~\x80-\xff])?$/);
const input: fc.Arbitrary<SigningInput> = fc.record({
  accessKeyId: fc.constant('AKIDEXAMPLE'),
  secretAccessKey: fc.constant(SECRET),
  sessionToken: fc.option(fc.base64String({ minLength: 4, maxLength: 64 }), { nil: undefined }),
  region: fc.constantFrom('us-east-1', 'eu-central-1', 'local'),
  service: fc.constant('kms'),
  timeMs: fc.constant(TIME),
  method: fc.constantFrom('GET', 'POST', 'PUT'),
  path: fc.array(token, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`),
  query: fc
    .array(fc.tuple(token, token), { maxLength: 3 })
    .map((pairs) => pairs.map((pair) => pair.join('=')).join('&')),
  headers: fc
    .dictionary(
      token.map((name) => `x-amz-meta-${name}`),
      fieldText,
      { maxKeys: 3 },
    )
    .map((headers): Record<string, string> => ({ ...headers, host: 'localhost' })),
  body: fc.uint8Array({ maxLength: 64 }),
});
const request = fc.oneof(
  input.map(signed),
  input.map((value) => presigned(value, 60)),
);

/** `text` with the character at `at` (modulo its length) replaced by another one. */
function replaced(text: string, at: number, by: string): string {
  const i = at % text.length;
  const other = text[i] === by ? 'Z' : by;
  return text.slice(0, i) + (text[i] === other ? 'Y' : other) + text.slice(i + 1);
}
// An unreserved character never stands for another one, nor for a separator, whatever it replaces.
const unreserved = fc.constantFrom(...'abcxyzABC0189-_~');

describe('a signed request', () => {
  it('verifies, in both forms', () => {
    fc.assert(fc.property(request, (value) => authenticate(value) !== undefined));
  });

  it('does not verify with another secret, day, region or service', () => {
    const value = signed(ENCRYPT);
    const claim = parseClaim(value);
    const keys = [
      deriveSigningKey(`${SECRET}x`, '20150830', 'us-east-1', 'kms'),
      deriveSigningKey(SECRET, '20150831', 'us-east-1', 'kms'),
      deriveSigningKey(SECRET, '20150830', 'us-east-2', 'kms'),
      deriveSigningKey(SECRET, '20150830', 'us-east-1', 'iam'),
    ];
    for (const key of keys) expect(errorOf(() => verifySignature(claim, value, key))).toEqual(MISMATCH);
  });

  it('fails when one byte of its body changes, comes or goes', () => {
    fc.assert(
      fc.property(request, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const bodies = [Buffer.concat([value.body, Buffer.from([flip])])];
        if (value.body.length > 0) {
          const flipped = Buffer.from(value.body);
          flipped[at % flipped.length]! ^= flip;
          bodies.push(flipped, Buffer.from(value.body.subarray(1)));
        }
        for (const body of bodies) expect(errorOf(() => authenticate({ ...value, body }))).toEqual(MISMATCH);
      }),
    );
  });

  it('fails when one byte of its method or path changes', () => {
    fc.assert(
      fc.property(request, fc.nat(), unreserved, (value, at, by) => {
        expect(errorOf(() => authenticate({ ...value, method: replaced(value.method, at, by) }))).toEqual(MISMATCH);
        // A path of one slash has nothing to replace that would not be put back.
        const path = value.path === '/' ? `/${by}` : replaced(value.path, at, by);
        expect(errorOf(() => authenticate({ ...value, path }))).toEqual(MISMATCH);
      }),
    );
  });

  it('fails when one byte of its query changes', () => {
    fc.assert(
      fc.property(request, fc.nat(), unreserved, (value, at, by) => {
        fc.pre(value.query !== '');
        const i = at % value.query.length;
        // Hexadecimal digits of an escape are the same in both cases.
        const isEscape = value.query.slice(Math.max(0, i - 2), i + 1).includes('%');
        const query = replaced(value.query, at, isEscape && value.query[i] !== '%' ? '4' : by);
        expect(errorOf(() => authenticate({ ...value, query }))).toBeDefined();
      }),
    );
  });

  it('fails when a parameter is added to its query', () => {
    fc.assert(
      fc.property(request, token, (value, name) => {
        const query = value.query === '' ? name : `${value.query}&${name}`;
        expect(errorOf(() => authenticate({ ...value, query }))).toEqual(MISMATCH);
        expect(errorOf(() => authenticate({ ...value, query: `${value.query}&` }))).toEqual(MISMATCH);
      }),
    );
  });

  it('fails when one byte of any signed header changes, its Authorization included', () => {
    const other = fc.constantFrom(...'abcXYZ0189-_~/=;!');
    fc.assert(
      fc.property(request, fc.nat(), fc.nat(), other, (value, which, at, by) => {
        const names = Object.keys(value.headers);
        const name = names[which % names.length]!;
        const headers = { ...value.headers, [name]: replaced(String(value.headers[name]), at, by) };
        expect(errorOf(() => authenticate({ ...value, headers }))).toBeDefined();
      }),
    );
  });

  it('fails when a signed header is taken away or comes twice, or an x-amz header is added', () => {
    fc.assert(
      fc.property(request, fc.nat(), (value, which) => {
        const names = Object.keys(value.headers);
        const name = names[which % names.length]!;
        const text = String(value.headers[name]);
        for (const changed of [undefined, [text, text], `${text}, ${text}`]) {
          expect(
            errorOf(() => authenticate({ ...value, headers: { ...value.headers, [name]: changed } })),
          ).toBeDefined();
        }
        const added = { ...value.headers, 'x-amz-added': 'a' };
        expect(errorOf(() => authenticate({ ...value, headers: added }))?.code).toBe('InvalidSignatureException');
      }),
    );
  });

  it('may pass proxies that add headers it did not sign', () => {
    const value = signed(ENCRYPT);
    const headers = { ...value.headers, via: '1.1 proxy', 'x-forwarded-for': '10.0.0.1', 'x-amzn-trace-id': 'Root=1' };
    expect(errorOf(() => authenticate({ ...value, headers }))).toBeUndefined();
  });

  it('fails when a character is another one with the same low byte', () => {
    const value = signed({ ...ENCRYPT, path: '/a', query: 'b=c', headers: { ...ENCRYPT.headers, 'x-a': 'd' } });
    const claim = parseClaim(value);
    const key = deriveSigningKey(SECRET, '20150830', 'us-east-1', 'kms');
    const raise = (text: string) => text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) + 0x100);
    expect(errorOf(() => verifySignature(claim, value, key))).toBeUndefined();
    const wrong: [SignatureClaim, SignedRequest][] = [
      [claim, { ...value, method: raise(value.method) }],
      [claim, { ...value, path: raise(value.path) }],
      [claim, { ...value, query: raise(value.query) }],
      [claim, { ...value, headers: { ...value.headers, 'x-a': raise('d') } }],
      [{ ...claim, signature: raise(claim.signature) }, value],
    ];
    for (const [wrongClaim, wrongRequest] of wrong) {
      expect(errorOf(() => verifySignature(wrongClaim, wrongRequest, key))?.code).toMatch(/SignatureException$/);
    }
  });

  it('is refused, not misread, when it claims to have signed what every object has', () => {
    const value = signed(ENCRYPT);
    for (const name of ['constructor', '__proto__', 'hasownproperty']) {
      const claim = { ...parseClaim(value), signedHeaders: [name, 'host'] };
      expect(errorOf(() => verifySignature(claim, value, Buffer.alloc(32)))).toEqual(MISMATCH);
    }
  });

  it('is refused when its signature is cut, longer, in upper case or not hexadecimal', () => {
    const value = signed(ENCRYPT);
    const claim = parseClaim(value);
    const key = deriveSigningKey(SECRET, '20150830', 'us-east-1', 'kms');
    expect(errorOf(() => verifySignature(claim, value, key))).toBeUndefined();
    const { signature } = claim;
    for (const wrong of [
      signature.slice(1),
      `${signature}0`,
      signature.toUpperCase(),
      '',
      'ﭡ'.repeat(64),
      'é'.repeat(32),
    ]) {
      expect(errorOf(() => verifySignature({ ...claim, signature: wrong }, value, key))).toEqual(MISMATCH);
    }
  });

  it('throws nothing but KmsError, whatever comes', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ maxLength: 40 }),
      fc.constantFrom('%', '%%', '/../..', '', '20150830T123600Z', '=&=&', 'X-Amz-Algorithm=AWS4-HMAC-SHA256'),
    );
    const names = fc.constantFrom(
      'authorization',
      'host',
      'x-amz-date',
      'date',
      'x-amz-content-sha256',
      'x-amz-security-token',
    );
    const value = fc.oneof(text, fc.array(text, { maxLength: 3 }));
    const parts = fc.record({ credential: text, names: text, signature: text });
    const authorization = parts.map(
      (part) =>
        `AWS4-HMAC-SHA256 Credential=${part.credential}, SignedHeaders=${part.names}, Signature=${part.signature}`,
    );
    fc.assert(
      fc.property(
        text,
        text,
        text,
        fc.dictionary(names, value),
        authorization,
        (method, path, query, headers, header) => {
          const body = Buffer.alloc(0);
          for (const changes of [{}, { authorization: header, 'x-amz-date': '20150830T123600Z' }]) {
            const request = { method, path, query, headers: { ...headers, ...changes }, body };
            expect(errorOf(() => authenticate(request))).toBeDefined();
          }
          const verified = { ...signed(ENCRYPT), method, path, query };
          errorOf(() => authenticate(verified));
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each(['path', 'query', 'method'] as const)('is refused cleanly when its %s is absurdly long', (part) => {
    const value = { ...signed(ENCRYPT), [part]: '/a%&='.repeat(20_000) };
    expect(errorOf(() => authenticate(value))?.code).toMatch(/SignatureException$/);
  });
});

describe('the body hash a request states', () => {
  const stating = (hash: string) =>
    signed({ ...ENCRYPT, headers: { ...ENCRYPT.headers, 'x-amz-content-sha256': hash } });

  it('must be that of its body', () => {
    const hash = 'e9c3ac1b5d6f9a1e'.padEnd(64, '0');
    expect(errorOf(() => authenticate(stating(hash)))).toEqual({
      code: 'InvalidSignatureException',
      message: "The provided 'x-amz-content-sha256' header does not match what was computed.",
    });
    const right = createHash('sha256').update(ENCRYPT.body!).digest('hex');
    expect(errorOf(() => authenticate(stating(right)))).toBeUndefined();
  });

  it.each(['UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', ''])(
    'is refused when it is %j',
    (hash) => {
      expect(errorOf(() => authenticate(stating(hash)))?.code).toBe('InvalidSignatureException');
    },
  );
});

describe('freshness', () => {
  const claim = parseClaim(signed(ENCRYPT));
  const at = (seconds: number) => errorOf(() => checkFreshness(claim, TIME + seconds * 1000));

  it('allows five minutes both ways, to the second', () => {
    for (const seconds of [-300, -299, 0, 299, 300, 300.999]) expect(at(seconds)).toBeUndefined();
  });

  it('ends one second after five minutes', () => {
    expect(at(301)).toEqual({
      code: 'InvalidSignatureException',
      message: 'Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)',
    });
  });

  it('begins five minutes before, not a second earlier', () => {
    expect(at(-301)).toEqual({
      code: 'InvalidSignatureException',
      message:
        'Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)',
    });
  });

  const presignedAt = (expires: number, seconds: number) =>
    errorOf(() => checkFreshness(parseClaim(presigned(ENCRYPT, expires)), TIME + seconds * 1000));

  it.each([1, 60, 604_800])('of a request presigned for %i seconds ends just then', (expires) => {
    expect(presignedAt(expires, expires)).toBeUndefined();
    expect(presignedAt(expires, expires + 1)?.message).toMatch(
      new RegExp(
        `^Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \\([0-9TZ]+ - ${expires} sec\\.\\)$`,
      ),
    );
  });

  it('of a presigned request begins five minutes before its date', () => {
    expect(presignedAt(60, -300)).toBeUndefined();
    expect(presignedAt(60, -301)?.message).toContain('Signature not yet current: 20150830T123600Z');
  });

  it('of a presigned request that says no expiry is five minutes', () => {
    const value = presigned(ENCRYPT, 60);
    const unlimited = parseClaim({ ...value, query: value.query.replace('&X-Amz-Expires=60', '') });
    expect(errorOf(() => checkFreshness(unlimited, TIME + 300_000))).toBeUndefined();
    expect(errorOf(() => checkFreshness(unlimited, TIME + 301_000))?.message).toContain('- 5 min.)');
  });

  it.each([
    [-1, 'X-Amz-Expires must be non-negative'],
    [0, 'X-Amz-Expires must be at least 1 second'],
    [
      604_801,
      'X-Amz-Expires must be less than a week (in seconds); ' +
        'that is, the given X-Amz-Expires must be less than 604800 seconds',
    ],
  ])('refuses an expiry of %i seconds', (expires, message) => {
    expect(presignedAt(expires, 0)).toEqual({ code: 'IncompleteSignatureException', message });
  });
});

describe('the credential scope', () => {
  const claim = parseClaim(signed(ENCRYPT));
  const errorWith = (changes: Partial<SignatureClaim>, services = ['kms']) =>
    errorOf(() => checkScope({ ...claim, ...changes }, services));

  it('may be for any of the services and any region name', () => {
    expect(errorWith({})).toBeUndefined();
    expect(errorWith({}, ['iam', 'kms'])).toBeUndefined();
    expect(errorWith({ region: 'my-own-region-7' })).toBeUndefined();
  });

  it.each([
    [{ service: 's3' }, "Credential should be scoped to correct service: 'kms'."],
    [{ region: 'US East' }, "Credential should be scoped to a valid region, not 'US East'."],
    [{ region: 'a.b.>' }, "Credential should be scoped to a valid region, not 'a.b.>'."],
    [
      { scope: '20150830/us-east-1/kms/aws5_request' },
      "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
    ],
    [
      { date: '20150829' },
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150829' != '20150830', " +
        "from '20150830T123600Z'.",
    ],
  ])('is refused with %j', (changes, message) => {
    expect(errorWith(changes)).toEqual({ code: 'InvalidSignatureException', message });
  });

  it('is told all that is wrong with it at once', () => {
    expect(errorWith({ region: 'C', service: 'd', scope: 'b/C/d/e', date: 'b' })?.message).toBe(
      "Credential should be scoped to a valid region, not 'C'. Credential should be scoped to correct service: 'kms'. " +
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. Date in Credential scope does not match " +
        "YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20150830', from '20150830T123600Z'.",
    );
  });
});
