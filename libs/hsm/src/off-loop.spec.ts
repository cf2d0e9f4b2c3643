import { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { endOffLoop, offLoop } from './off-loop';

afterAll(() => endOffLoop());

test('keys go to a worker thread as they are, and shared secrets come back', async () => {
  const seed = createSecretKey(randomBytes(64));
  const publicKey = await offLoop('publicKeyOfSeed', 'ML_KEM_512', seed);
  const { sharedSecret, ciphertext } = await offLoop('encapsulate', 'ML_KEM_512', publicKey);
  expect(await offLoop('decapsulate', 'ML_KEM_512', seed, ciphertext)).toEqual(sharedSecret);
});

test('key pairs are made while other tasks go on', async () => {
  const made = [1, 2, 3].map(() => offLoop('generateRsa', 2048));
  const publicKey = await offLoop('publicKeyOfSeed', 'ML_KEM_512', createSecretKey(randomBytes(64)));
  expect(publicKey).toHaveLength(800);
  for (const pair of await Promise.all(made)) {
    const key = createPrivateKey({ key: Buffer.from(pair.privateKey), format: 'der', type: 'pkcs8' });
    expect(createPublicKey(key).export({ format: 'der', type: 'spki' })).toEqual(Buffer.from(pair.publicKey));
  }
});

test('bytes come back alone, whatever they were a part of', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'SM2' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const pooled = Buffer.from('a slice of the pool that small buffers are made of');
  const ciphertext = await offLoop('encryptSm2', spki, pooled);
  const plaintext = await offLoop('decryptSm2', privateKey, ciphertext);
  for (const bytes of [ciphertext, plaintext!]) expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  expect(Buffer.from(plaintext!).toString()).toBe(pooled.toString());
  const secret = await offLoop(
    'encapsulate',
    'ML_KEM_512',
    await offLoop('publicKeyOfSeed', 'ML_KEM_512', createSecretKey(randomBytes(64))),
  );
  expect(secret.sharedSecret.buffer.byteLength).toBe(32);
});

test('what is no ciphertext gives nothing, and an error is one here too', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'SM2' });
  expect(await offLoop('decryptSm2', privateKey, Buffer.from('no'))).toBeUndefined();
  await expect(offLoop('encapsulate', 'ML_KEM_512', Buffer.alloc(800, 0xff))).rejects.toThrow();
});
