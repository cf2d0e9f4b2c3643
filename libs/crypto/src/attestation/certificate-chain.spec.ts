import { generateKeyPairSync } from 'node:crypto';
import { OctetString } from '@peculiar/asn1-schema';
import { Extension, KeyUsageFlags } from '@peculiar/asn1-x509';
import {
  AUTHORITY,
  type CertificateOptions,
  certificate,
  type Issued,
  pemOf,
  recipientKeys,
  SIGNER,
  TestNitro,
} from '../../../../test/support/attestation-documents';
import { CertificateChains } from './certificate-chain';
import { parseTrustedRoots } from './trusted-roots';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const nitro = new TestNitro(NOW, recipientKeys());
const roots = parseTrustedRoots(nitro.rootPem);
const [region, zone, instance] = nitro.authorities as [Issued, Issued, Issued];
const CHAIN = [nitro.root, region, zone, instance];

const issue = (options: Partial<CertificateOptions> & { name: string }): Issued => certificate(NOW, options);
const enclave = (options: Partial<CertificateOptions> = {}): Issued =>
  issue({ name: 'enclave', issuer: instance, authority: false, ...options });

const keyOf = (leaf: Issued, bundle: readonly Issued[] = CHAIN, now = NOW) =>
  new CertificateChains(roots).keyOf(
    leaf.der,
    bundle.map(({ der }) => der),
    now,
  );

async function refusal(leaf: Issued, bundle: readonly Issued[] = CHAIN, now = NOW): Promise<string> {
  const failure = await keyOf(leaf, bundle, now).then(
    () => undefined,
    (error) => error,
  );
  expect(failure).toMatchObject({ name: 'KmsError', code: 'ValidationException' });
  return /^The attestation document in Recipient is not valid: (.*)\.$/.exec(failure.message)![1]!;
}

const NOT_OF_THE_PKI = (what: string): string =>
  `${what} is not an X.509 certificate of a P-384 key, signed with ECDSA and SHA-384, without unknown critical extensions`;

