import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { assertOaepFits, decryptOaep, encryptOaep, maxOaepPlaintext, type OaepAlgorithm } from './rsa-oaep';

/** C2SP Wycheproof, testvectors_v1/rsa_oaep_2048_sha256_mgf1sha256_test.json, the one group's key. */
const SHA256_KEY = {
  kty: 'RSA',
  e: 'AQAB',
  n: 'orRRoH0KpfluRVZxUTVQUUqKW0YuvvcXCU-h_ugiJOY3-XRtP3yv0xh42AMltu9aFwD2WQO0aUKeidbqyIRQl7WrOTGJ25JRLtincRoSU_rNIPecFegkfz0-QuRuSMmOJUov6XZTE6A-_48X4aApOXofomqNzib0kO2BKZYV2YFMItphBCjgnH2WWFlCZvXAIdD87KCNlFoSvoLeTR7Oa0wDFFtdNJXU7VQR64eNrwX9evw-Ca2g8RJkIvWQl1oZaYFvSGmLy7obTZyuedRg2Pn4Xnl1AF2bwixOWsD3waRdElaaYoB9O5oC5aUw53MGb0U9H1tMLpz3ggKD90K51Q',
  d: 'JM3GIxf11ypva6bMljKJmwHR_yiGfXL2FoiZW8hVpOQgqEBSUAib2xPPjglUOCe3SLnSf7srTZ4gr4xaaoYnltGkzBitFupni8G9SoO7vpxeV0U7XOc4jkGjukzit3tEOKIp6VT3INrgNT3AiKyKdrJtwnb44beFHd1jmK0W_y54GVEjubA26UXDjJ0SQ09t92_iI1nrPhrJwBFnj8km-tOuR1pP__9V_rLRR-nIlPTA4ppZnnYkYkgtlov0J4CUX8DSwxxXPEQxuPT-i4xnvsgVq9RPeobtyhwjCHNzWNLCrl4uDi2t9zCYAmI3flixO32ZkgYKC8hwzP20qTGe4Q',
  p: '3EMQUPeC6JT7UkgkfZjLfVi40eJPO1XQQcVuTeCGsNW7AovaQu610jTVaB5YCdQV5qKJrUz794-Xj2w1gU9Q7r_xxbgKafeI6B5rq13ap4Np1lnRQ-xvF-eYE6V1z62cVpFWuQET4ukRCtnntIock0im5lMyEZEpDqNs-zpbGPE',
  q: 'vRqB55d_mJgSInOuMiK1mOpfsZ606rw4MIpeMhlmA7LlAP-3n1uIaBZhHevEcvrEVUQHC-sFfJQTeKaGivO3oD0_mIDsR9XgiblPveVCq6mujXLFcIjXq_WxMfOQmPe8Fg-QU2q8lJL9Tgbz7XKZ1Ll7sDZ3IH2VZp8UDPvCDyU',
  dp: 'qUtSiyjykVmRIdkZUv_Rx_IdfBR52Z1HiIX7Fhhw7hIYvwhHJhLb5Ul-jZxlBojgnHhpYa4-LDVNxIrjRRR1nEwjxFiEiJYdwGtBTmHA4ef7vSkj0xUy_iifltoiBxHljBQBmAjgBBQnaTO7B-TvubSps3ZWkXIFIJ8z8JUV18E',
  dq: 'OvDnKpM67wn_JQPfeLr-1THAL_GivEN8VAzcvUrTVDXPURdjWWVDSAYpsRTKf3gP9--jLqDLbgANbZ6h8u9x_Zz5lIQioWVVfjfnVe3-cNkLkgUC60eLyYpj94jOOg-FbW7eclGjg7-o-kgKgaklr3s8xTjEurjJ91l_-2gBHY0',
  qi: 'JkD7-8_vsWPueoe2SDpm7kH5VtkPqKeTm_wELuCSSxt5k9BEX3WNUZM-hRecAyCwyWi0ipHDi1vpI-EJfAxWL4jUIpS2onWbr6VCinTxJwh05F9vzGDyFgLeXszRQ88xJB9ZIbWtOYP7VO8XvjsoU2flDJmcZyR7VS_kv86UX3s',
};

