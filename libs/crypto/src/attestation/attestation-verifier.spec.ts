import { createHash, generateKeyPairSync } from 'node:crypto';
import { encode } from 'cbor2';
import { recipientKeys, TestNitro } from '../../../../test/support/attestation-documents';
import { parseAttestationDocument } from './attestation-document';
import { AttestationVerifier, MAX_AGE_MS } from './attestation-verifier';
import { CertificateChains, verifies } from './certificate-chain';
import { parseCoseSign1 } from './cose-sign1';
import published from './published-documents.json';
import { parseTrustedRoots } from './trusted-roots';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const nitro = new TestNitro(NOW);
const verifier = new AttestationVerifier(parseTrustedRoots(nitro.rootPem));
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(1);
const spki = (keys: { publicKey: import('node:crypto').KeyObject }): Uint8Array =>
  new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' }));

async function refusal(document: Uint8Array, now = NOW): Promise<string> {
  const failure = await verifier.verify(document, now).then(
    () => undefined,
    (error) => error,
  );
  expect(failure).toMatchObject({ name: 'KmsError', code: 'ValidationException' });
  return failure.message;
}

const invalid = (what: string): string => `The attestation document in Recipient is not valid: ${what}.`;

describe('an attestation document', () => {
  test.each([true, false])('is verified and says what it attests; tagged: %s', async (tagged) => {
    const { moduleId, platform, pcrs, recipientKey } = await verifier.verify(nitro.document({ tagged }), NOW);
    expect({ moduleId, platform }).toEqual({ moduleId: 'i-1234567890abcdef0-enc9876543210abcde', platform: 'enclave' });
    expect([...pcrs.keys()]).toEqual(Array.from({ length: 16 }, (_, at) => at));
    expect([pcrs.get(0), pcrs.get(8)]).toEqual([TestNitro.pcr(0), TestNitro.pcr(8)]);
    expect(recipientKey.equals(nitro.recipient.publicKey)).toBe(true);
  });

  test('of a NitroTPM has its registers under another name', async () => {
    const { pcrs: nitrotpm_pcrs } = nitro.fields();
    const document = nitro.document({ fields: { pcrs: undefined, nitrotpm_pcrs } });
    const { platform, pcrs } = await verifier.verify(document, NOW);
    expect([platform, pcrs.get(4)]).toEqual(['tpm', TestNitro.pcr(4)]);
  });

  test('is good for five minutes, by a clock that may be five minutes behind', async () => {
    const document = nitro.document();
    await verifier.verify(document, NOW + MAX_AGE_MS);
    await verifier.verify(document, NOW - MAX_AGE_MS);
    const late = NOW + MAX_AGE_MS + 1;
    expect(await refusal(document, late)).toBe(
      invalid(`its timestamp of ${NOW} ms is more than 5 minutes from this server's time of ${late} ms`),
    );
    expect(await refusal(document, NOW - MAX_AGE_MS - 1)).toContain('is more than 5 minutes from');
  });

  test('is refused, saying what to set, where no root is trusted', async () => {
    const trusting = new AttestationVerifier([]);
    await expect(trusting.verify(nitro.document(), NOW)).rejects.toMatchObject({
      code: 'ValidationException',
      message:
        'Recipient cannot be used: this server trusts no root of attestation documents. ' +
        'KEYTRAIL_NITRO_ROOTS names the PEM file of those that it is to trust.',
    });
  });

  test('is refused once a bit of its payload or signature has changed', async () => {
    const document = nitro.document();
    const changed = (at: number): Buffer => {
      const copy = Buffer.from(document);
      copy[at]! ^= 1;
      return copy;
    };
    const registers = document.indexOf(Buffer.from(TestNitro.pcr(0), 'hex'));
    expect(await refusal(changed(registers))).toBe(invalid('its signature does not verify'));
    expect(await refusal(changed(document.length - 1))).toBe(invalid('its signature does not verify'));
  });

  test.each<[string, Parameters<TestNitro['document']>[0], string]>([
    [
      'signed with another key',
      { signWith: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey },
      'its signature does not verify',
    ],
    [
      'ES256 in its header',
      { protectedHeader: encode(new Map([[1, -7]])) },
      'its protected header is not that of ES384 alone',
    ],
    ['no algorithm', { protectedHeader: encode(new Map()) }, 'its protected header is not that of ES384 alone'],
    [
      'a second header',
      {
        protectedHeader: encode(
          new Map([
            [1, -35],
            [4, 0],
          ]),
        ),
      },
      'its protected header is not that of ES384 alone',
    ],
    [
      'the algorithm in the unprotected header',
      { unprotectedHeader: new Map([[1, -7]]) },
      'its unprotected header is not an empty map',
    ],
    [
      'a protected header that is no CBOR',
      { protectedHeader: bytes(0) },
      'its protected header is not well-formed CBOR',
    ],
    ['no payload', { payload: bytes(0) }, 'its payload is not a byte string of 1 to 16384 bytes'],
    [
      'a payload of a byte too many',
      { payload: bytes(16_385) },
      'its payload is not a byte string of 1 to 16384 bytes',
    ],
    ['a payload far too long', { payload: bytes(200_000) }, 'its payload is longer than 16384 bytes'],
    ['a signature of DER', { signature: bytes(104) }, 'its signature is not a byte string of 96 bytes'],
    ['a payload that is no CBOR', { payload: bytes(9) }, 'its payload is not well-formed CBOR'],
    [
      'a payload of 16,000 numbers',
      { payload: encode(Array(16_000).fill(0)) },
      'its payload has more than 128 items of CBOR',
    ],
    ['a payload that is a list', { payload: encode([1]) }, 'its payload is not a map'],
  ])('with %s is refused', async (_what, options, why) => {
    expect(await refusal(nitro.document(options))).toBe(invalid(why));
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['a field that nobody knows', { debug: true }, 'it has a field that is not known'],
    ['no module_id', { module_id: undefined }, 'its module_id is not 1 to 256 characters of ASCII without spaces'],
    ['an empty module_id', { module_id: '' }, 'its module_id is not 1 to 256 characters of ASCII without spaces'],
    [
      'a long module_id',
      { module_id: 'i'.repeat(257) },
      'its module_id is not 1 to 256 characters of ASCII without spaces',
    ],
    [
      'a line break in its module_id',
      { module_id: 'i\nj' },
      'its module_id is not 1 to 256 characters of ASCII without spaces',
    ],
    ['another digest', { digest: 'SHA256' }, 'its digest is not SHA384'],
    ['a timestamp of 0', { timestamp: 0 }, 'its timestamp is not an integer above 0'],
    ['a timestamp of text', { timestamp: `${NOW}` }, 'its timestamp is not an integer above 0'],
    ['null for a timestamp', { timestamp: null }, 'its timestamp is not an integer above 0'],
    ['a timestamp beyond 2^53', { timestamp: 2n ** 63n }, 'its timestamp is not an integer above 0'],
    ['a timestamp with a fraction', { timestamp: NOW + 0.5 }, 'its payload is not well-formed CBOR'],
    ['no registers', { pcrs: undefined }, 'it does not have either pcrs or nitrotpm_pcrs'],
    ['registers of both kinds', { nitrotpm_pcrs: new Map() }, 'it does not have either pcrs or nitrotpm_pcrs'],
    ['an empty map of registers', { pcrs: new Map() }, 'its pcrs are not a map of 1 to 32 registers'],
    [
      '33 registers',
      { pcrs: new Map(Array.from({ length: 33 }, (_, at) => [at, bytes(48)])) },
      'its pcrs are not a map of 1 to 32 registers',
    ],
    [
      'a register 32',
      { pcrs: new Map([[32, bytes(48)]]) },
      'its pcrs have an index that is not an integer from 0 to 31',
    ],
    [
      'a register -1',
      { pcrs: new Map([[-1, bytes(48)]]) },
      'its pcrs have an index that is not an integer from 0 to 31',
    ],
    [
      'a register named by text',
      { pcrs: new Map([['0', bytes(48)]]) },
      'its pcrs have an index that is not an integer from 0 to 31',
    ],
    [
      'a register of 20 bytes',
      { pcrs: new Map([[0, bytes(20)]]) },
      'its PCR0 is not a byte string of 32, 48, 64 bytes',
    ],
    [
      'a register of text',
      { pcrs: new Map([[0, 'x'.repeat(48)]]) },
      'its PCR0 is not a byte string of 32, 48, 64 bytes',
    ],
    ['no certificate', { certificate: undefined }, 'its certificate is not a byte string of 1 to 1024 bytes'],
    ['a long certificate', { certificate: bytes(1_025) }, 'its certificate is not a byte string of 1 to 1024 bytes'],
    ['no cabundle', { cabundle: undefined }, 'its cabundle is not a list of 1 to 10 certificates'],
    ['an empty cabundle', { cabundle: [] }, 'its cabundle is not a list of 1 to 10 certificates'],
    ['a long cabundle', { cabundle: Array(11).fill(bytes(9)) }, 'its cabundle is not a list of 1 to 10 certificates'],
    [
      'an empty certificate in its cabundle',
      { cabundle: [bytes(0)] },
      'a certificate of its cabundle is not a byte string of 1 to 1024 bytes',
    ],
    ['a long nonce', { nonce: bytes(1_025) }, 'its nonce is not a byte string of 0 to 1024 bytes'],
    ['user_data of text', { user_data: 'x' }, 'its user_data is not a byte string of 0 to 1024 bytes'],
    ['no public_key', { public_key: undefined }, 'it has no public_key to encrypt the response to'],
    ['null for a public_key', { public_key: null }, 'it has no public_key to encrypt the response to'],
    ['an empty public_key', { public_key: bytes(0) }, 'its public_key is not a byte string of 1 to 1024 bytes'],
    [
      'a public_key that is no key',
      { public_key: bytes(294) },
      'its public_key is not an RSA public key of 2048 to 4096 bits in DER',
    ],
    [
      'a public_key of RSA-1024',
      { public_key: spki(recipientKeys(1024)) },
      'its public_key is not an RSA public key of 2048 to 4096 bits in DER',
    ],
    [
      'a public_key of P-384',
      { public_key: spki(generateKeyPairSync('ec', { namedCurve: 'P-384' })) },
      'its public_key is not an RSA public key of 2048 to 4096 bits in DER',
    ],
    [
      'a public_key for PSS alone',
      { public_key: spki(generateKeyPairSync('rsa-pss', { modulusLength: 2048 })) },
      'its public_key is not an RSA public key of 2048 to 4096 bits in DER',
    ],
    [
      'a byte behind its public_key',
      { public_key: new Uint8Array([...spki(nitro.recipient), 0]) },
      'its public_key is not an RSA public key of 2048 to 4096 bits in DER',
    ],
  ])('with %s is refused', async (_what, fields, why) => {
    expect(await refusal(nitro.document({ fields }))).toBe(invalid(why));
  });
});

