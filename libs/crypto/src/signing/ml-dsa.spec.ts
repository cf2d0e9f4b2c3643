import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { publicKeyOf } from '#hsm/key-generation';
import { endOffLoop } from '#hsm/off-loop';
import golden from '../golden/ml-dsa.json';
import { type MlDsaSpec, sign, verify } from './ml-dsa';

const SPECS: MlDsaSpec[] = ['ML_DSA_44', 'ML_DSA_65', 'ML_DSA_87'];
const MESSAGE = Buffer.from(golden.message);
/** Bytes of SubjectPublicKeyInfo before the public key (RFC 9881). */
const PREFIX_LENGTH = 22;

/** FIPS 204 algorithm 7, line 6: of a message, with the M' of algorithm 2 for an empty context. */
function muOf(spki: Buffer, message: Uint8Array): Buffer {
  const shake = () => createHash('shake256', { outputLength: 64 });
  const tr = shake().update(spki.subarray(PREFIX_LENGTH)).digest();
  return shake().update(tr).update(Buffer.of(0, 0)).update(message).digest();
}

afterAll(endOffLoop);

/** Made by OpenSSL 3.5.9, from the seed 000102...1f, without randomness. */
describe.each(SPECS)('%s of OpenSSL', (spec) => {
  const spki = Buffer.from(golden[spec].publicKey, 'base64');
  const signature = Buffer.from(golden[spec].signature, 'base64');

  it('has the public key that the same seed has here', async () => {
    expect(await publicKeyOf(spec, createSecretKey(Buffer.from(golden.seed, 'hex')))).toEqual(spki);
  });

  it('is verified, by the message and by its mu', () => {
    expect(verify(spec, spki, MESSAGE, signature, false)).toBe(true);
    expect(verify(spec, spki, muOf(spki, MESSAGE), signature, true)).toBe(true);
    // The mu of one is no message of the other.
    expect(verify(spec, spki, muOf(spki, MESSAGE), signature, false)).toBe(false);
  });

  it('is not verified with anything changed', () => {
    for (const at of [0, 31, 700, signature.length - 1]) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 1;
      expect(verify(spec, spki, MESSAGE, changed, false)).toBe(false);
    }
    for (const other of [signature.subarray(1), Buffer.concat([signature, Buffer.of(0)]), Buffer.alloc(0)]) {
      expect(verify(spec, spki, MESSAGE, other, false)).toBe(false);
    }
    expect(verify(spec, spki, Buffer.from('another'), signature, false)).toBe(false);
  });
});

describe.each(SPECS)('a signature of a key of spec %s', (spec) => {
  const seed = createSecretKey(randomBytes(32));

  it('is verified by the message and by its mu, whichever was signed, and differs each time', async () => {
    const spki = await publicKeyOf(spec, seed);
    const mu = muOf(spki, MESSAGE);
    const signatures = [sign(spec, seed, MESSAGE, false), sign(spec, seed, mu, true), sign(spec, seed, MESSAGE, false)];
    for (const signature of signatures) {
      expect(verify(spec, spki, MESSAGE, signature, false)).toBe(true);
      expect(verify(spec, spki, mu, signature, true)).toBe(true);
    }
    expect(new Set(signatures.map((one) => Buffer.from(one).toString('hex'))).size).toBe(signatures.length);
  });
});