/** The same of rsa_oaep_2048_sha1_mgf1sha1_test.json. */
const SHA1_KEY = {
  kty: 'RSA',
  e: 'AQAB',
  n: 'vTHHoCaR0tlYfvapRv94hUTMrdSymIrWIIZ5Kmv5bIYWtK0TMX0icLkB0PzR2IDLj1L7hzBKUljBGzjf6ujfZwru5-odDZ344A6AhH5B5Zie1ALUTnizD-8XtWcdOtv4aF5NwgRJns0YY-HVr_KKfPZurfMf7JI2wSCt0TRRUixkfJgypnLNZNMowcMiGD9GYdCb2mC43V8DKNpUIIIUJK_auxqAxdEnY6GwI4zYnQdCv8ULai_LcB2CQhj5gm9PeKI6K1qkKs5_F1N2-2y9srrSk7pYPU0xxrj5Ap5GsTaJJJhV9QV1bgDiJaakWhh2m9jSs6SsufHCPT5RiCVh5Q',
  d: 'B0fVIMqbLfwDNc-UMBFAuBAvuDjJLqmZF-NU4lcJYC3Aze8jH_Jq0t-rvDkecjBypO9Skp8_HPAhbkTACTAw-KwpCW-u8okzvJuSQocBTi6TXiFFvkdSzLgst2RicZNpecq3P1Ie6yeFWsKkEINK5Qguti72-Yme5cu2JKjYwEq37c94_hNdD4CPY7XebgcXeb8dnqr40--WVIbyxSYl5uV6ZRx7vQGXyZwFezhgoyYMhkoRs88iukTeOjs_MRfmTr-akfYm67Pzwm0bC7gHU0aNS_apl7KDNfIO2MOE11WDYKmul1VmH6N0mEaxdOa_Mw5S0JlB9szX3lAEd5-buQ',
  p: '_j0jjTdqOFbZWS_UlhwXp_sPo51ELp3yLn7aEVxkjFy3ON-J6pLYN4VY0NnBzz2L_3QNN0OgFApqdSPpF2wpU7LBHX9EaRz4vsKzT7WcZJU1mDMZSIEYwDEYrnRF5w30Zs6YZxJg8F1QaM53fal-K6hHeUkFAM60_39izsqaFH8',
  q: 'voFK8mvzwnEVvHWV0NEqGvdxP-yod65ubYWIJe2j0ZJwR3T0Lhrhtn8XOejEWgR2OIBw-lRbfMlrikQAO8jQf95z9bzdGCaDldzChCtQI_8Us1I4Jge3F5peozCED8RQRdhuCsxP6xNfCrm3zmuOtfWldfKiqN4pnA0_UG30h5s',
  dp: 'YbtM9FcuDPRN3vwFA6NO8LMRQvsMn8L1uyvmVjAnMtHdWQ6NbNAAL--hwb9Dwo_NRmjtP6ZOXgXXAKrKSse4Z0Va-STYPnP1pxcfaO_Oa9fz30sdWALQaek1rLJjwLtbjT2z1kN5YkzswS1FP9gs-UlaGGSaeMH9UA4_BHFbo68',
  dq: 'Zknb6SCnqM65ghCM2auFdSdJiq5SorhpGKtrOBpKLLv5R5T3i03pxeilmvVtgHwG0j2869yhpvYrpPjwOymPMilKkDbRbCc53hzD4N200S8keUh7V4gq-iRsDil9r02UYHxeUbP0cV9cV9DybYZ5ASCdsCAQ0KVBKEZAqbnwY2M',
  qi: 'Oexgb1yfHzPZZGBuEo6ekM_5MncsVxWqdZgW1QTv4sRiBvM3mqYdMfiOcmtQ3YC4zoVYoNdAhSX1jDOZzjLiOdcJQfEtIed2HAQ-CwIiDSX_0DVxx65bvVnDH0gSBnb518Nwp0nYSRvfzqAWYqE2yF00m2xxD8b26_inp5tircM',
};

