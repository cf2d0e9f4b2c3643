import { createHash } from 'node:crypto';
import type { SignedRequest } from '#sigv4/claim';
import { type Access, mayUse, type ProxyCredential } from './access';
import { authenticate } from './authenticate';
import { boundData, integrityValue, type Sealed } from './integrity';
import { CONTENT_TYPE } from './limits';
import type { KeyOperation, Route } from './paths';
import { ProxyError } from './proxy-error';
import {
  encodeDecryptReply,
  encodeEncryptReply,
  encodeHealth,
  encodeKeyMetadata,
  type KeyMetadata,
  type ProxyHealth,
} from './replies';
import {
  type DecryptRequest,
  decodeDecryptRequest,
  decodeEncryptRequest,
  decodeHealthRequest,
  decodeMetadataRequest,
  type EncryptRequest,
  type RequestMetadata,
} from './requests';

/** A key of the key manager's. Several may have the same name. */
export interface ExternalKey {
  name: string;
  /** Tells those of one name apart, in hex. */
  id: string;
  bytes: number;
  mayEncrypt: boolean;
  mayDecrypt: boolean;
}

/** The key manager. All of it rejects with ProxyError, in a bounded time. */
export interface KeyManager {
  /** AES keys of that name; none where there is none. `anew`: what was found a moment ago will not do. */
  find(name: string, anew?: boolean): Promise<readonly ExternalKey[]>;
  /** Under an IV that was never used with the key before. */
  encrypt(
    key: ExternalKey,
    plaintext: Uint8Array,
    aad: Uint8Array,
  ): Promise<Pick<Sealed, 'ciphertext' | 'initializationVector' | 'authenticationTag'>>;
  /** As InvalidCiphertextException where the tag does not fit. */
  decrypt(key: ExternalKey, sealed: Sealed, aad: Uint8Array): Promise<Buffer>;
  /** Of a real operation. */
  health(): Promise<ProxyHealth>;
}

/** What is logged of a request, as far as it is known. */
export interface Noted {
  accessKeyId?: string;
  requestMetadata?: RequestMetadata;
}

export interface ProxyPorts {
  keys: KeyManager;
  access: Access;
  nowMs: number;
  noted: Noted;
}

/** The reply to a request whose path was found to be `route`. Rejects with ProxyError, or what the key manager rejects with. */
export async function answerProxyRequest(route: Route, request: SignedRequest, ports: ProxyPorts): Promise<Buffer> {
  const credential = authenticate(request, ports.access, ports.nowMs);
  ports.noted.accessKeyId = credential.accessKeyId;
  const type = request.headers['content-type'];
  if (typeof type !== 'string' || type.split(';')[0]!.trim().toLowerCase() !== CONTENT_TYPE) {
    throw new ProxyError('ValidationException', `Content-Type: expected ${CONTENT_TYPE}`);
  }
  if (route.operation === 'health') {
    ports.noted.requestMetadata = decodeHealthRequest(request.body).requestMetadata;
    return encodeHealth(await ports.keys.health());
  }
  const { keyId } = route;
  switch (route.operation) {
    case 'metadata': {
      ports.noted.requestMetadata = decodeMetadataRequest(request.body).requestMetadata;
      return encodeKeyMetadata(metadataOf(await found(keyId, credential, ports, 'any'), keyId, ports.access));
    }
    case 'encrypt': {
      const asked = decodeEncryptRequest(request.body);
      try {
        ports.noted.requestMetadata = asked.requestMetadata;
        const keys = usable(await found(keyId, credential, ports, 'AES_256'), keyId, 'encrypt', ports.access);
        return encodeEncryptReply(await encrypt(keys[0]!, asked, ports.keys));
      } finally {
        asked.plaintext.fill(0);
      }
    }
    case 'decrypt': {
      const asked = decodeDecryptRequest(request.body);
      ports.noted.requestMetadata = asked.requestMetadata;
      const decrypting = async (anew: boolean) =>
        usable(await found(keyId, credential, ports, 'AES_256', anew), keyId, 'decrypt', ports.access).find(
          hasEncrypted(asked),
        );
      // It may have been made since the others of its name were looked for.
      const key = (await decrypting(false)) ?? (isOwn(asked) ? await decrypting(true) : undefined);
      if (!key) throw notOfThisKey();
      const aad = boundData(asked.additionalAuthenticatedData, asked.ciphertextMetadata);
      const plaintext = await ports.keys.decrypt(key, asked, aad);
      try {
        return encodeDecryptReply(plaintext);
      } finally {
        plaintext.fill(0);
      }
    }
  }
}

