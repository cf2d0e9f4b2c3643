import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { formatAmzDate } from '#sigv4/amz-date';
import { signRequest } from '#sigv4/sign';
import { deriveSigningKey } from '#sigv4/signing-key';
import { integrityValue } from '#xks/integrity';
import { CONTENT_TYPE, LIMITS, SERVICE_NAME } from '#xks/limits';
import {
  isUriPath,
  isXksAccessKeyId,
  isXksKeyId,
  isXksSecretAccessKey,
  pathOf,
  proxyEndpoint,
  type Route,
} from '#xks/paths';
import {
  decodeDecryptReply,
  decodeEncryptReply,
  decodeError,
  decodeHealth,
  decodeKeyMetadata,
  type KeyMetadata,
  type ProxyHealth,
  ReplyError,
} from '#xks/replies';
import { encodeDecryptRequest, encodeEncryptRequest, encodeMetadataRequest, type RequestMetadata } from '#xks/requests';
import type { StoreCall, XksConnection } from '../key-store/store-connection';
import { ProxyLink } from './proxy-link';
import { decodeSealed, encodeSealed } from './sealed-bytes';
import { failureOf, XksFailure } from './xks-failure';

export interface XksCredential {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface XksProxyOptions extends XksCredential {
  /** `https://<name>`. */
  uriEndpoint: string;
  /** `[/<prefix>]/kms/xks/v1`. */
  uriPath: string;
  /** For which requests are signed: the store's own. */
  region: string;
  /** For one call, attempts and connecting included, in ms. */
  requestTimeoutMs?: number;
  /** PEM of the authorities that may vouch for the proxy; without it those that Node trusts. */
  ca?: string | Buffer | undefined;
  /** Whether a proxy may be on this machine, on any port and over plain HTTP too. */
  allowLoopback?: boolean;
  /** As many calls are under way at once; others wait, within their time limit. */
  connections?: number;
  /** Milliseconds since 1970, for signing. */
  now?: () => number;
}

/** Why GetHealthStatus is asked: AWS's name of the operation, or KmsHealthCheck between operations. */
export type HealthReason = 'CreateCustomKeyStore' | 'ConnectCustomKeyStore' | 'UpdateCustomKeyStore' | 'KmsHealthCheck';

const KMS_TIMEOUT_MS = 250;
/** Says of nobody more than is known. */
const NO_CALL: StoreCall = { principalArn: 'AWS Internal', keyArn: 'AWS Internal', operation: '', requestId: '' };

/**
 * Connects to an XKS proxy, which has to answer GetHealthStatus with a key manager that works. Rejects with ConnectError. Give back with
 * `close`.
 */
export async function connectXks(options: XksProxyOptions): Promise<XksProxyConnection> {
  let connection: XksProxyConnection | undefined;
  try {
    connection = new XksProxyConnection(options);
    await connection.health('ConnectCustomKeyStore');
    return connection;
  } catch (error) {
    await connection?.close();
    throw error instanceof XksFailure ? error.asConnectError() : error;
  }
}

/** What CreateCustomKeyStore and UpdateCustomKeyStore ask of settings before they take them. Rejects with StoreError. */
export async function checkXks(options: XksProxyOptions, reason: HealthReason): Promise<ProxyHealth> {
  const connection = new XksProxyConnection(options);
  try {
    return await connection.health(reason);
  } finally {
    await connection.close();
  }
}

/** An external key manager, used through its XKS proxy. All of it rejects with StoreError. */
export class XksProxyConnection implements XksConnection {
  private readonly link: ProxyLink;
  private readonly now: () => number;
  private credential: XksCredential | undefined;
  /** Kept, since it is good for a day. */
  private signing: { day: string; credential: XksCredential; key: Buffer } | undefined;

  /** Throws StoreError (invalid-configuration) for settings that cannot be meant. */
  constructor(private readonly options: XksProxyOptions) {
    const { allowLoopback = false, requestTimeoutMs = KMS_TIMEOUT_MS, connections = 64, ca } = options;
    const endpoint = proxyEndpoint(options.uriEndpoint, allowLoopback);
    if (!endpoint) throw misconfigured('its URI endpoint must be https:// and a name, without a port or a path');
    if (!isUriPath(options.uriPath)) {
      throw misconfigured('its URI path does not end in /kms/xks/v1');
    }
    this.credential = checked(options);
    this.now = options.now ?? Date.now;
    try {
      this.link = new ProxyLink({ endpoint, ca, allowLoopback, requestTimeoutMs, connections });
    } catch (error) {
      throw misconfigured('the authorities for external key store proxies cannot be read', { cause: error });
    }
  }

  async encrypt(key: string, plaintext: Uint8Array, aad: Uint8Array, call?: StoreCall): Promise<Buffer> {
    if (plaintext.length === 0 || plaintext.length > LIMITS.plaintext) {
      throw new XksFailure('unsupported', `an external key encrypts 1 to ${LIMITS.plaintext} bytes`);
    }
    const additionalAuthenticatedData = sentData(aad);
    const request = encodeEncryptRequest({
      requestMetadata: metadataOf(call, 'Encrypt'),
      plaintext: bufferOf(plaintext),
      additionalAuthenticatedData,
      withIntegrityValue: true,
    });
    const reply = await this.ask({ operation: 'encrypt', keyId: named(key) }, request, (body) =>
      decodeEncryptReply(body, plaintext.length),
    );
    const stated = reply.ciphertextDataIntegrityValue;
    const expected = integrityValue(additionalAuthenticatedData, reply);
    if (!stated || stated.length !== expected.length || !timingSafeEqual(stated, expected)) {
      throw misunderstood('ciphertextDataIntegrityValue is missing, or not that of the reply');
    }
    return encodeSealed(reply);
  }