describe('the bytes of an attestation document', () => {
  const parsed = (hex: string) => refusal(Buffer.from(hex, 'hex'));

  test.each<[string, string, string]>([
    ['a key that is there twice', 'a2 01 3822 01 3822', 'it has a map with a key that is there twice'],
    [
      'a key that is there twice, in two encodings',
      'a2 01 3822 1801 3822',
      'it has a map with a key that is there twice',
    ],
    ['a key that is a list', 'a1 80 00', 'it has a map with a key that is neither text nor an integer'],
    ['a key beyond 2^53', 'a1 1bffffffffffffffff 00', 'it has a map with a key that is neither text nor an integer'],
    ['bytes behind it', '8000', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['nothing in it', '', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['a list without end', '9f 40 a0 4100 4100 ff', 'its COSE_Sign1 structure is not well-formed CBOR'],
    [
      'a byte string without end',
      '84 5f 43a10138 4122 ff a0 4100 4100',
      'its COSE_Sign1 structure is not well-formed CBOR',
    ],
    ['a list of 2^64 items', '9bffffffffffffffff', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['a list of 2^32 items', '9affffffff', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['a byte string of 2^63 bytes', '5b7fffffffffffffff00', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['lists in lists', '81'.repeat(16_000), 'its COSE_Sign1 structure has more than 128 items of CBOR'],
    ['five lists in lists', '8181818180', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['tags on tags', 'd2'.repeat(16_000), 'its COSE_Sign1 structure has more than 128 items of CBOR'],
    ['five tags on tags', 'd2d2d2d2d200', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['a list of 127 numbers', `98 7f ${'00'.repeat(127)}`, 'it is not a COSE_Sign1 structure of 4 parts'],
    ['a list of 128 numbers', `98 80 ${'00'.repeat(128)}`, 'its COSE_Sign1 structure has more than 128 items of CBOR'],
    [
      '128 numbers behind a text',
      `78 80 ${'61'.repeat(128)} ${'00'.repeat(128)}`,
      'its COSE_Sign1 structure has more than 128 items of CBOR',
    ],
    [
      'numbers without end',
      `9f ${'1a00000000'.repeat(200)} ff`,
      'its COSE_Sign1 structure has more than 128 items of CBOR',
    ],
    ['a floating point number', 'f90000', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['text that is not UTF-8', '61ff', 'its COSE_Sign1 structure is not well-formed CBOR'],
    ['a tag of something else', 'd1 84 43a10138 a0 4100 4100', 'it is not a COSE_Sign1 structure of 4 parts'],
    ['the tag twice', 'd2d2 84 43a10138 a0 4100 4100', 'it is not a COSE_Sign1 structure of 4 parts'],
    ['a list of three', '83 43a10138 a0 4100', 'it is not a COSE_Sign1 structure of 4 parts'],
    ['a big number', 'c2 49 010000000000000000', 'it is not a COSE_Sign1 structure of 4 parts'],
  ])('with %s are refused', async (_what, hex, why) => {
    expect(await parsed(hex.replaceAll(' ', ''))).toBe(invalid(why));
  });

  test('may have an outermost map of the payload of indefinite length, as newer hypervisors write it', async () => {
    const payload = Buffer.from(encode(new Map(Object.entries(nitro.fields()))));
    const indefinite = Buffer.concat([Buffer.from([0xbf]), payload.subarray(1), Buffer.from([0xff])]);
    await verifier.verify(nitro.document({ payload: new Uint8Array(indefinite) }), NOW);
  });
});

describe('a document that an AWS hypervisor has signed', () => {
  /** AWS Nitro Enclaves User Guide, "Verifying the root of trust": SHA-256 of the root certificate G1. */
  const G1 = '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';

  test.each(published.documents)('verifies with the root G1 at its own time: $source', async ({ document }) => {
    const { payload, signature, signed } = parseCoseSign1(Buffer.from(document, 'base64'));
    const { certificate, caBundle, timestamp, moduleId } = parseAttestationDocument(payload);
    expect(moduleId).toMatch(/^i-[0-9a-f]{17}-enc[0-9a-f]{16}$/);
    const [root] = caBundle;
    expect(createHash('sha256').update(root!).digest('hex')).toBe(G1);
    const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(root!).toString('base64')}\n-----END CERTIFICATE-----`;
    const chains = new CertificateChains(parseTrustedRoots(pem));
    const key = await chains.keyOf(certificate, caBundle, timestamp);
    expect(await verifies(signed, key, signature, 'ieee-p1363')).toBe(true);
    const fourHours = 4 * 3_600_000;
    await expect(chains.keyOf(certificate, caBundle, timestamp + fourHours)).rejects.toThrow(
      'its certificate expired at',
    );
    await expect(chains.keyOf(certificate, caBundle, timestamp - fourHours)).rejects.toThrow('is not valid before');
  });
});
