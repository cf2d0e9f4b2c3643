import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { Case, Measure, Scenario } from '../case';
import { startEmbedded } from '../embedded';
import { createKey, encryptRequest, type KmsRequest, signingRequest } from '../kms-requests';
import { callLoad, httpLoad, type Target, warmUp } from '../load';

const RSA_FLOOR = 'floor: node:crypto RSA-2048';
const RSA = 'HTTP Sign (RSA-2048)';
const RSA_DIGEST = 'HTTP Sign (RSA-2048, digest)';
const P256_DIGEST = 'HTTP Sign (P-256, digest)';
const ML_DSA = 'HTTP Sign (ML-DSA-65)';
const ALONE = 'HTTP Encrypt, nothing beside it';
const BESIDE = 'HTTP Encrypt, ML-DSA-65 beside it';
const BESIDE_KEY = 'HTTP Encrypt, CreateKey RSA_4096 beside it';

const CONNECTIONS = 32;
const CASES: Case[] = [
  { name: RSA_FLOOR, connections: CONNECTIONS },
  { name: RSA, connections: CONNECTIONS, floor: RSA_FLOOR },
  { name: RSA_DIGEST, connections: CONNECTIONS, floor: RSA_FLOOR },
  { name: P256_DIGEST, connections: CONNECTIONS },
  { name: ML_DSA, connections: CONNECTIONS },
  { name: ALONE, connections: 1 },
  { name: BESIDE, connections: 1, floor: ALONE },
  { name: BESIDE_KEY, connections: 1, floor: ALONE },
];

/** Signatures that take long: against what node:crypto does of them in all its threads, and beside what must not wait for them. */
export const signing: Scenario = {
  cases: CASES,
  async open(processes) {
    const target = await startEmbedded(processes);
    const { port } = target;
    const digest = createHash('sha256').digest('base64');
    const pkcs1 = { SigningAlgorithm: 'RSASSA_PKCS1_V1_5_SHA_256' };
    const ecdsa = { SigningAlgorithm: 'ECDSA_SHA_256' };
    const asDigest = { MessageType: 'DIGEST', Message: digest };
    const mlDsa = await signingRequest(port, 'ML_DSA_65', { SigningAlgorithm: 'ML_DSA_SHAKE_256' });
    const encrypt = encryptRequest(await createKey(port));
    const requests = {
      [RSA]: await signingRequest(port, 'RSA_2048', pkcs1),
      [RSA_DIGEST]: await signingRequest(port, 'RSA_2048', { ...pkcs1, ...asDigest }),
      [P256_DIGEST]: await signingRequest(port, 'ECC_NIST_P256', { ...ecdsa, ...asDigest }),
      [ML_DSA]: mlDsa,
      [ALONE]: encrypt,
    };
    await warmUp(port, encrypt);
    const measures: Record<string, Measure> = { [RSA_FLOOR]: rsaFloor() };
    for (const [name, request] of Object.entries(requests)) {
      measures[name] = (connections, seconds) => httpLoad(target, request, connections, seconds);
    }
    const rsaKey = { operation: 'CreateKey', body: { KeySpec: 'RSA_4096', KeyUsage: 'SIGN_VERIFY' } };
    measures[BESIDE] = (connections, seconds) => beside(target, mlDsa, encrypt, connections, seconds);
    measures[BESIDE_KEY] = (connections, seconds) => beside(target, rsaKey, encrypt, connections, seconds);
    return measures;
  },
};

/** As many at once as HTTP has them, in libuv's threads, which are more than this machine has cores. */
function rsaFloor(): Measure {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const message = Buffer.alloc(64, 1);
  const signed = promisify(sign);
  return (inFlight, seconds) => callLoad(inFlight, seconds, () => signed('sha256', message, privateKey));
}

async function beside(target: Target, other: KmsRequest, measured: KmsRequest, connections: number, seconds: number) {
  const [result] = await Promise.all([
    httpLoad(target, measured, connections, seconds),
    httpLoad(target, other, connections, seconds),
  ]);
  return result;
}
