import { execFileSync } from 'node:child_process';
import { constants, createDecipheriv, generateKeyPairSync, privateDecrypt, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { findOpenssl } from '../../../../test/support/certificates';
import { readAsEnclavesSdk } from '../../../../test/support/enclaves-sdk';
import { envelop } from './enveloped-data';

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

function opened(envelope: Buffer): Buffer {
  const { encryptedKey, iv, content } = readAsEnclavesSdk(envelope);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = privateDecrypt({ key: privateKey, padding, oaepHash: 'sha256' }, encryptedKey);
  const cipher = createDecipheriv('aes-256-cbc', key, iv);
  return Buffer.concat([cipher.update(content), cipher.final()]);
}

describe('an envelope for a recipient', () => {
  test('opens to what was put in, whatever its length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6_000 }), (plaintext) => {
        expect(opened(envelop(plaintext, publicKey, randomBytes))).toEqual(Buffer.from(plaintext));
      }),
      { numRuns: 50 },
    );
  });

  test('has a key and an IV of its own, and leaves no key behind', () => {
    const given: Buffer[] = [];
    const random = (length: number): Buffer => {
      given.push(randomBytes(length));
      return given.at(-1)!;
    };
    const [one, other] = [1, 2].map(() => readAsEnclavesSdk(envelop(Buffer.from('secret'), publicKey, random)));
    expect(one!.iv).not.toEqual(other!.iv);
    expect(given.map(({ length }) => length)).toEqual([32, 16, 32, 16]);
    expect([given[0], given[2]]).toEqual([Buffer.alloc(32), Buffer.alloc(32)]);
  });

  /**
   * A reply of AWS KMS: aws/aws-nitro-enclaves-sdk-c (Apache-2.0), tests/cms_test.c, input_ber. Lengths and values that differ from
   * reply to reply are left out: the key identifier, the encrypted key, the IV, and the content of 48 bytes.
   */
  const OF_AWS = [
    '308006092a864886f70d010703a0803080020102318201' + '6b308201670201028020',
    '303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500' +
      '04820100',
    '308006092a864886f70d010701301d06096086480165030401' + '2a0410',
    'a0800430',
    '00000000000000000000',
  ];

  test('has the bytes of one of AWS KMS, but for what is encrypted', () => {
    const envelope = envelop(Buffer.alloc(40), publicKey, randomBytes).toString('hex');
    expect(envelope).toMatch(
      new RegExp(`^${OF_AWS[0]}.{64}${OF_AWS[1]}.{512}${OF_AWS[2]}.{32}${OF_AWS[3]}.{96}${OF_AWS[4]}$`),
    );
  });

  test('is refused where nothing can be encrypted to the key', () => {
    const { n } = publicKey.export({ format: 'jwk' }) as { n: string };
    const modulus = Buffer.from(n, 'base64url');
    modulus[modulus.length - 1]! &= 0xfe;
    const even = require('node:crypto').createPublicKey({
      key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' },
      format: 'jwk',
    });
    expect(() => envelop(Buffer.from('x'), even, randomBytes)).toThrow(
      'The attestation document in Recipient is not valid: nothing can be encrypted to its public_key.',
    );
  });
});

(findOpenssl() ? describe : describe.skip)('openssl cms', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keytrail-cms-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each([0, 1, 15, 16, 32, 4_096])('decrypts an envelope of %d bytes', (length) => {
    const plaintext = randomBytes(length);
    const [envelope, key] = [join(folder, 'envelope'), join(folder, 'key.pem')];
    writeFileSync(envelope, envelop(plaintext, publicKey, randomBytes));
    writeFileSync(key, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
    expect(execFileSync('openssl', ['cms', '-decrypt', '-inform', 'DER', '-in', envelope, '-inkey', key])).toEqual(
      plaintext,
    );
  });
});
