import { fromBase64, toBase64 } from './base64';
import type { Sealed } from './integrity';
import { ENCRYPTION_ALGORITHM, INTEGRITY_ALGORITHM, LIMITS } from './limits';
import { ProxyError } from './proxy-error';
import { type JsonObject, parseStrictly } from './strict-json';

/** Who asked KMS for what. A proxy may log it; nothing of it but its being there is checked. */
export interface RequestMetadata {
  awsPrincipalArn?: string;
  awsSourceVpc?: string;
  awsSourceVpce?: string;
  kmsKeyArn?: string;
  kmsOperation: string;
  kmsRequestId: string;
  kmsViaService?: string;
}

export interface MetadataRequest {
  requestMetadata: RequestMetadata;
}

export interface EncryptRequest extends MetadataRequest {
  plaintext: Buffer;
  additionalAuthenticatedData?: Buffer | undefined;
  withIntegrityValue: boolean;
}

export interface DecryptRequest extends MetadataRequest, Sealed {
  additionalAuthenticatedData?: Buffer | undefined;
}

type Member = keyof RequestMetadata;
const HEALTH: readonly Member[] = ['kmsRequestId', 'kmsOperation'];
const METADATA: readonly Member[] = [...HEALTH, 'awsPrincipalArn'];
const CRYPTOGRAPHIC: readonly Member[] = [...METADATA, 'kmsKeyArn'];
const ALL: readonly Member[] = [...CRYPTOGRAPHIC, 'awsSourceVpc', 'awsSourceVpce', 'kmsViaService'];

/** Each throws ProxyError. Members that are not known are passed over: KMS may come to send more of them. */
export const decodeHealthRequest = (body: Uint8Array): MetadataRequest => ({
  requestMetadata: readMetadata(objectOf(body), HEALTH),
});

export const decodeMetadataRequest = (body: Uint8Array): MetadataRequest => ({
  requestMetadata: readMetadata(objectOf(body), METADATA),
});

export function decodeEncryptRequest(body: Uint8Array): EncryptRequest {
  const json = objectOf(body);
  const requestMetadata = readMetadata(json, CRYPTOGRAPHIC);
  checkAlgorithm(json);
  const additionalAuthenticatedData = additionalData(json);
  const integrity = textOf(json, 'ciphertextDataIntegrityValueAlgorithm');
  if (integrity !== undefined && integrity !== INTEGRITY_ALGORITHM) {
    throw invalid(`ciphertextDataIntegrityValueAlgorithm: expected ${INTEGRITY_ALGORITHM}`);
  }
  const plaintext = bytesOf(json, 'plaintext', LIMITS.plaintext);
  if (plaintext.length === 0) throw invalid('plaintext: expected at least 1 byte');
  return { requestMetadata, plaintext, additionalAuthenticatedData, withIntegrityValue: integrity !== undefined };
}

export function decodeDecryptRequest(body: Uint8Array): DecryptRequest {
  const json = objectOf(body);
  const requestMetadata = readMetadata(json, CRYPTOGRAPHIC);
  checkAlgorithm(json);
  const ciphertext = bytesOf(json, 'ciphertext', LIMITS.plaintext);
  if (ciphertext.length === 0) throw invalid('ciphertext: expected at least 1 byte');
  const initializationVector = bytesOf(json, 'initializationVector');
  if (!LIMITS.initializationVectors.includes(initializationVector.length)) {
    throw invalid(`initializationVector: expected ${LIMITS.initializationVectors.join(' or ')} bytes`);
  }
  const authenticationTag = bytesOf(json, 'authenticationTag');
  if (authenticationTag.length !== LIMITS.authenticationTag) {
    throw invalid(`authenticationTag: expected ${LIMITS.authenticationTag} bytes`);
  }
  const ciphertextMetadata = isAbsent(json, 'ciphertextMetadata') ? undefined : bytesOf(json, 'ciphertextMetadata');
  if (ciphertextMetadata && ciphertextMetadata.length > LIMITS.ciphertextMetadata) {
    throw invalid(`ciphertextMetadata: expected at most ${LIMITS.ciphertextMetadata} bytes`);
  }
  const additionalAuthenticatedData = additionalData(json);
  return {
    requestMetadata,
    ciphertext,
    ciphertextMetadata,
    initializationVector,
    authenticationTag,
    additionalAuthenticatedData,
  };
}

