import { fromBase64, toBase64 } from './base64';
import type { Sealed } from './integrity';
import { LIMITS } from './limits';
import { isProxyErrorName, type ProxyError, type ProxyErrorName, printable } from './proxy-error';
import { type JsonObject, parseStrictly } from './strict-json';

export interface KeyMetadata {
  keySpec: string;
  keyUsage: readonly string[];
  keyStatus: string;
}

export const HEALTH_STATUSES = ['ACTIVE', 'DEGRADED', 'UNAVAILABLE'] as const;
export type HealthStatus = (typeof HEALTH_STATUSES)[number];

/** What GetHealthStatus answers. */
export interface ProxyHealth {
  xksProxyFleetSize: number;
  xksProxyVendor: string;
  xksProxyModel: string;
  ekmVendor: string;
  /** One for each HSM, at least one and at most ten. */
  ekmFleetDetails: readonly { id: string; model: string; healthStatus: HealthStatus }[];
}

export interface EncryptReply extends Sealed {
  ciphertextDataIntegrityValue?: Uint8Array | undefined;
}

const asJson = (message: object): Buffer => Buffer.from(JSON.stringify(message));

export const encodeKeyMetadata = (reply: KeyMetadata): Buffer => asJson(reply);
export const encodeHealth = (reply: ProxyHealth): Buffer => asJson(reply);
export const encodeDecryptReply = (plaintext: Uint8Array): Buffer => asJson({ plaintext: toBase64(plaintext) });
export const encodeError = ({ errorName, message: errorMessage }: ProxyError): Buffer =>
  asJson({ errorName, errorMessage });

export const encodeEncryptReply = (reply: EncryptReply): Buffer =>
  asJson({
    ciphertext: toBase64(reply.ciphertext),
    ciphertextMetadata: reply.ciphertextMetadata && toBase64(reply.ciphertextMetadata),
    initializationVector: toBase64(reply.initializationVector),
    authenticationTag: toBase64(reply.authenticationTag),
    ciphertextDataIntegrityValue: reply.ciphertextDataIntegrityValue && toBase64(reply.ciphertextDataIntegrityValue),
  });

/** A reply that is not what the API says; `message` names the member and quotes nothing. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
}

/** Each throws ReplyError. */
export function decodeKeyMetadata(body: Uint8Array): KeyMetadata {
  const json = objectOf(body);
  const keyUsage = json['keyUsage'];
  if (!Array.isArray(keyUsage) || keyUsage.length > LIMITS.keyUsages || !keyUsage.every(isText)) {
    throw new ReplyError(`keyUsage is not an array of at most ${LIMITS.keyUsages} strings`);
  }
  const keyStatus = textOf(json, 'keyStatus');
  if (keyStatus !== 'ENABLED' && keyStatus !== 'DISABLED') {
    throw new ReplyError('keyStatus is neither ENABLED nor DISABLED');
  }
  return { keySpec: textOf(json, 'keySpec'), keyUsage, keyStatus };
}

/** `length`: of what was encrypted. */
export function decodeEncryptReply(body: Uint8Array, length: number): EncryptReply {
  const json = objectOf(body);
  const ciphertext = bytesOf(json, 'ciphertext');
  if (ciphertext.length !== length) throw new ReplyError('ciphertext is not as long as the plaintext');
  const initializationVector = bytesOf(json, 'initializationVector');
  if (!LIMITS.initializationVectors.includes(initializationVector.length)) {
    throw new ReplyError(`initializationVector has not ${LIMITS.initializationVectors.join(' or ')} bytes`);
  }
  const authenticationTag = bytesOf(json, 'authenticationTag');
  if (authenticationTag.length !== LIMITS.authenticationTag) {
    throw new ReplyError(`authenticationTag has not ${LIMITS.authenticationTag} bytes`);
  }
  const ciphertextMetadata = isAbsent(json, 'ciphertextMetadata') ? undefined : bytesOf(json, 'ciphertextMetadata');
  if (ciphertextMetadata && ciphertextMetadata.length > LIMITS.ciphertextMetadata) {
    throw new ReplyError(`ciphertextMetadata has more than ${LIMITS.ciphertextMetadata} bytes`);
  }
  const ciphertextDataIntegrityValue = isAbsent(json, 'ciphertextDataIntegrityValue')
    ? undefined
    : bytesOf(json, 'ciphertextDataIntegrityValue');
  return {
    ciphertext,
    ciphertextMetadata,
    initializationVector,
    authenticationTag,
    ciphertextDataIntegrityValue,
  };
}

/** `length`: of what was decrypted. */
export function decodeDecryptReply(body: Uint8Array, length: number): Buffer {
  const plaintext = bytesOf(objectOf(body), 'plaintext');
  if (plaintext.length === length) return plaintext;
  plaintext.fill(0);
  throw new ReplyError('plaintext is not as long as the ciphertext');
}

export function decodeHealth(body: Uint8Array): ProxyHealth {
  const json = objectOf(body);
  const xksProxyFleetSize = json['xksProxyFleetSize'];
  if (!Number.isSafeInteger(xksProxyFleetSize) || (xksProxyFleetSize as number) < 1) {
    throw new ReplyError('xksProxyFleetSize is not a number from 1');
  }
  const details = json['ekmFleetDetails'];
  if (!Array.isArray(details) || details.length === 0 || details.length > LIMITS.fleetDetails) {
    throw new ReplyError(`ekmFleetDetails is not an array of 1 to ${LIMITS.fleetDetails}`);
  }
  return {
    xksProxyFleetSize: xksProxyFleetSize as number,
    xksProxyVendor: textOf(json, 'xksProxyVendor'),
    xksProxyModel: textOf(json, 'xksProxyModel'),
    ekmVendor: textOf(json, 'ekmVendor'),
    ekmFleetDetails: details.map((one: unknown) => {
      if (typeof one !== 'object' || one === null) throw new ReplyError('ekmFleetDetails has what is no object');
      const detail = one as JsonObject;
      const healthStatus = textOf(detail, 'healthStatus') as HealthStatus;
      if (!HEALTH_STATUSES.includes(healthStatus)) {
        throw new ReplyError(`healthStatus is none of ${HEALTH_STATUSES.join(', ')}`);
      }
      return { id: textOf(detail, 'id'), model: textOf(detail, 'model'), healthStatus };
    }),
  };
}

/** Which error a reply says it is, and what it says of it: for a log, and nobody else. */
export function decodeError(body: Uint8Array): { errorName: ProxyErrorName; errorMessage: string } {
  const { errorName, errorMessage } = objectOf(body);
  if (!isProxyErrorName(errorName)) throw new ReplyError('errorName is none of the API');
  return { errorName, errorMessage: typeof errorMessage === 'string' ? printable(errorMessage) : '' };
}

function objectOf(body: Uint8Array): JsonObject {
  const json = parseStrictly(body);
  if (typeof json === 'string') throw new ReplyError(`the reply ${json}`);
  return json;
}

/** Some write what is not there as null. */
const isAbsent = (json: JsonObject, name: string): boolean => json[name] === undefined || json[name] === null;

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= LIMITS.text;

function textOf(json: JsonObject, name: string): string {
  const value = json[name];
  if (!isText(value)) throw new ReplyError(`${name} is not a string`);
  return value;
}

function bytesOf(json: JsonObject, name: string): Buffer {
  const value = json[name];
  const bytes = typeof value === 'string' ? fromBase64(value) : undefined;
  if (!bytes) throw new ReplyError(`${name} is not a string in Base64`);
  return bytes;
}