describe('a chain of certificates', () => {
  test('leads from a trusted root to the key that signs documents', async () => {
    const leaf = enclave();
    expect((await keyOf(leaf)).export({ format: 'jwk' })).toMatchObject({ crv: 'P-384' });
    const direct = enclave({ issuer: nitro.root });
    await keyOf(direct, [nitro.root]);
  });

  test('must begin with a trusted root, byte for byte', async () => {
    const untrusted = 'the first certificate of its cabundle is not a trusted root';
    const namesake = issue({ name: nitro.root.name });
    const others = issue({ name: 'region', issuer: namesake });
    expect(await refusal(enclave({ issuer: others }), [namesake, others])).toBe(untrusted);
    expect(await refusal(enclave(), [region, zone, instance])).toBe(untrusted);
    // The root's own name and key, but not the certificate that is trusted.
    const anew = issue({ name: nitro.root.name, signWith: nitro.root.privateKey });
    expect(await refusal(enclave({ issuer: anew }), [anew])).toBe(untrusted);
  });

  test('is refused where a namesake of the root, or of an authority, has signed', async () => {
    const root = issue({ name: nitro.root.name });
    const forged = issue({ name: 'region', issuer: root });
    expect(await refusal(enclave({ issuer: forged }), [nitro.root, forged])).toBe(
      'the signature of certificate 1 of its cabundle does not verify',
    );
    const namesake = issue({ name: 'instance', issuer: zone });
    expect(await refusal(enclave({ issuer: namesake }))).toBe('the signature of its certificate does not verify');
  });

  test('is refused where a certificate has signed itself', async () => {
    expect(await refusal(issue({ name: 'enclave', authority: false }))).toBe(
      'its certificate does not name the certificate before it as its issuer',
    );
    expect(await refusal(issue({ name: 'enclave', authority: false, issuerName: 'instance' }))).toBe(
      'the signature of its certificate does not verify',
    );
  });

  test('is refused where one is left out, or where they are in another order', async () => {
    expect(await refusal(enclave(), [nitro.root, region, instance])).toBe(
      'certificate 2 of its cabundle does not name the certificate before it as its issuer',
    );
    expect(await refusal(enclave(), [nitro.root, zone, region, instance])).toBe(
      'certificate 1 of its cabundle does not name the certificate before it as its issuer',
    );
  });

  test('is refused where one that is no authority has issued', async () => {
    const other = enclave({ issuer: nitro.root });
    expect(await refusal(issue({ name: 'below', issuer: other, authority: false }), [nitro.root, other])).toBe(
      'certificate 1 of its cabundle is not that of an authority',
    );
    const without = issue({ name: 'instance', issuer: zone, usage: KeyUsageFlags.digitalSignature });
    expect(await refusal(enclave({ issuer: without }), [nitro.root, region, zone, without])).toBe(
      'the keyUsage of certificate 3 of its cabundle lacks keyCertSign',
    );
    const unsaid = issue({ name: 'instance', issuer: zone, usage: undefined });
    expect(await refusal(enclave({ issuer: unsaid }), [nitro.root, region, zone, unsaid])).toBe(
      'the keyUsage of certificate 3 of its cabundle lacks keyCertSign',
    );
  });

  test('is refused where an authority, or what may not sign, has signed the document', async () => {
    expect(await refusal(enclave({ authority: true, usage: SIGNER | AUTHORITY }))).toBe(
      'its certificate is that of an authority',
    );
    expect(await refusal(enclave({ pathLength: 0 }))).toBe('its certificate is that of an authority');
    expect(await refusal(enclave({ usage: KeyUsageFlags.keyAgreement }))).toBe(
      'the keyUsage of its certificate lacks digitalSignature',
    );
    expect(await refusal(enclave({ usage: undefined }))).toBe('the keyUsage of its certificate lacks digitalSignature');
  });

  test('is refused where it is longer than an authority allows', async () => {
    const narrow = issue({ name: 'narrow', issuer: nitro.root, pathLength: 0 });
    const below = issue({ name: 'below', issuer: narrow });
    await keyOf(enclave({ issuer: narrow }), [nitro.root, narrow]);
    expect(await refusal(enclave({ issuer: below }), [nitro.root, narrow, below])).toBe(
      'certificate 1 of its cabundle allows 0 authorities after it, and 1 follow',
    );
  });

  test.each<[string, number]>([
    ['its certificate', 4],
    ['certificate 3 of its cabundle', 3],
    ['certificate 1 of its cabundle', 1],
  ])('is refused before and after the dates of %s, by the time that it is given', async (what, at) => {
    const bundle = [nitro.root];
    const dated = { notBefore: NOW - HOUR, notAfter: NOW + HOUR };
    for (const [index, name] of ['region', 'zone', 'instance'].entries()) {
      bundle.push(issue({ name, issuer: bundle[index]!, ...(index + 1 === at && dated) }));
    }
    const leaf = enclave({ issuer: bundle[3]!, ...(at === 4 && dated) });
    const chains = new CertificateChains(roots);
    const ask = (now: number) =>
      chains.keyOf(
        leaf.der,
        bundle.map(({ der }) => der),
        now,
      );
    const message = (rest: string) => `The attestation document in Recipient is not valid: ${what} ${rest}.`;
    await expect(ask(NOW - HOUR - 1_000)).rejects.toThrow(message('is not valid before 2026-03-01T11:00:00.000Z'));
    await ask(NOW - HOUR);
    // What has been verified once is not good for longer.
    await ask(NOW + HOUR);
    await expect(ask(NOW + HOUR + 1_000)).rejects.toThrow(message('expired at 2026-03-01T13:00:00.000Z'));
  });

  test('is refused outside the dates of the root', async () => {
    const root = issue({ name: 'old', notAfter: NOW - HOUR });
    const chains = new CertificateChains(parseTrustedRoots(pemOf(root)));
    await expect(chains.keyOf(enclave({ issuer: root }).der, [root.der], NOW)).rejects.toThrow(
      'its root certificate expired',
    );
  });

  test.each<[string, Partial<CertificateOptions>]>([
    ['a key of P-256', { curve: 'P-256' }],
    ['a key of P-521', { curve: 'P-521' }],
    ['a key of secp256k1', { curve: 'secp256k1' }],
    ['an RSA key', { keys: generateKeyPairSync('rsa', { modulusLength: 2048 }) }],
    ['an Ed25519 key', { keys: generateKeyPairSync('ed25519') }],
    [
      'a curve by its parameters',
      { keys: generateKeyPairSync('ec', { namedCurve: 'P-384', paramEncoding: 'explicit' }) },
    ],
    ['a signature with SHA-256', { hash: 'sha256' }],
    ['version 1', { version: 0 }],
    [
      'a critical extension that nobody knows',
      { extensions: [new Extension({ extnID: '1.2.3.4', critical: true, extnValue: new OctetString([5, 0]) })] },
    ],
    [
      'an extension that is there twice',
      { extensions: [1, 2].map(() => new Extension({ extnID: '1.2.3.4', extnValue: new OctetString([5, 0]) })) },
    ],
  ])('is refused where the certificate has %s', async (_what, options) => {
    expect(await refusal(enclave(options))).toBe(NOT_OF_THE_PKI('its certificate'));
    const authority = issue({ name: 'instance', issuer: zone, ...options });
    expect(await refusal(enclave(), [nitro.root, region, zone, authority])).toBe(
      NOT_OF_THE_PKI('certificate 3 of its cabundle'),
    );
  });

  test('takes extensions that are not critical', async () => {
    await keyOf(enclave({ extensions: [new Extension({ extnID: '1.2.3.4', extnValue: new OctetString([5, 0]) })] }));
  });

  test.each<[string, (der: Buffer) => Uint8Array]>([
    ['bytes behind it', (der) => Buffer.concat([der, Buffer.from([0])])],
    ['a byte missing', (der) => der.subarray(0, -1)],
    ['text of PEM around it', (der) => Buffer.from(pemOf({ der })).subarray(0, 1_024)],
    ['nothing of a certificate', () => Buffer.alloc(500, 0x30)],
    ['an empty sequence', () => Buffer.from([0x30, 0])],
    ['one byte', () => Buffer.from([0x30])],
  ])('is refused where the certificate has %s', async (_what, change) => {
    const { der, ...rest } = enclave();
    expect(await refusal({ ...rest, der: Buffer.from(change(der)) })).toBe(NOT_OF_THE_PKI('its certificate'));
  });

  test('is not believed a second time where another issuer had verified a certificate', async () => {
    // Two authorities with one name and one key: each certificate below verifies with both.
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const wide = issue({ name: 'twin', issuer: nitro.root, keys });
    const narrow = issue({ name: 'twin', issuer: nitro.root, keys, pathLength: 0 });
    const below = issue({ name: 'below', issuer: wide });
    const leaf = enclave({ issuer: below });
    const chains = new CertificateChains(roots);
    await chains.keyOf(leaf.der, [nitro.root.der, wide.der, below.der], NOW);
    await expect(chains.keyOf(leaf.der, [nitro.root.der, narrow.der, below.der], NOW)).rejects.toThrow(
      'certificate 1 of its cabundle allows 0 authorities after it, and 1 follow',
    );
  });
});

describe('a file of trusted roots', () => {
  test('may have several, with text between them', () => {
    const other = issue({ name: 'other' });
    const names = parseTrustedRoots(`first\n${nitro.rootPem}\nand second\r\n${pemOf(other)}`).map(({ der }) => der);
    expect(names).toEqual([nitro.root.der, other.der]);
  });

  test.each<[string, string, string]>([
    ['nothing', '', 'it has no certificate in PEM'],
    ['a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----', 'it has no certificate in PEM'],
    ['no authority', pemOf(enclave()), 'certificate 1 is not that of an authority'],
    [
      'an authority of P-256',
      pemOf(issue({ name: 'p256', curve: 'P-256' })),
      'certificate 1 is not an X.509 certificate',
    ],
    ['half a certificate', nitro.rootPem.replace(/\n.{64}\n/, '\n'), 'certificate 1 is not an X.509 certificate'],
  ])('with %s is refused', (_what, pem, why) => {
    expect(() => parseTrustedRoots(pem)).toThrow(why);
  });
});