const keys = {
  RSAES_OAEP_SHA_1: createPrivateKey({ key: SHA1_KEY, format: 'jwk' }),
  RSAES_OAEP_SHA_256: createPrivateKey({ key: SHA256_KEY, format: 'jwk' }),
};

/** Of the same files, tests of the key's group that have no label. */
const VALID: readonly [OaepAlgorithm, number, string, string][] = [
  [
    'RSAES_OAEP_SHA_256',
    2,
    '00'.repeat(20),
    '207180c340658b5154ae45d2e4e7326a0997c683a26b595e536a29333c4b66149af85e029d5419a39e3a147b221516ffd86b6b4b66c3e0c4c49fe8c57a2f5c37b8704b9b592b80db9cd788a4ed51ab4f0a1cbed63bd18d1f06a22f225866b0c2c417cb23473b7ba4250b1353bd2e5b4f0f937cd2efe5fa38db3c295f7748b970088657db4aa9a76e1ee6fbff166ec1861d00d085326c7384bdd1bc2f400d4f74dbdfadaf3fdc46073e668573e02030b9eb5af58eb540c66677a771194479ec0098d858a2ea45d0ba1e6b32440dfbac745000554d51a17684ca964b02a74d479f1d432ef763ef4059715a4348cfe36a215359712f25b6977903be4adb92febbf6',
  ],
  [
    'RSAES_OAEP_SHA_256',
    3,
    '54657374',
    '5eab3f0741e63986ed647d53e1cd71df041986900803d0f99c68355d249a15a47dc5b4f70a191477654299e5a2731f3b4eec76dea18262fc696ac794e5f66cbfcddac4472c578e246c26707598055584540b839836b1404c5611ae558a984cee8fd036cea924e0be2474a940f61e0acc14fcae95ebdc59942a9ce9af9a9c81999f7f6815f057ffdc2533cb15d6391d1e2d95f16f9c04209c889a4c359c7d2926d28a66e2b030a416b928d2825627998e5191fb4983a6e65024262d94fc09187a2d78162122433251d1bfcc8e507d06eba2d229c10031261da32ab8ccd15f1c5f9fbf07ed158483d736a110af4b44d6a4da60d6cb519b4454213cf9f0dc560f2b',
  ],
  [
    'RSAES_OAEP_SHA_256',
    22,
    '313233343030',
    '50c23e2ad6e3f3b10a5716cbf60efcc9f66d2c6f17bf050ba0153b877ba2755e8a0d54060034562266155744ef80547b8af777b0ff764fbb12baae49d02b4f6d65b6cd8f0a397839101d32ae163ff2e6072748d6b8017e5e73e332d53f4e91fe6233a82dbf54f3146b489803575c5ea37ab55a9ea7eae47ad4f1727d45822b569cd6e5d4b6ab759850948186616b5da2a9a316f57d899f91934bbb27edcdfa19532ba1c01f3724738daffdd88c9a18562ebcbc49185b0a817407903476d442c424c81b63aeb8f9d1b184756e0cc0a381eaba45a85c8bbc6770fd047ff1a6404a384599fbbd6a40b212a066e23f6a15cf13e42c0ea88c710e4d70c612074968e5',
  ],
  [
    'RSAES_OAEP_SHA_1',
    3,
    '54657374',
    '504b4e0d94d800a9da92be8fa84fc345f7ab4921ec53c073c79592b347a692cce2450135e998e07bb75ed7ee44f047f75a07e37b9c912d3d529b62bef144952d5b202246ad32c5d34ec8559c4163e2145fa5fd4d56de28cbfe7e537d5732305945c9370bbc6dcd72b3296fd54a2660365715f7d911099c96dfe6d114eec7b4425cb65701aa9e08d99c7ac20179656bb678554d74baca4501b5d0b366c97224bf0c8734e00ff2af8b916aef8b83142d5ec142493e0cc4c57326515a50a31ec2c6703512034642e5789649773d2f8312561bf2f2f6000cebdbf7c7a95fbfd0f721c31ba392acea37568a24f176767f71b31f407573deef95c305e0e063db0e9168',
  ],
  [
    'RSAES_OAEP_SHA_1',
    6,
    '61',
    '6f35b56ebd7e12d58cf2239b3c926d21d54222da0d1943bcd0c0e446bc9213526c63ce0736b11340754460036eeac885dacac617499a58c56a6df5de1e91db4e1befba0237f696d1b6a8447163b839ddf082a1c5f8c1315f7fbab45b2bd8011accd5b2b1e3d4f35315e998eef82f368a72728817f7369648b9b1959781449707a5a668a6f8eefe5624135ff8edcdf9594eb4db32f27b2a6f5f7c6406c2f2c7b818f859d9e379a76c17b4d1535db7404e77d611f6cf5b4d0205f885883186d603c7a9920934fb5886406a38013f7a1864d5074f89ddc164c9e13f5aa5e4eb13dfc3a53b153c56d9f6403bf2ac5dde9c42227201fe314984752b5b41ef0064acb0',
  ],
];