  async decrypt(key: string, sealed: Uint8Array, aad: Uint8Array, call?: StoreCall): Promise<Buffer> {
    const parts = decodeSealed(sealed);
    if (!parts || parts.ciphertext.length === 0) {
      throw new XksFailure('invalid-ciphertext', 'this is nothing that an external key has encrypted');
    }
    const request = encodeDecryptRequest({
      requestMetadata: metadataOf(call, 'Decrypt'),
      additionalAuthenticatedData: sentData(aad),
      ...parts,
    });
    return this.ask({ operation: 'decrypt', keyId: named(key) }, request, (body) =>
      decodeDecryptReply(body, parts.ciphertext.length),
    );
  }

  async keyMetadata(key: string, call?: StoreCall): Promise<KeyMetadata> {
    const request = encodeMetadataRequest({ requestMetadata: metadataOf(call, 'DescribeKey') });
    return this.ask({ operation: 'metadata', keyId: named(key) }, request, decodeKeyMetadata);
  }

  /** What GetHealthStatus answers. Rejects as `unreachable` where no HSM behind the proxy can be used. */
  async health(reason: HealthReason = 'KmsHealthCheck', requestId: string = randomUUID()): Promise<ProxyHealth> {
    const request = encodeMetadataRequest({ requestMetadata: { kmsOperation: reason, kmsRequestId: requestId } });
    const health = await this.ask({ operation: 'health' }, request, decodeHealth);
    if (health.ekmFleetDetails.every(({ healthStatus }) => healthStatus === 'UNAVAILABLE')) {
      throw new XksFailure(
        'unreachable',
        'the external key store proxy reports that all its key managers are unavailable',
      );
    }
    return health;
  }

  /** Signs with another credential from now on, if the proxy takes it: else rejects, and goes on with the one before. */
  async rotateCredential(credential: XksCredential): Promise<void> {
    await checkXks({ ...this.options, ...checked(credential) }, 'UpdateCustomKeyStore');
    if (this.credential) this.credential = checked(credential);
  }

  async close(): Promise<void> {
    this.credential = undefined;
    this.signing?.key.fill(0);
    this.signing = undefined;
    this.link.close();
  }

  private async ask<T>(route: Route, body: Buffer, decode: (body: Buffer) => T): Promise<T> {
    const path = pathOf(this.options.uriPath, route);
    const reply = await this.link.post(path, body, () => this.signed(path, body));
    try {
      if (reply.contentType.split(';')[0]!.trim().toLowerCase() !== CONTENT_TYPE) {
        throw new ReplyError(`it is no ${CONTENT_TYPE}`);
      }
      if (reply.status === 200) return decode(reply.body);
      if (reply.status < 400) throw new ReplyError(`its status is ${reply.status}`);
    } catch (error) {
      throw error instanceof ReplyError ? misunderstood(`${error.message} (HTTP ${reply.status})`) : error;
    }
    throw errorOf(reply.body, reply.status);
  }

  /** As AWS KMS signs: host and x-amz-date. */
  private signed(path: string, body: Buffer): Record<string, string> {
    const { credential } = this;
    if (!credential) throw new XksFailure('unreachable', 'the connection to the external key store proxy was closed');
    const timeMs = this.now();
    return signRequest({
      ...credential,
      region: this.options.region,
      service: SERVICE_NAME,
      timeMs,
      method: 'POST',
      path,
      headers: { host: this.link.host },
      body,
      signingKey: this.signingKey(credential, timeMs),
    });
  }

  private signingKey(credential: XksCredential, timeMs: number): Buffer {
    const day = formatAmzDate(timeMs).slice(0, 8);
    if (this.signing?.day !== day || this.signing.credential !== credential) {
      const key = deriveSigningKey(credential.secretAccessKey, day, this.options.region, SERVICE_NAME);
      this.signing = { day, credential, key };
    }
    return this.signing.key;
  }
}

const misconfigured = (message: string, options?: ErrorOptions): XksFailure =>
  new XksFailure('invalid-configuration', message, options);

const misunderstood = (what: string): XksFailure =>
  new XksFailure('invalid-response', `the external key store proxy answered what is not understood: ${what}`);

function errorOf(body: Buffer, status: number): XksFailure {
  try {
    const { errorName, errorMessage } = decodeError(body);
    return failureOf(errorName, errorMessage);
  } catch (error) {
    return misunderstood(`${(error as Error).message} (HTTP ${status})`);
  }
}

function checked({ accessKeyId, secretAccessKey }: XksCredential): XksCredential {
  if (!isXksAccessKeyId(accessKeyId) || !isXksSecretAccessKey(secretAccessKey)) {
    throw misconfigured('the credential for the external key store proxy has not the form of one');
  }
  return { accessKeyId, secretAccessKey };
}

function named(key: string): string {
  if (isXksKeyId(key)) return key;
  throw new XksFailure('key-not-found', 'this is no id of an external key');
}

function metadataOf(call: StoreCall | undefined, operation: string): RequestMetadata {
  const { principalArn, keyArn, ...asked } = call ?? NO_CALL;
  return {
    awsPrincipalArn: principalArn,
    kmsKeyArn: keyArn,
    kmsOperation: asked.operation || operation,
    kmsRequestId: asked.requestId || randomUUID(),
  };
}

const WHOLE = Buffer.of(0);
const HASHED = Buffer.of(1);

/** A proxy takes at most 8192 bytes: what is longer is bound by its hash, and cannot be passed off as a shorter one. */
function sentData(aad: Uint8Array): Buffer {
  if (aad.length < LIMITS.additionalAuthenticatedData) return Buffer.concat([WHOLE, aad]);
  return Buffer.concat([HASHED, createHash('sha256').update(aad).digest()]);
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
