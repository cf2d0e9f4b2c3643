import type { SignRequest, SignResponse, VerifyRequest, VerifyResponse } from '@aws-sdk/client-kms';
import { signMessageInPool, verifyMessageInPool } from '#crypto/signing/openssl-signatures';
import { isWholeMessage, placeToSign, placeToVerify } from '#crypto/signing/places';
import { type SigningJob, sign as signNow, type VerifyingJob, verify as verifyNow } from '#crypto/signing/signatures';
import {
  assertLengthFits,
  assertTakes,
  MESSAGE_TYPES,
  type MessageType,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '#crypto/signing/signing-algorithms';
import { KmsError } from '#domain/errors';
import { currentVersion } from '#domain/key/state';
import { offLoop } from '#hsm/off-loop';
import { authorizeKey } from './authorization';
import { fixedContext } from './condition-context';
import { endDryRun } from './dry-run';
import { type FoundKey, findKey } from './key-lookup';
import { workedOut } from './off-loop';
import { type Call, type DataPorts, data } from './operation';
import { publicHalf } from './public-keys';
import { currentBackingKey } from './symmetric-crypto';
import { assertUsable } from './usable-keys';
import { BOOLEAN, GRANT_TOKENS, KEY_ID, MESSAGE, Optional, Required, SIGNATURE } from './wire/fields';
import type { Wire } from './wire/wire';

const MESSAGE_TYPE = { kind: 'enum', values: MESSAGE_TYPES } as const;
const SIGNING_ALGORITHM = { kind: 'enum', values: SIGNING_ALGORITHMS } as const;
const RAW = 'RAW';

/** What both operations ask for. */
interface SigningRequest {
  KeyId: string;
  Message: Uint8Array;
  MessageType?: MessageType;
  SigningAlgorithm: SigningAlgorithm;
}

/** The key, which the caller may use for this, and which can do it to this message. */
function signingKey(operation: 'Sign' | 'Verify', request: SigningRequest, call: Call, ports: DataPorts): FoundKey {
  const { Message, MessageType = RAW, SigningAlgorithm } = request;
  const found = findKey(request.KeyId, 'any', call, ports.projection);
  const context = fixedContext({ 'kms:signingalgorithm': SigningAlgorithm, 'kms:messagetype': MessageType });
  authorizeKey(call, ports.projection, found, { context });
  assertUsable(found, operation, SigningAlgorithm);
  assertTakes(SigningAlgorithm, found.key.keySpec, MessageType);
  call.beyondRecord?.();
  assertLengthFits(SigningAlgorithm, MessageType, Message);
  return found;
}

/** What is signed, and with what: all but the key itself. */
const signed = ({ Message, MessageType = RAW, SigningAlgorithm }: SigningRequest, { key }: FoundKey) => ({
  keySpec: key.keySpec,
  algorithm: SigningAlgorithm,
  messageType: MessageType,
  message: Message,
  spki: publicHalf(key).spki,
});

class Sign implements SignRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(MESSAGE) Message!: Uint8Array;
  @Optional(MESSAGE_TYPE) MessageType?: MessageType;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Required(SIGNING_ALGORITHM) SigningAlgorithm!: SigningAlgorithm;
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const sign = data<Sign, Wire<SignResponse>>({
  name: 'Sign',
  request: Sign,
  recordedDefaults: { MessageType: RAW },
  run(request, call, ports) {
    const found = signingKey('Sign', request, call, ports);
    const { keyObject, materialId } = currentBackingKey(found, ports);
    endDryRun(request.DryRun);
    const signature = signatureOf({ ...signed(request, found), key: keyObject }, materialId, call);
    return {
      KeyId: found.arn,
      Signature: Buffer.from(signature.buffer, signature.byteOffset, signature.length).toString('base64'),
      SigningAlgorithm: request.SigningAlgorithm,
    };
  },
});

function signatureOf(job: SigningJob, materialId: string, call: Call): Uint8Array {
  const place = placeToSign(job);
  if (place === 'event-loop') return signNow(job);
  return workedOut(call, `a signature of ${materialId}`, () =>
    isWholeMessage(job)
      ? signMessageInPool(job.algorithm, job.key, job.message)
      : inWorker(job, (own) => offLoop('sign', own)),
  );
}

class Verify implements VerifyRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(MESSAGE) Message!: Uint8Array;
  @Optional(MESSAGE_TYPE) MessageType?: MessageType;
  @Required(SIGNATURE) Signature!: Uint8Array;
  @Required(SIGNING_ALGORITHM) SigningAlgorithm!: SigningAlgorithm;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const verify = data<Verify, Wire<VerifyResponse>>({
  name: 'Verify',
  request: Verify,
  recordedDefaults: { MessageType: RAW },
  run(request, call, ports) {
    const found = signingKey('Verify', request, call, ports);
    const { materialId } = currentVersion(found.key);
    const { keyObject } = publicHalf(found.key);
    const job: VerifyingJob = { ...signed(request, found), key: keyObject, signature: request.Signature };
    if (!isValid(job, materialId, call)) throw new KmsError('KMSInvalidSignatureException', '');
    endDryRun(request.DryRun);
    return { KeyId: found.arn, SignatureValid: true, SigningAlgorithm: request.SigningAlgorithm };
  },
});

/** No private key is needed for it, nor is one loaded. */
function isValid(job: VerifyingJob, materialId: string, call: Call): boolean {
  const place = placeToVerify(job);
  if (place === 'event-loop') return verifyNow(job);
  return workedOut(call, `a check of a signature of ${materialId}`, () =>
    isWholeMessage(job)
      ? verifyMessageInPool(job.algorithm, job.key!, job.message, job.signature)
      : inWorker(job, (own) => offLoop('verify', own)),
  );
}

/**
 * Has a worker thread do it, on bytes that are its own: with a small buffer the whole pool that it is part of would be
 * cloned, and what else lies there.
 */
async function inWorker<J extends SigningJob | VerifyingJob, T>(job: J, work: (own: J) => Promise<T>): Promise<T> {
  const own = { ...job, message: Uint8Array.from(job.message), spki: Uint8Array.from(job.spki) };
  if ('signature' in own) own.signature = Uint8Array.from(own.signature);
  try {
    return await work(own);
  } finally {
    own.message.fill(0);
  }
}
