import { constants, createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { encodePss, HASH_LENGTH, isPssOf, type RsaHash } from './emsa';
import { type RsaScheme, signDigest, verifyDigest } from './rsa-digests';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const MESSAGE = Buffer.from('the quick brown fox');
const HASHES = Object.keys(HASH_LENGTH) as RsaHash[];
const digestOf = (hash: string): Buffer => createHash(hash).update(MESSAGE).digest();
const paddingOf = ({ padding }: RsaScheme) =>
  padding === 'PSS'
    ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { padding: constants.RSA_PKCS1_PADDING };
const SCHEMES = HASHES.flatMap((hash) => (['PSS', 'PKCS1_V1_5'] as const).map((padding) => ({ padding, hash })));

describe.each(SCHEMES)('an RSA signature over a digest, $padding with $hash', (scheme) => {
  const digest = digestOf(scheme.hash);

  it('is one over the message, for OpenSSL', () => {
    const signature = signDigest(scheme, privateKey, digest);
    expect(verify(scheme.hash, MESSAGE, { key: publicKey, ...paddingOf(scheme) }, signature)).toBe(true);
  });

  it('is verified as OpenSSL makes it over the message', () => {
    const signature = sign(scheme.hash, MESSAGE, { key: privateKey, ...paddingOf(scheme) });
    expect(verifyDigest(scheme, publicKey, digest, signature)).toBe(true);
  });

  it('is not verified once any of its bytes, or its digest, is another', () => {
    const signature = signDigest(scheme, privateKey, digest);
    for (const at of [0, 1, 128, 254, 255]) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 1;
      expect(verifyDigest(scheme, publicKey, digest, changed)).toBe(false);
    }
    expect(verifyDigest(scheme, publicKey, createHash(scheme.hash).digest(), signature)).toBe(false);
  });

  it('is not verified as one of another scheme', () => {
    const signature = signDigest(scheme, privateKey, digest);
    const others = SCHEMES.filter((other) => other !== scheme);
    expect(others.filter((other) => verifyDigest(other, publicKey, digestOf(other.hash), signature))).toEqual([]);
  });

  it.each([0, 1, 255, 257, 6144])('is nothing that has %i bytes', (length) => {
    expect(verifyDigest(scheme, publicKey, digest, Buffer.alloc(length, 1))).toBe(false);
  });
});

describe('PSS with another salt', () => {
  it('is refused, as OpenSSL refuses it where the salt must be as long as the digest', () => {
    const digest = digestOf('sha256');
    for (const saltLength of [0, 20, 31, 33, 64]) {
      const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
      const signature = sign('sha256', MESSAGE, { key: privateKey, ...padding });
      expect(verifyDigest({ padding: 'PSS', hash: 'sha256' }, publicKey, digest, signature)).toBe(false);
    }
  });

  it('differs from signature to signature', () => {
    const scheme = { padding: 'PSS', hash: 'sha256' } as const;
    const digest = digestOf('sha256');
    expect(signDigest(scheme, privateKey, digest)).not.toEqual(signDigest(scheme, privateKey, digest));
  });
});

describe('the PSS encoding', () => {
  it('holds what it was made of, and nothing else once a bit of it is another', () => {
    const digest = digestOf('sha384');
    const encoded = encodePss('sha384', digest, 256);
    expect(isPssOf('sha384', digest, encoded)).toBe(true);
    for (let at = 0; at < 8 * encoded.length; at++) {
      const changed = Buffer.from(encoded);
      changed[at >> 3]! ^= 1 << (at & 7);
      expect(isPssOf('sha384', digest, changed)).toBe(false);
    }
  });
});

/** C2SP/wycheproof, testvectors_v1/rsa_signature_2048_sha256_test.json, tests 4, 8 and 9: over "123400". */
describe('Wycheproof', () => {
  const key = createPublicKey({
    key: Buffer.from(
      '30820122300d06092a864886f70d01010105000382010f003082010a0282010100a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094fa1fee82224e637f9746d3f7cafd31878d80325b6ef5a1700f65903b469429e89d6eac8845097b5ab393189db92512ed8a7711a1253facd20f79c15e8247f3d3e42e46e48c98e254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed81299615d9814c22da610428e09c7d9658594266f5c021d0fceca08d945a12be82de4d1ece6b4c03145b5d3495d4ed5411eb878daf05fd7afc3e09ada0f1126422f590975a1969816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c4e5ac0f7c1a45d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf7820283f742b9d50203010001',
      'hex',
    ),
    format: 'der',
    type: 'spki',
  });
  const digest = createHash('sha256').update('123400').digest();

  it.each([
    [
      'valid',
      true,
      '1758eb94588e6fc4f50c1be1afcaa41027869f304cad513b1fb12c2f446d63cdc05c4830a7e3e630da7b2da4f7867cc173bf6420f9732277282596de41ded32e21d0cc31441174da8765f57419c7764ea758f55bc17646eb100c435d1ac0eed6fc7ba6de5f832094ee2f479979765e05ac9976788db3c241a9e32a0da864f0019a87646ba623d63f4411af5dee1be9ec488c7e3e1b231479de70b9ac5f78a17b1f4120aece45f26c07e7bb345fdfeb05e14bcaacc614672a465fc523624cb19f66f9c6c3f642b832ca44cb25176d679f0e05606c3fed022cac24c2bf960a406d48818e3eb7ed53b0446032469047dfed95fc18088c92d91d93722c47f88163a8',
    ],
    [
      'without the NULL of its DigestInfo',
      false,
      '095dad1fd82bcd36652a381b7f4dd656bd89b40aa58b56da4f6aa8247874b935e65d2b86752d537df7103884d39dd9ad3d65f87404526b09094c5615c6249979b0dc58d2199ae8696a5b76b4bb03eaf08c2ab6aec686c6b1b289c9b44f648bd30cb1ac6a64a73d68e59cd05e7aa1b780f4bfd7b83dfe3b884ec11821a93dc5bbb47a00eea4557b6b96b5656276001f1f295ddbbbc511a99b9a665b9c2674c8af0d812286d0be3ce74817ba2cad283757de35dfb149f2835f60cb03ff155524a57f78b148feceb84cd20b0ae22e3e48f433fbd9bfd60be8afec93165ee0310be961d3695f309d031320c830aa6ba08b5a51d943797097c57630be391bd23736cc',
    ],
    [
      'with a length in its DigestInfo that BER allows and DER does not',
      false,
      '8a0e82d4f334aca72a718b6f8f643f69c6048d619d5eba71263a5d2d3ac7a7af133b780c7595ca2c982c006e861948f543cd0210c758691f9626842c25de2843ea314ca8eff285d47e0cffa54180af416004017034962a80a5959c3d3f1bfc154a4824462a93c014f6dfe920824f414a6e30e0e5944d480b99949ec7bf64c4a7461575933b17d7d6b0178b5192392ace3ed8469e8ac1dacae51ad5d3ad73dcb213e056d04596e64d8c0703def3110c7cecc93ba8ac8059f0f3d66b89d8712c62b41d407e4b4a104f4569558b0290c213cad6d0653898b9df8f4a453ab07d13bfb7598d505abbd0c4987e4f1ac66e1a523e113e370ab7cf990f0cc63f50f4f0a4',
    ],
  ])('%s', (_what, valid, signature) => {
    expect(verifyDigest({ padding: 'PKCS1_V1_5', hash: 'sha256' }, key, digest, Buffer.from(signature, 'hex'))).toBe(
      valid,
    );
  });
});
