import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import fc from 'fast-check';
import { der, INTEGER, OCTET_STRING, SEQUENCE } from './der';
import { checkedMaterial, type ImportableSpec, importedMaterialId, isImportable, mayWrap } from './imported-material';

const pkcs8 = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'pkcs8' });
const spki = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' });

const CURVES = {
  ECC_NIST_P256: 'P-256',
  ECC_NIST_P384: 'P-384',
  ECC_NIST_P521: 'P-521',
  ECC_SECG_P256K1: 'secp256k1',
} as const;
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve });

describe('secrets', () => {
  it.each<[ImportableSpec, number, number]>([
    ['SYMMETRIC_DEFAULT', 32, 32],
    ['HMAC_224', 28, 128],
    ['HMAC_256', 32, 128],
    ['HMAC_384', 48, 128],
    ['HMAC_512', 64, 128],
  ])('of %s have %i to %i bytes', async (keySpec, min, max) => {
    for (const length of [min, max]) {
      const material = randomBytes(length);
      expect(await checkedMaterial(keySpec, material)).toEqual({ material, publicKey: undefined });
    }
    for (const length of [0, min - 1, max + 1]) {
      expect(await checkedMaterial(keySpec, Buffer.alloc(length))).toBeUndefined();
    }
  });
});

describe('private keys', () => {
  it.each(Object.entries(CURVES) as [ImportableSpec, string][])('of %s are of that curve', async (keySpec, curve) => {
    const { privateKey, publicKey } = ec(curve);
    expect(await checkedMaterial(keySpec, pkcs8(privateKey))).toEqual({
      material: pkcs8(privateKey),
      publicKey: spki(publicKey),
    });
    const other = ec(curve === 'P-256' ? 'P-384' : 'P-256').privateKey;
    expect(await checkedMaterial(keySpec, pkcs8(other))).toBeUndefined();
  });

  it('of RSA are of that length', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(await checkedMaterial('RSA_2048', pkcs8(privateKey))).toEqual({
      material: pkcs8(privateKey),
      publicKey: spki(publicKey),
    });
    expect(await checkedMaterial('RSA_3072', pkcs8(privateKey))).toBeUndefined();
    expect(await checkedMaterial('ECC_NIST_P256', pkcs8(privateKey))).toBeUndefined();
    const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey;
    expect(await checkedMaterial('RSA_2048', pkcs8(pss))).toBeUndefined();
  });

  it('of Ed25519', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    expect(await checkedMaterial('ECC_NIST_EDWARDS25519', pkcs8(privateKey))).toEqual({
      material: pkcs8(privateKey),
      publicKey: spki(publicKey),
    });
    const { privateKey: agreement } = generateKeyPairSync('x25519');
    expect(await checkedMaterial('ECC_NIST_EDWARDS25519', pkcs8(agreement))).toBeUndefined();
  });

  it('are refused with a public key that is not theirs', async () => {
    const mine = pkcs8(ec('P-256').privateKey);
    const theirs = pkcs8(ec('P-256').privateKey);
    // The last 65 bytes are the point.
    const mixed = Buffer.concat([mine.subarray(0, -65), theirs.subarray(-65)]);
    expect(createPrivateKey({ key: mixed, format: 'der', type: 'pkcs8' }).asymmetricKeyType).toBe('ec');
    expect(await checkedMaterial('ECC_NIST_P256', mixed)).toBeUndefined();
  });

  it('are refused in any other form: SEC 1, PKCS #1, encrypted, PEM, public keys, secrets', async () => {
    const { privateKey, publicKey } = ec('P-256');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const encrypted = privateKey.export({ format: 'der', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' });
    const others: [ImportableSpec, Buffer][] = [
      ['ECC_NIST_P256', privateKey.export({ format: 'der', type: 'sec1' })],
      ['RSA_2048', rsa.export({ format: 'der', type: 'pkcs1' })],
      ['ECC_NIST_P256', encrypted],
      ['ECC_NIST_P256', Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' }))],
      ['ECC_NIST_P256', spki(publicKey)],
      ['ECC_NIST_P256', randomBytes(32)],
      ['ECC_NIST_P256', Buffer.alloc(0)],
    ];
    for (const [keySpec, bytes] of others) expect(await checkedMaterial(keySpec, bytes)).toBeUndefined();
  });

  /** Made with OpenSSL 3.0.19: `openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit`, and PKCS #8 of it. */
  it('are refused with the parameters of their curve written out', async () => {
    const key = createPrivateKey({ key: EXPLICIT, format: 'der', type: 'pkcs8' });
    expect(key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(await checkedMaterial('ECC_NIST_P256', EXPLICIT)).toBeUndefined();
  });

  /** Made with OpenSSL 3.0.19: `openssl genrsa -primes 3 2048`, and PKCS #8 of it. */
  it('of RSA are refused with three primes', async () => {
    const key = createPrivateKey({ key: THREE_PRIMES, format: 'der', type: 'pkcs8' });
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(await checkedMaterial('RSA_2048', THREE_PRIMES)).toBeUndefined();
  });

  it.each([
    ['0', Buffer.alloc(32)],
    ['the order', Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')],
    ['longer than the order', Buffer.alloc(60, 7)],
    ['of no bytes', Buffer.alloc(0)],
  ])('are refused with a scalar that is %s', async (_what, scalar) => {
    const ecPrivateKey = der(SEQUENCE, der(INTEGER, Buffer.of(1)), der(OCTET_STRING, scalar));
    const p256 = Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex');
    const bytes = der(SEQUENCE, der(INTEGER, Buffer.of(0)), p256, der(OCTET_STRING, ecPrivateKey));
    expect(await checkedMaterial('ECC_NIST_P256', bytes)).toBeUndefined();
  });

  it('of RSA are refused with a public exponent that is 1, or as long as the modulus', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = privateKey.export({ format: 'jwk' });
    // The halves exchanged: a key pair all the same.
    const { e, d } = { e: jwk.d!, d: jwk.e! };
    const ONE = Buffer.of(1).toString('base64url');
    for (const exponents of [
      { e, d, dp: d, dq: d },
      { e: ONE, d: ONE, dp: ONE, dq: ONE },
    ]) {
      const odd = createPrivateKey({ key: { ...jwk, ...exponents }, format: 'jwk' });
      expect(sign('sha256', Buffer.of(1), odd)).toHaveLength(256);
      expect(await checkedMaterial('RSA_2048', pkcs8(odd))).toBeUndefined();
    }
  });

  it('altered anywhere are refused, or are still the same key: nothing throws', async () => {
    const bytes = pkcs8(ec('P-256').privateKey);
    const publicKey = spki(createPublicKey(createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.length * 8 - 1 }), async (at) => {
        const altered = Buffer.from(bytes);
        altered[at >> 3]! ^= 1 << (at & 7);
        const checked = await checkedMaterial('ECC_NIST_P256', altered);
        expect(checked === undefined || checked.publicKey!.equals(publicKey)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the id of imported material', () => {
  const ARN = 'arn:aws:kms:us-east-1:000000000000:key/8c0c3863-e6c5-4f5a-99f1-27e414aafb91';
  const KEY = Buffer.alloc(32, 1);
  const secret = { material: Buffer.alloc(32, 5), publicKey: undefined };

  it('is the same for the same material of the same key, and for nothing else', () => {
    const id = importedMaterialId(KEY, ARN, secret);
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(importedMaterialId(KEY, ARN, { ...secret })).toBe(id);
    const others = [
      importedMaterialId(Buffer.alloc(32, 2), ARN, secret),
      importedMaterialId(KEY, ARN.replace('us-east-1', 'us-east-2'), secret),
      importedMaterialId(KEY, ARN, { ...secret, material: Buffer.alloc(32, 6) }),
    ];
    for (const other of others) expect(other).not.toBe(id);
  });

  it('is that of the key pair, however its private key is encoded', async () => {
    const { privateKey } = ec('P-256');
    // Without its point (RFC 5915 has it optional): PKCS #8 of the scalar alone.
    const whole = pkcs8(privateKey);
    const scalar = whole.subarray(36, 68);
    const bare = Buffer.concat([
      Buffer.from('3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420', 'hex'),
      scalar,
    ]);
    const [one, two] = await Promise.all([whole, bare].map((bytes) => checkedMaterial('ECC_NIST_P256', bytes)));
    expect(two!.material).not.toEqual(one!.material);
    expect(importedMaterialId(KEY, ARN, two!)).toBe(importedMaterialId(KEY, ARN, one!));
  });
});

describe('a wrapping', () => {
  it.each<[Parameters<typeof mayWrap>, boolean]>([
    [['RSAES_OAEP_SHA_256', 'RSA_2048', 'SYMMETRIC_DEFAULT'], true],
    [['RSA_AES_KEY_WRAP_SHA_256', 'RSA_4096', 'SYMMETRIC_DEFAULT'], false],
    [['RSAES_OAEP_SHA_1', 'RSA_3072', 'HMAC_512'], true],
    [['RSA_AES_KEY_WRAP_SHA_1', 'RSA_3072', 'HMAC_512'], false],
    [['RSAES_OAEP_SHA_256', 'RSA_4096', 'RSA_2048'], false],
    [['RSA_AES_KEY_WRAP_SHA_1', 'RSA_2048', 'RSA_4096'], true],
    [['RSAES_OAEP_SHA_256', 'RSA_2048', 'ECC_NIST_P384'], true],
    [['RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048', 'ECC_NIST_P384'], true],
    [['RSAES_OAEP_SHA_1', 'RSA_2048', 'ECC_NIST_P521'], false],
    [['RSAES_OAEP_SHA_1', 'RSA_3072', 'ECC_NIST_P521'], true],
    [['RSA_AES_KEY_WRAP_SHA_1', 'RSA_2048', 'ECC_NIST_P521'], true],
  ])('%j is allowed: %s', (wrapping, allowed) => {
    expect(mayWrap(...wrapping)).toBe(allowed);
  });

  it('is for no material that cannot be imported', () => {
    expect(['ML_DSA_44', 'ML_KEM_768', 'SM2'].filter(isImportable)).toEqual([]);
  });
});

const EXPLICIT = Buffer.from(
  '308201790201003082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100ffffffff000000010000000000000000' +
    '00000000ffffffffffffffffffffffff305b0420ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac6' +
    '35d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f7e90044104' +
    '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ece' +
    'cbb6406837bf51f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101046d306b02010104207c' +
    '86d8713e7a6890a18a72290d1cc7993eed9db0ddeecddd26f8e309837b664ba1440342000451055e2e5c17c477e3a59bc69b39c6c5855bbd' +
    '5eda2f18ae9df9f83a57c4c1e1f1807decb728fbfc7cb549fd4fe74ab32228ca64a4d4b60785829850c1337227',
  'hex',
);

const THREE_PRIMES = Buffer.from(
  '308204f2020100300d06092a864886f70d0101010500048204dc308204d80201010282010100ad0b4638b363d9f79eaeb5fb4dd4198284d0' +
    'daf11d1fdbc2309e2e8dad8ac6cdd34d6eaba671b144eec05f8d03bd3284a6a7c99538df6a8d574df650cdd91016311135dae574493f58f8' +
    '93abc19f7121327235963ef0ed0292a557811b4640cd5adb81aee182401cd75d82ef9f0d81a63b307c792a51b95442a077fb1355b0597ff6' +
    '3ffbc930e6e2d57ca4edd99ab08c2878f9516709acc370f0ec4b81ceb2647d53dff8ddd573bd1d7b479e43aa864ecba279b9bc08b04b6eac' +
    '52219f489c150d8e7c1b72c7814644c4b6583c62b148a2666589064d3fbacb1d9c48a504853aaf35c83e3e88ad479aabe07ab6b2a00dc9a5' +
    'e947276cdc27011a117ff3ee24e30203010001028201001dd82ef142873b2588d9ab0b3f9e101441a1dfd0ebebfdb3dd3cbadcb68c93c315' +
    'e969e7f2d9f2efe799882142fed382ab578eddcca443b542d47061f94eb1869249dc96f731fa1c11d5356acf0717b4d9057796850d46fadf' +
    'b617b9405900ff8cfe7319a46c1f63a259f6d7c8a27dfdba8354a750e045c36e3e22f6b85733a58a0560e37c9e1c9bc8a2134e95c797a7c7' +
    '483b29b7e8ffe7c1e1a42c6f3aab22e44d92e317956e0543147d6f50f5699be8b9a43d4118f2c6155209426cd01d63aa87506ff7b86cda50' +
    'a28fc7ee2940c801916b09d6cc2263f5abfe7ded668bfefdb0023164ff3b3d8db8d000e34fbd6b55695d9d851294041c9d83bfa559444102' +
    '5607ebf682979de8260e8918ba066b9811fbe3d1dcff59779a7dd5263957df2d5a4b8882fa8b572bdd41e103d459ef2a8eb3fb6079f81623' +
    '0feb2db4a10715f4574bf0bba760440684eef8c8297e56163d25d6b90624ff02560670c3044920e2c3d5d52ad9557217d85c9eedd94d449f' +
    'c8b4ce84b68db9008cdfdae086b6c3545ed8f1dab793c7223bdb4fecab2db2cd9d21fa3704e391d19dc61221de24aba3706cadd401bfc9a0' +
    '39c42f47128aa9025506974d835aa30784a2936eff58582d2ec965c4371c3e5445366d226093bc1d0003d89121e4cda2b1751ec310ebc312' +
    'a5a91a7e2afd3f6decd0c03689c45b7ff1223e29e4193480381a9ce3eda22ffe50e22ac5c7570256053ed806e88ca944b9273a13f2dccf01' +
    '0046cd0f9c38152f81db6609cd19ed91cf4cd46bc3f509058b0a488a16092d1fb53abe56990cb51c92acd91cd9404d8a83e506c287f9674f' +
    '4ca4b3348d80e947c33a82575ea9025603a0909878276fd745bc2406adeaa40a81bd09c7bd9201102994424de6d3d7f87144709dfbe1293b' +
    '4872dba353de468590856fbec53177de045cde441fce7fdab7918226f3cba3921a92b9ab1095d269c6aa4a385c363082010c308201080256' +
    '036447137d227bc3abbd37210a2045480d7332761566bca2467e59a5cbea18141608cbfa9307a924532532387ea3e61145b89c7878365387' +
    'e7bc278d5801f86452ec6e635e157174a486510d14c5786b6ad46e0b3255025602152a7bf22421a186acbad483f64af4b2a5a13fd7666dc0' +
    'abcedc57adbe82a89adb2dfe2118dc291d11432463c75af8123b098204373fd5bd5bd161bebffefa03dd80ef6d8f774aabd87a9eb0b98d77' +
    '50733f5b8abd025601f8848d3a452de7055d8b2978a1f5c044f40f699225e109986746e04a9d0320bd8307634bf509e5312f7534a2f20f53' +
    '7792612966bb7d0ffcffe68c9cb20b855e63681c9cc434d2b9b74d369fe2d71c15c0a5ac9bc7',
  'hex',
);
