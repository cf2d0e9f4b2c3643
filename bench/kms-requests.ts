import { request as httpRequest } from 'node:http';
import { signRequest } from '#sigv4/sign';

export const REGION = 'us-east-1';
export const ACCOUNT = '000000000000';

/** An access key. */
export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  /** Of temporary credentials. */
  sessionToken?: string;
}

export const CREDENTIALS: Credentials = { accessKeyId: 'AKIABENCH', secretAccessKey: 'bench-secret-key' };

/** Environment of a service that is to know the bench's credentials. */
export const ROOT_CREDENTIALS = {
  KEYTRAIL_ROOT_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
  KEYTRAIL_ROOT_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
};

/** One request, without its signature. */
export interface KmsRequest {
  operation: string;
  body: object;
  /** Whose it is; root's without. */
  credentials?: Credentials;
}

/** The headers of a signed request; the server takes them for 5 minutes. */
export const signedHeaders = (
  port: number,
  operation: string,
  body: string,
  credentials = CREDENTIALS,
): Record<string, string> =>
  signRequest({
    ...credentials,
    region: REGION,
    service: 'kms',
    timeMs: Date.now(),
    method: 'POST',
    path: '/',
    headers: {
      host: `127.0.0.1:${port}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `TrentService.${operation}`,
    },
    body: Buffer.from(body),
  });

/** Sends one request and gives the reply. Rejects with what the server said where it refuses. */
export async function call<R>(port: number, { operation, body, credentials }: KmsRequest): Promise<R> {
  const text = JSON.stringify(body);
  const headers = signedHeaders(port, operation, text, credentials);
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body: text });
  const reply = (await response.json()) as R;
  if (!response.ok) throw new Error(`${operation}: ${JSON.stringify(reply)}`);
  return reply;
}

/** The same over a connection of its own, without looking at the reply. */
export const callAlone = (port: number, { operation, body }: KmsRequest): Promise<void> =>
  new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const headers = signedHeaders(port, operation, text);
    const sent = httpRequest({ port, method: 'POST', agent: false, headers }, (response) => {
      response.resume();
      response.once('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`${operation} failed`))));
    });
    sent.once('error', reject);
    sent.end(text);
  });

/** Creates a key, with the default policy unless one is given, and gives its id. `kind`: spec and usage. */
export async function createKey(port: number, Policy?: string, kind: object = {}): Promise<string> {
  const body = { Policy, ...kind };
  const created = await call<{ KeyMetadata: { KeyId: string } }>(port, { operation: 'CreateKey', body });
  return created.KeyMetadata.KeyId;
}

/** Creates a key that signs, and signs 64 bytes with it. */
export async function signingRequest(port: number, KeySpec: string, more: object): Promise<KmsRequest> {
  const KeyId = await createKey(port, undefined, { KeySpec, KeyUsage: 'SIGN_VERIFY' });
  return { operation: 'Sign', body: { KeyId, Message: Buffer.alloc(64, 1).toString('base64'), ...more } };
}

/** Encrypts 64 bytes under the key. */
export const encryptRequest = (keyId: string): KmsRequest => ({
  operation: 'Encrypt',
  body: { KeyId: keyId, Plaintext: Buffer.alloc(64, 1).toString('base64') },
});

/** The requests that the HTTP cases send, by operation, for a key made for them. */
export async function kmsRequests(port: number): Promise<Record<string, KmsRequest>> {
  const KeyId = await createKey(port);
  const encrypt = encryptRequest(KeyId);
  const { CiphertextBlob } = await call<{ CiphertextBlob: string }>(port, encrypt);
  return {
    Encrypt: encrypt,
    Decrypt: { operation: 'Decrypt', body: { CiphertextBlob } },
    GenerateDataKey: { operation: 'GenerateDataKey', body: { KeyId, KeySpec: 'AES_256' } },
    Sign: await signingRequest(port, 'ECC_NIST_P256', { SigningAlgorithm: 'ECDSA_SHA_256' }),
    CreateKey: { operation: 'CreateKey', body: {} },
  };
}
