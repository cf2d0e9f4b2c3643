import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { BIT_STRING, der, SEQUENCE } from './der';
import { type AgreementSpec, isSlowAgreement, peerKey, sharedSecret } from './ecdh';

/** NIST CAVP, ECC CDH primitive (SP 800-56A, section 5.7.1.2), KAS_ECC_CDH_PrimitiveTest.txt (CAVS 14.1), COUNT = 0 of each curve. */
const VECTORS: readonly {
  spec: AgreementSpec;
  crv: string;
  peer: [string, string];
  private: string;
  public: [string, string];
  secret: string;
}[] = [
  {
    spec: 'ECC_NIST_P256',
    crv: 'P-256',
    peer: [
      '700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287',
      'db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac',
    ],
    private: '7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534',
    public: [
      'ead218590119e8876b29146ff89ca61770c4edbbf97d38ce385ed281d8a6b230',
      '28af61281fd35e2fa7002523acc85a429cb06ee6648325389f59edfce1405141',
    ],
    secret: '46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b',
  },
  {
    spec: 'ECC_NIST_P384',
    crv: 'P-384',
    peer: [
      'a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272734466b400091adbf2d68c58e0c50066',
      'ac68f19f2e1cb879aed43a9969b91a0839c4c38a49749b661efedf243451915ed0905a32b060992b468c64766fc8437a',
    ],
    private: '3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774ad463b205da88cf699ab4d43c9cf98a1',
    public: [
      '9803807f2f6d2fd966cdd0290bd410c0190352fbec7ff6247de1302df86f25d34fe4a97bef60cff548355c015dbb3e5f',
      'ba26ca69ec2f5b5d9dad20cc9da711383a9dbe34ea3fa5a2af75b46502629ad54dd8b7d73a8abb06a3a3be47d650cc99',
    ],
    secret: '5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457e5621e766c40a2e3d4d6a04b25e533f1',
  },
  {
    spec: 'ECC_NIST_P521',
    crv: 'P-521',
    peer: [
      '00685a48e86c79f0f0875f7bc18d25eb5fc8c0b07e5da4f4370f3a9490340854334b1e1b87fa395464c60626124a4e70d0f785601d37c09870ebf176666877a2046d',
      '01ba52c56fc8776d9e8f5db4f0cc27636d0b741bbe05400697942e80b739884a83bde99e0f6716939e632bc8986fa18dccd443a348b6c3e522497955a4f3c302f676',
    ],
    private:
      '017eecc07ab4b329068fba65e56a1f8890aa935e57134ae0ffcce802735151f4eac6564f6ee9974c5e6887a1fefee5743ae2241bfeb95d5ce31ddcb6f9edb4d6fc47',
    public: [
      '00602f9d0cf9e526b29e22381c203c48a886c2b0673033366314f1ffbcba240ba42f4ef38a76174635f91e6b4ed34275eb01c8467d05ca80315bf1a7bbd945f550a5',
      '01b7c85f26f5d4b2d7355cf6b02117659943762b6d1db5ab4f1dbc44ce7b2946eb6c7de342962893fd387d1b73d7a8672d1f236961170b7eb3579953ee5cdc88cd2d',
    ],
    secret:
      '005fc70477c3e63bc3954bd0df3ea0d1f41ee21746ed95fc5e1fdf90930d5e136672d72cc770742d1711c3c3a4c334a0ad9759436a4d3c5bf6e74b9578fac148c831',
  },
];

const coordinate = (hex: string): string => Buffer.from(hex, 'hex').toString('base64url');
const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
const publicOf = (crv: string, [x, y]: [string, string]): Buffer =>
  spkiOf(createPublicKey({ key: { kty: 'EC', crv, x: coordinate(x), y: coordinate(y) }, format: 'jwk' }));

const [P256] = VECTORS;
const privateKey = createPrivateKey({
  key: {
    kty: 'EC',
    crv: P256!.crv,
    d: coordinate(P256!.private),
    x: coordinate(P256!.public[0]),
    y: coordinate(P256!.public[1]),
  },
  format: 'jwk',
});
const PEER = publicOf('P-256', P256!.peer);

const spkiWith = (algorithm: Uint8Array, point: Uint8Array): Buffer =>
  der(SEQUENCE, der(SEQUENCE, algorithm), der(BIT_STRING, Buffer.of(0), point));

const secretOf = (spec: AgreementSpec, key: KeyObject, peer: Uint8Array): Buffer =>
  sharedSecret(spec, key, peerKey(spec, peer));

const refused = expect.objectContaining({ code: 'ValidationException', message: '' });

