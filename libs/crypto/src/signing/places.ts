import { isOpensslAlgorithm, type OpensslAlgorithm } from './openssl-signatures';
import type { SigningJob, VerifyingJob } from './signatures';

/**
 * Where a signature is made or checked, so that the event loop goes on: on it what takes less than a tenth of a
 * millisecond, in the thread pool of libuv what node:crypto does there, in a worker thread what is left.
 */
export type Place = 'event-loop' | 'thread-pool' | 'worker-thread';

type Asked = Pick<SigningJob | VerifyingJob, 'keySpec' | 'algorithm' | 'messageType'>;

/** Whether OpenSSL signs and verifies a whole message; of what is a digest node:crypto knows no way. */
export const isWholeMessage = (job: Asked): job is Asked & { algorithm: OpensslAlgorithm } =>
  job.messageType === 'RAW' && isOpensslAlgorithm(job.algorithm);

const QUICK_TO_SIGN = new Set(['ECC_NIST_P256', 'ECC_NIST_EDWARDS25519']);
const isRsa = (keySpec: string): boolean => keySpec.startsWith('RSA_');

export function placeToSign(job: Asked): Place {
  if (isWholeMessage(job)) return QUICK_TO_SIGN.has(job.keySpec) ? 'event-loop' : 'thread-pool';
  return job.keySpec === 'ECC_NIST_P256' ? 'event-loop' : 'worker-thread';
}

export function placeToVerify(job: Asked): Place {
  if (isRsa(job.keySpec)) return 'event-loop';
  if (isWholeMessage(job)) return QUICK_TO_SIGN.has(job.keySpec) ? 'event-loop' : 'thread-pool';
  return 'worker-thread';
}
