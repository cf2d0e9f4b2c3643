import { sign } from 'node:crypto';
import { encode } from 'cbor2';
import fc from 'fast-check';
import { TestNitro } from '../../../../test/support/attestation-documents';
import { change, changed } from '../../../../test/support/changed-bytes';
import { AttestationVerifier } from './attestation-verifier';
import { parseTrustedRoots } from './trusted-roots';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const nitro = new TestNitro(NOW);
const good = nitro.document();
const verifier = new AttestationVerifier(parseTrustedRoots(nitro.rootPem));

/** Anything but a ValidationException fails. */
async function outcome(document: Uint8Array): Promise<'good' | 'refused'> {
  try {
    await verifier.verify(document, NOW);
    return 'good';
  } catch (error) {
    expect(error).toMatchObject({ name: 'KmsError', code: 'ValidationException' });
    expect((error as Error).message).toMatch(/^The attestation document in Recipient is not valid: .{5,200}\.$/);
    return 'refused';
  }
}

test('a changed document is refused as one that is not valid, and never anything else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const document = changes.reduce<Uint8Array>(changed, good);
      if (good.equals(document)) return;
      expect(await outcome(document)).toBe('refused');
    }),
    { numRuns: 800 },
  );
});

/** The hypervisor's key signs what it would never sign: past the signature everything must be as strict. */
test('a changed payload that is signed all the same is good or refused as one that is not valid', async () => {
  const payload = encode(new Map(Object.entries(nitro.fields())));
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
      const document = nitro.document({ payload: new Uint8Array(changes.reduce<Uint8Array>(changed, payload)) });
      await outcome(document);
    }),
    { numRuns: 350 },
  );
});

test('a changed certificate is refused, as is one that its issuer has signed with whatever in it', async () => {
  const { der } = nitro.signer;
  const [instance] = nitro.authorities.slice(-1);
  await fc.assert(
    fc.asyncProperty(change, fc.boolean(), async (one, signedAnew) => {
      let certificate = changed(der, one);
      // The TBSCertificate is the first element of the certificate: its signature made again where lengths still fit.
      if (signedAnew && certificate.length === der.length) {
        const length = 4 + certificate.readUInt16BE(6);
        const tbs = certificate.subarray(4, 4 + length);
        const signature = sign('sha384', tbs, instance!.privateKey);
        const algorithm = certificate.subarray(4 + length, 4 + length + 12);
        const body = Buffer.concat([tbs, algorithm, Buffer.from([3, signature.length + 1, 0]), signature]);
        certificate = Buffer.concat([Buffer.from([0x30, 0x82, body.length >> 8, body.length & 0xff]), body]);
      }
      if (certificate.equals(der)) return;
      const result = await outcome(nitro.document({ fields: { certificate: new Uint8Array(certificate) } }));
      if (!signedAnew) expect(result).toBe('refused');
    }),
    { numRuns: 350 },
  );
});

test('bytes of any kind are refused', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), async (document) => {
      expect(await outcome(document)).toBe('refused');
    }),
    { numRuns: 500 },
  );
});

test('any item of CBOR is refused, in place of the document, its payload or its headers', async () => {
  const item = fc.letrec<{ item: unknown }>((tie) => ({
    item: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.integer(),
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.double(),
      fc.uint8Array(),
      fc.array(tie('item'), { maxLength: 4 }),
      fc
        .array(fc.tuple(fc.oneof(fc.string(), fc.integer()), tie('item')), { maxLength: 4 })
        .map((pairs) => new Map(pairs)),
    ),
  })).item;
  await fc.assert(
    fc.asyncProperty(item, async (value) => {
      const bytes = encode(value);
      expect(await outcome(bytes)).toBe('refused');
      expect(await outcome(nitro.document({ payload: bytes }))).toBe('refused');
      expect(await outcome(nitro.document({ protectedHeader: bytes }))).toBe('refused');
    }),
    { numRuns: 120 },
  );
});