/** tcId 4 of the SHA-256 file, which its tests 30 to 32 are made of. */
const OF_TEST_4 =
  '0da290b0bf71a1141b2adc62b5b42b07fc52520cb05d1f39ccca7b7c22d379a6c2f2d93143d057050140527a1e5638243938b531ec3de7014b0151301e49b9fa433482a02abdfd94193dc9c70157e557776a69ded01ecbeac405133595c61165a428b6284729a4746b47d2bbaca9d7432c3b5693591cfee488eb3c68ddb6cde0dd61cfc6952423f994abecee34f5683732b29934a2c498ad48cdd30c149177189f48eefd9cc7232df18be11ff5f7e3af7319e3115997c599e2d8f7f4f663dcc40032d403436d3058a5ea66473660f0e195281ec6eba997d2a951ca6ca5f3c112715c89da1d3dfb20a21940594ed10ade90ed7452b753757d7241cb8a803c373a';
const MODULUS = Buffer.from(SHA256_KEY.n, 'base64url');
const belowModulus = Buffer.from(MODULUS);
belowModulus[255]!--;

/** Of the SHA-256 file. */
const INVALID: readonly [string, Buffer][] = [
  [
    '23, first byte is 1',
    Buffer.from(
      '3f92a694661cae336cac7a3c5a6f67e0655d10218a64459739ab9664f2cec58978939512df621e6b92fe3429bb22c08b5103da648a7719e7e95a04e6b61601546955825d60f4c517619f851780ad17f1b8a955cf8c7f1a5e26ca4a0cc19cca751d0790d56e1140a4705e19274f638b7c16d9d3e423a7f787d02699235e3e9e4d543a954f9b1bce5411c8ebdcae86a4bb86c66818a0bab51a2b00383b318e53d95508bab1b19e388cd5a03cdceba0f7176c1782e19ef62cff69352d444b1ce0e1f339e96d8a65c07aa37f5f2cf33867f6c496e0da6cd79b3e2183b57064ce21a1b92072702e555a82cad75107fdfd8bd5e7ea5f119cfbbc1770e962fd0b781aff',
      'hex',
    ),
  ],
  ['24, m is 0', Buffer.alloc(256)],
  ['25, m is 1', Buffer.concat([Buffer.alloc(255), Buffer.of(1)])],
  ['26, m is n - 1', belowModulus],
  ['n itself', MODULUS],
  ['29, ciphertext is empty', Buffer.alloc(0)],
  ['30, prepended bytes', Buffer.from(`0000${OF_TEST_4}`, 'hex')],
  ['31, appended bytes', Buffer.from(`${OF_TEST_4}0000`, 'hex')],
  ['32, truncated', Buffer.from(OF_TEST_4.slice(2), 'hex')],
];