/** Those of the name; the one that encrypts comes first. */
async function found(
  keyId: string,
  credential: ProxyCredential,
  { keys }: ProxyPorts,
  wanted: 'AES_256' | 'any',
  anew = false,
): Promise<readonly ExternalKey[]> {
  if (!mayUse(credential, keyId)) {
    throw new ProxyError('AccessDeniedException', 'The credential may not use this external key.');
  }
  const there = await keys.find(keyId, anew);
  const strong = there.filter(({ bytes }) => bytes === AES_256_BYTES);
  // What another key is, is told: KMS has an error for that. It is not used.
  const all = strong.length === 0 && wanted === 'any' ? there : strong;
  if (all.length === 0) throw new ProxyError('KeyNotFoundException', 'There is no AES-256 key of this id.');
  const ids = new Set(all.map(({ id }) => id));
  if (all.length > 1 && (ids.size < all.length || ids.has(''))) {
    throw new ProxyError('InternalException', 'There are several keys of this id that nothing tells apart.');
  }
  return [...all].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const AES_256_BYTES = 32;

function metadataOf([key]: readonly ExternalKey[], keyId: string, access: Access): KeyMetadata {
  const keyUsage = [...(key!.mayEncrypt ? ['ENCRYPT'] : []), ...(key!.mayDecrypt ? ['DECRYPT'] : [])];
  return {
    keySpec: `AES_${key!.bytes * 8}`,
    keyUsage,
    keyStatus: access.disabledKeys.includes(keyId) ? 'DISABLED' : 'ENABLED',
  };
}

function usable(
  keys: readonly ExternalKey[],
  keyId: string,
  operation: Exclude<KeyOperation, 'metadata'>,
  { disabledKeys }: Access,
): readonly ExternalKey[] {
  if (disabledKeys.includes(keyId)) throw new ProxyError('InvalidStateException', 'The external key is disabled.');
  const allowed = keys.filter((key) => (operation === 'encrypt' ? key.mayEncrypt : key.mayDecrypt));
  if (allowed.length === 0) throw new ProxyError('InvalidKeyUsageException', `The external key does not ${operation}.`);
  return allowed;
}

async function encrypt(key: ExternalKey, asked: EncryptRequest, manager: KeyManager) {
  const { plaintext, additionalAuthenticatedData, withIntegrityValue } = asked;
  if (withIntegrityValue && !key.mayDecrypt) {
    throw new ProxyError('InvalidKeyUsageException', 'The integrity value takes a key that also decrypts.');
  }
  const ciphertextMetadata = metadataFor(key);
  const aad = boundData(additionalAuthenticatedData, ciphertextMetadata);
  const sealed: Sealed = { ...(await manager.encrypt(key, plaintext, aad)), ciphertextMetadata };
  if (!withIntegrityValue) return sealed;
  // Before the decryption that vouches for it: made after, it would also be of what has changed meanwhile (Appendix C).
  const ciphertextDataIntegrityValue = integrityValue(additionalAuthenticatedData, sealed);
  const decrypted = await manager.decrypt(key, sealed, aad);
  const same = decrypted.equals(plaintext);
  decrypted.fill(0);
  if (!same) throw new ProxyError('InternalException', 'The key manager does not decrypt what it has encrypted.');
  return { ...sealed, ciphertextDataIntegrityValue };
}

const IV_BYTES = 12;

/** Whether it has the form of what this proxy makes. Nothing of it is without metadata, or has another IV. */
const isOwn = ({ ciphertextMetadata, initializationVector }: DecryptRequest): boolean =>
  ciphertextMetadata?.length === 1 + KEY_DIGEST_BYTES &&
  ciphertextMetadata[0] === METADATA_VERSION &&
  initializationVector.length === IV_BYTES;

const hasEncrypted =
  (asked: DecryptRequest) =>
  (key: ExternalKey): boolean =>
    isOwn(asked) && metadataFor(key).equals(asked.ciphertextMetadata!);

const notOfThisKey = (): ProxyError =>
  new ProxyError(
    'InvalidCiphertextException',
    'The ciphertext, or what it was bound to, is not what this external key has encrypted.',
  );

const METADATA_VERSION = 1;
const KEY_DIGEST_BYTES = 8;

/** Which key of a name has encrypted: ids themselves may be longer than the 20 bytes that there are. */
const metadataFor = ({ id }: ExternalKey): Buffer =>
  Buffer.concat([
    Buffer.of(METADATA_VERSION),
    createHash('sha256').update(Buffer.from(id, 'hex')).digest().subarray(0, KEY_DIGEST_BYTES),
  ]);