describe('ECDH', () => {
  it.each(VECTORS)('gives Z of CAVP vector 0 of $spec, with its leading zeros', (vector) => {
    const [x, y] = vector.public.map(coordinate) as [string, string];
    const key = createPrivateKey({
      key: { kty: 'EC', crv: vector.crv, d: coordinate(vector.private), x, y },
      format: 'jwk',
    });
    const secret = secretOf(vector.spec, key, publicOf(vector.crv, vector.peer));
    expect(secret.toString('hex')).toBe(vector.secret);
  });

  /** C2SP Wycheproof, testvectors_v1/ecdh_secp256r1_test.json. */
  it.each([
    [
      '1, normal case',
      '0612465c89a023ab17855b0a6bcebfd3febb53aef84138647b5352e02c10c346',
      '3059301306072a8648ce3d020106082a8648ce3d0301070342000462d5bd3372af75fe85a040715d0f502428e07046868b0bfdfa61d731afe44f26ac333a93a9e70a81cd5a95b5bf8d13990eb741c8c38872b4a07d275a014e30cf',
      '53020d908b0219328b658b525f26780e3ae12bcd952bb25a93bc0895e1714285',
    ],
    [
      '2, compressed public key',
      '0612465c89a023ab17855b0a6bcebfd3febb53aef84138647b5352e02c10c346',
      '3039301306072a8648ce3d020106082a8648ce3d0301070322000362d5bd3372af75fe85a040715d0f502428e07046868b0bfdfa61d731afe44f26',
      '53020d908b0219328b658b525f26780e3ae12bcd952bb25a93bc0895e1714285',
    ],
    [
      '3, shared secret of zeros',
      '0a0d622a47e48f6bc1038ace438c6f528aa00ad2bd1da5f13ee46bf5f633d71a',
      '3059301306072a8648ce3d020106082a8648ce3d0301070342000458fd4168a87795603e2b04390285bdca6e57de6027fe211dd9d25e2212d29e62080d36bd224d7405509295eed02a17150e03b314f96da37445b0d1d29377d12c',
      '00'.repeat(32),
    ],
    [
      '4, shared secret p - 3',
      '0a0d622a47e48f6bc1038ace438c6f528aa00ad2bd1da5f13ee46bf5f633d71a',
      '3059301306072a8648ce3d020106082a8648ce3d03010703420004a1ecc24bf0d0053d23f5fd80ddf1735a1925039dc1176c581a7e795163c8b9ba2cb5a4e4d5109f4527575e3137b83d79a9bcb3faeff90d2aca2bed71bb523e7e',
      'ffffffff00000001000000000000000000000000fffffffffffffffffffffffc',
    ],
  ])('gives the secret of Wycheproof vector %s', (_what, scalar, peer, secret) => {
    const ecdh = createECDH('prime256v1');
    ecdh.setPrivateKey(scalar, 'hex');
    const point = ecdh.getPublicKey();
    const jwk = {
      kty: 'EC',
      crv: 'P-256',
      d: coordinate(scalar),
      x: point.subarray(1, 33).toString('base64url'),
      y: point.subarray(33).toString('base64url'),
    };
    const key = createPrivateKey({ key: jwk, format: 'jwk' });
    expect(secretOf('ECC_NIST_P256', key, Buffer.from(peer, 'hex')).toString('hex')).toBe(secret);
  });

  it('is the same for both sides, on SM2 as well', () => {
    const ours = generateKeyPairSync('ec', { namedCurve: 'SM2' });
    const theirs = generateKeyPairSync('ec', { namedCurve: 'SM2' });
    const secret = secretOf('SM2', ours.privateKey, spkiOf(theirs.publicKey));
    expect(secret).toHaveLength(32);
    expect(secretOf('SM2', theirs.privateKey, spkiOf(ours.publicKey))).toEqual(secret);
  });

  it('takes one peer after the other with one key', () => {
    for (let peers = 0; peers < 3; peers++) {
      const peer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      expect(secretOf('ECC_NIST_P256', privateKey, spkiOf(peer.publicKey))).toEqual(
        diffieHellman({ privateKey, publicKey: peer.publicKey }),
      );
    }
  });

  const offCurve = Buffer.from(PEER);
  offCurve[offCurve.length - 1]! ^= 1;
  const overlong = Buffer.from(PEER);
  overlong.fill(0xff, overlong.length - 64);
  const unnamed = spkiWith(Buffer.from('06072a8648ce3d0201', 'hex'), PEER.subarray(-65));
  const hybrid = Buffer.from(PEER);
  hybrid[hybrid.length - 65] = 6 | (hybrid[hybrid.length - 1]! & 1);

  it.each<[string, Uint8Array]>([
    ['text', Buffer.from('InvalidPublicKey')],
    ['nothing', Buffer.alloc(0)],
    ['a point that is not on the curve', offCurve],
    ['coordinates that are not of the field', overlong],
    ['the point at infinity', spkiWith(PEER.subarray(4, 23), Buffer.of(0))],
    ['a key without a curve', unnamed],
    ['a point in hybrid form', hybrid],
    ['a key of another curve', publicOf('P-384', VECTORS[1]!.peer)],
    ['a key of another curve as long', spkiOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)],
    ['an RSA key', spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)],
    ['a key with something behind it', Buffer.concat([PEER, Buffer.of(0)])],
    ['the beginning of a key', PEER.subarray(0, PEER.length - 1)],
    ['a key in BER that is not DER', Buffer.concat([Buffer.from('308159', 'hex'), PEER.subarray(2)])],
  ])('refuses %s', (_what, peer) => {
    expect(() => peerKey('ECC_NIST_P256', peer)).toThrow(refused);
  });

  it('is slow on all curves but P-256', () => {
    const specs: AgreementSpec[] = ['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521', 'SM2'];
    expect(specs.filter((spec) => !isSlowAgreement(spec))).toEqual(['ECC_NIST_P256']);
  });

  it('refuses a point that is not on SM2', () => {
    const key = generateKeyPairSync('ec', { namedCurve: 'SM2' });
    const peer = spkiOf(key.publicKey);
    peer[peer.length - 1]! ^= 1;
    expect(() => peerKey('SM2', peer)).toThrow(refused);
  });
});