/** Made once of each length: it takes long. */
const made = new Map<number, KeyObject>();
function newKey(modulusLength: number): KeyObject {
  const key = made.get(modulusLength) ?? generateKeyPairSync('rsa', { modulusLength }).privateKey;
  made.set(modulusLength, key);
  return key;
}

const invalid = expect.objectContaining({ code: 'InvalidCiphertextException', message: '' });

describe('RSAES-OAEP', () => {
  it.each(VALID)('decrypts Wycheproof vector %s %d', async (algorithm, _id, message, ciphertext) => {
    const decrypted = await decryptOaep(keys[algorithm], algorithm, Buffer.from(ciphertext, 'hex'));
    expect(decrypted.toString('hex')).toBe(message);
  });

  it.each(INVALID)('refuses Wycheproof vector %s, saying no more than that', async (_what, ciphertext) => {
    await expect(decryptOaep(keys.RSAES_OAEP_SHA_256, 'RSAES_OAEP_SHA_256', ciphertext)).rejects.toEqual(invalid);
  });

  it('refuses what was encrypted with the other hash, or for another key', async () => {
    const ciphertext = encryptOaep(keys.RSAES_OAEP_SHA_1, 'RSAES_OAEP_SHA_1', Buffer.from('a'));
    await expect(decryptOaep(keys.RSAES_OAEP_SHA_1, 'RSAES_OAEP_SHA_256', ciphertext)).rejects.toEqual(invalid);
    await expect(decryptOaep(keys.RSAES_OAEP_SHA_256, 'RSAES_OAEP_SHA_1', ciphertext)).rejects.toEqual(invalid);
  });

  it.each<[OaepAlgorithm, string]>([
    ['RSAES_OAEP_SHA_1', 'sha1'],
    ['RSAES_OAEP_SHA_256', 'sha256'],
  ])('encrypts with %s for anybody else to decrypt, MGF1 having the same hash', (algorithm, oaepHash) => {
    const ciphertext = encryptOaep(createPublicKey(keys[algorithm]), algorithm, Buffer.from('shared'));
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    expect(privateDecrypt({ key: keys[algorithm], padding, oaepHash }, ciphertext).toString()).toBe('shared');
    expect(ciphertext).toHaveLength(256);
  });

  /** The bounds of the Encrypt reference. */
  it.each<[2048 | 3072 | 4096, OaepAlgorithm, number]>([
    [2048, 'RSAES_OAEP_SHA_1', 214],
    [2048, 'RSAES_OAEP_SHA_256', 190],
    [3072, 'RSAES_OAEP_SHA_1', 342],
    [3072, 'RSAES_OAEP_SHA_256', 318],
    [4096, 'RSAES_OAEP_SHA_1', 470],
    [4096, 'RSAES_OAEP_SHA_256', 446],
  ])('encrypts with %d bits and %s at most %d bytes', async (modulusLength, algorithm, longest) => {
    const privateKey = newKey(modulusLength);
    expect(maxOaepPlaintext(privateKey, algorithm)).toBe(longest);
    const plaintext = Buffer.alloc(longest, 0x5a);
    assertOaepFits(privateKey, `RSA_${modulusLength}`, algorithm, plaintext);
    const ciphertext = encryptOaep(privateKey, algorithm, plaintext);
    expect(await decryptOaep(privateKey, algorithm, ciphertext)).toEqual(plaintext);
    expect(() => assertOaepFits(privateKey, `RSA_${modulusLength}`, algorithm, Buffer.alloc(longest + 1))).toThrow(
      expect.objectContaining({
        code: 'ValidationException',
        message: `Algorithm ${algorithm} and key spec RSA_${modulusLength} cannot encrypt data larger than ${longest} bytes.`,
      }),
    );
  });
});