const asJson = (message: object): Buffer => Buffer.from(JSON.stringify(message));

export const encodeMetadataRequest = ({ requestMetadata }: MetadataRequest): Buffer => asJson({ requestMetadata });

export const encodeEncryptRequest = (request: EncryptRequest): Buffer =>
  asJson({
    requestMetadata: request.requestMetadata,
    additionalAuthenticatedData: optional(request.additionalAuthenticatedData),
    plaintext: toBase64(request.plaintext),
    encryptionAlgorithm: ENCRYPTION_ALGORITHM,
    ciphertextDataIntegrityValueAlgorithm: request.withIntegrityValue ? INTEGRITY_ALGORITHM : undefined,
  });

export const encodeDecryptRequest = (request: DecryptRequest): Buffer =>
  asJson({
    requestMetadata: request.requestMetadata,
    additionalAuthenticatedData: optional(request.additionalAuthenticatedData),
    encryptionAlgorithm: ENCRYPTION_ALGORITHM,
    ciphertext: toBase64(request.ciphertext),
    ciphertextMetadata: optional(request.ciphertextMetadata),
    initializationVector: toBase64(request.initializationVector),
    authenticationTag: toBase64(request.authenticationTag),
  });

const optional = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined || bytes.length === 0 ? undefined : toBase64(bytes);

const invalid = (message: string): ProxyError => new ProxyError('ValidationException', message);

function objectOf(body: Uint8Array): JsonObject {
  const json = parseStrictly(body);
  if (typeof json === 'string') throw invalid(`The request body ${json}.`);
  return json;
}

function readMetadata(json: JsonObject, required: readonly Member[]): RequestMetadata {
  const given = json['requestMetadata'];
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalid('requestMetadata: expected an object');
  }
  const metadata: Partial<Record<Member, string>> = {};
  for (const name of ALL) {
    const text = textOf(given as JsonObject, name, 'requestMetadata.');
    if (text !== undefined) metadata[name] = text;
  }
  for (const name of required) if (!metadata[name]) throw invalid(`requestMetadata.${name}: missing`);
  return metadata as RequestMetadata;
}

function checkAlgorithm(json: JsonObject): void {
  const given = textOf(json, 'encryptionAlgorithm');
  if (given !== ENCRYPTION_ALGORITHM) throw invalid(`encryptionAlgorithm: expected ${ENCRYPTION_ALGORITHM}`);
}

function additionalData(json: JsonObject): Buffer | undefined {
  const name = 'additionalAuthenticatedData';
  return isAbsent(json, name) ? undefined : bytesOf(json, name, LIMITS.additionalAuthenticatedData);
}

/** Some write what is not there as null. */
const isAbsent = (json: JsonObject, name: string): boolean => !Object.hasOwn(json, name) || json[name] === null;

function textOf(json: JsonObject, name: string, path = ''): string | undefined {
  if (isAbsent(json, name)) return undefined;
  const value = json[name];
  if (typeof value !== 'string' || value.length > LIMITS.text) {
    throw invalid(`${path}${name}: expected a string of at most ${LIMITS.text} characters`);
  }
  return value;
}

/** Beyond `limit`, it is no fault of the request that this proxy does not do it. */
function bytesOf(json: JsonObject, name: string, limit = Number.POSITIVE_INFINITY): Buffer {
  if (isAbsent(json, name)) throw invalid(`${name}: missing`);
  const value = json[name];
  const bytes = typeof value === 'string' ? fromBase64(value) : undefined;
  if (!bytes) throw invalid(`${name}: expected a string in Base64`);
  if (bytes.length > limit) {
    throw new ProxyError('UnsupportedOperationException', `${name}: at most ${limit} bytes are supported`);
  }
  return bytes;
}
