import { generateKeyPairSync } from 'node:crypto';
import { signMessage, signMessageInPool, verifyMessage, verifyMessageInPool } from './openssl-signatures';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** One in 256 begins with a zero. */
async function beginningWithZero(algorithm: 'RSASSA_PSS_SHA_256' | 'RSASSA_PKCS1_V1_5_SHA_256') {
  for (let at = 0; ; at++) {
    const message = Buffer.from(`message ${at}`);
    const signature =
      at % 2 === 0
        ? signMessage(algorithm, privateKey, message)
        : await signMessageInPool(algorithm, privateKey, message);
    if (signature[0] === 0) return { message, signature };
  }
}

test.each(['RSASSA_PSS_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_256'] as const)(
  'a signature by %s is as long as the modulus, and no shorter for beginning with zeros',
  async (algorithm) => {
    const { message, signature } = await beginningWithZero(algorithm);
    const verified = async (given: Buffer) => [
      verifyMessage(algorithm, publicKey, message, given),
      await verifyMessageInPool(algorithm, publicKey, message, given),
    ];
    expect(await verified(signature)).toEqual([true, true]);
    for (const other of [signature.subarray(1), Buffer.concat([Buffer.of(0), signature])]) {
      expect(await verified(other)).toEqual([false, false]);
    }
  },
);
