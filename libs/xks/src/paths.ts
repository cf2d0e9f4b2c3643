/** Forms of what names a proxy, a key or a credential: those of the API model of AWS KMS (XksKeyIdType, ...). */
const KEY_ID = /^[a-zA-Z0-9_.-]{1,128}$/;
const URI_PATH = /^(?:\/[a-zA-Z0-9/_-]+)?\/kms\/xks\/v1$/;
const LONGEST_URI_PATH = 128;
const ACCESS_KEY_ID = /^[A-Z2-7]{20,30}$/;
const SECRET_ACCESS_KEY = /^[a-zA-Z0-9/+=]{43,64}$/;

export const isXksKeyId = (text: string): boolean => KEY_ID.test(text);
/** `[/<prefix>]/kms/xks/v1`, at most 128 characters. */
export const isUriPath = (text: string): boolean => text.length <= LONGEST_URI_PATH && URI_PATH.test(text);
export const isXksAccessKeyId = (text: string): boolean => ACCESS_KEY_ID.test(text);
export const isXksSecretAccessKey = (text: string): boolean => SECRET_ACCESS_KEY.test(text);

const ENDPOINT = /^https:\/\/[a-zA-Z0-9.-]+$/;
const ENDPOINT_LENGTHS = { min: 10, max: 128 };
const LOOPBACK_ENDPOINT = /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/;
const IP_ADDRESS = /^[\d.]+$/;

/**
 * Where a proxy is: `https://<name>`, as AWS takes it (XksProxyUriEndpointType), by its name and not an address. With
 * `allowLoopback` also one on this machine, over plain HTTP too and on any port. Undefined for anything else.
 */
export function proxyEndpoint(text: string, allowLoopback: boolean): URL | undefined {
  if (allowLoopback && LOOPBACK_ENDPOINT.test(text)) return URL.canParse(text) ? new URL(text) : undefined;
  if (text.length < ENDPOINT_LENGTHS.min || text.length > ENDPOINT_LENGTHS.max || !ENDPOINT.test(text))
    return undefined;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  // The parser has turned 0x7f.1 and 2130706433 into addresses by now.
  return IP_ADDRESS.test(url.hostname) ? undefined : url;
}

export type KeyOperation = 'metadata' | 'encrypt' | 'decrypt';
const OPERATIONS: readonly string[] = ['metadata', 'encrypt', 'decrypt'] satisfies KeyOperation[];

export type Route = { operation: 'health' } | { operation: KeyOperation; keyId: string };

export const pathOf = (uriPath: string, route: Route): string =>
  route.operation === 'health' ? `${uriPath}/health` : `${uriPath}/keys/${route.keyId}/${route.operation}`;

/** What a path, as it stood on the request line, asks for; undefined where it is none of this API's. Nothing is decoded. */
export function routeOf(uriPath: string, path: string): Route | undefined {
  if (!path.startsWith(`${uriPath}/`)) return undefined;
  const rest = path.slice(uriPath.length + 1);
  if (rest === 'health') return { operation: 'health' };
  const [keys, keyId, operation, ...more] = rest.split('/');
  if (keys !== 'keys' || more.length > 0 || !isXksKeyId(keyId ?? '')) return undefined;
  return OPERATIONS.includes(operation ?? '') ? { operation: operation as KeyOperation, keyId: keyId! } : undefined;
}
