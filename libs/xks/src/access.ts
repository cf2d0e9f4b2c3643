import { isXksAccessKeyId, isXksKeyId, isXksSecretAccessKey } from './paths';
import { parseStrictly } from './strict-json';

/** A credential of the proxy's, and which keys it is good for: ids, or `*` for all. */
export interface ProxyCredential {
  accessKeyId: string;
  secretAccessKey: string;
  keys: readonly string[];
}

/** Who may use what. */
export interface Access {
  /** Several, so that one can take over from another. */
  credentials: readonly ProxyCredential[];
  /** Keys that nobody may use for the time being: PKCS#11 has no such state. */
  disabledKeys: readonly string[];
}

export const NO_ACCESS: Access = { credentials: [], disabledKeys: [] };

export const mayUse = ({ keys }: ProxyCredential, keyId: string): boolean => keys.includes('*') || keys.includes(keyId);

/** From the text of its file; a message that says what is wrong, and quotes no secret, where it is none. */
export function parseAccess(text: string): Access | string {
  const json = parseStrictly(Buffer.from(text));
  if (typeof json === 'string') return json;
  const { credentials = [], disabledKeys = [], ...unknown } = json;
  const [first] = Object.keys(unknown);
  if (first !== undefined) return `${JSON.stringify(first)}: expected credentials and disabledKeys alone`;
  if (!Array.isArray(credentials)) return 'credentials: expected an array';
  if (!isIds(disabledKeys)) return 'disabledKeys: expected an array of key ids';
  const read: ProxyCredential[] = [];
  for (const [at, given] of credentials.entries()) {
    const credential = parseCredential(given);
    if (typeof credential === 'string') return `credentials[${at}]${credential}`;
    if (read.some(({ accessKeyId }) => accessKeyId === credential.accessKeyId)) {
      return `credentials[${at}].accessKeyId: there is another of the same`;
    }
    read.push(credential);
  }
  return { credentials: read, disabledKeys };
}

export const formatAccess = (access: Access): string => `${JSON.stringify(access, undefined, 2)}\n`;

function parseCredential(given: unknown): ProxyCredential | string {
  if (typeof given !== 'object' || given === null) return ': expected an object';
  const { accessKeyId, secretAccessKey, keys } = given as Record<string, unknown>;
  if (typeof accessKeyId !== 'string' || !isXksAccessKeyId(accessKeyId)) {
    return '.accessKeyId: expected 20 to 30 of the characters A to Z and 2 to 7';
  }
  if (typeof secretAccessKey !== 'string' || !isXksSecretAccessKey(secretAccessKey)) {
    return '.secretAccessKey: expected 43 to 64 characters of Base64';
  }
  if (!isIds(keys, '*')) return '.keys: expected an array of key ids, or ["*"]';
  return { accessKeyId, secretAccessKey, keys };
}

const isIds = (value: unknown, also?: string): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string' && (one === also || isXksKeyId(one)));
