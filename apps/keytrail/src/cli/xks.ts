import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { writePrivately } from '#platform/private-file';
import { changeAccess, readAccess } from '#platform/xks-proxy/access-file';
import { openXksToken } from '#platform/xks-proxy/run-xks-proxy';
import { parseAccessFile, parseXksProxySettings } from '#platform/xks-proxy/xks-proxy-settings';
import type { Access } from '#xks/access';
import { isXksKeyId } from '#xks/paths';
import { CommandError } from './operator';

type Print = (line: string) => void;

const KEY_ID = '1 to 128 letters, digits, dashes, dots and underscores';

function keyId(text: string): string {
  if (isXksKeyId(text)) return text;
  throw new CommandError(`${JSON.stringify(text)} is no id of an external key: expected ${KEY_ID}`);
}

/** Makes an AES-256 key that the token does not give out; refuses a label that is taken. */
export async function createKey(
  { id, encryptOnly, decryptOnly }: { id: string; encryptOnly?: boolean; decryptOnly?: boolean },
  print: Print,
): Promise<void> {
  const label = keyId(id);
  if (encryptOnly && decryptOnly) throw new CommandError('--encrypt-only and --decrypt-only: expected one of them');
  const settings = parseXksProxySettings(process.env);
  if (label === settings.healthKey)
    throw new CommandError(`${label} is what the proxy tries health with: take another`);
  const token = await openXksToken(settings);
  try {
    if ((await token.call('keysLabelled', { label })).length > 0) {
      throw new CommandError(`the token ${settings.token.label} has a key with the label ${label} already`);
    }
    const usage = { mayEncrypt: !decryptOnly, mayDecrypt: !encryptOnly };
    await token.call('generateKey', { label, id: randomBytes(16).toString('hex'), ...usage });
    print(`external key ${label}: AES-256, in the token ${settings.token.label}`);
  } finally {
    await token.close();
  }
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const newAccessKeyId = (): string => Array.from(randomBytes(20), (byte) => BASE32[byte % 32]).join('');

/** Adds a credential, and prints it as the console of AWS KMS takes it, or writes that to a file (0600). The secret is told once. */
export function createCredential({ keys, write }: { keys: string; write?: string }, print: Print): void {
  const file = parseAccessFile(process.env);
  const allowed = keys === '*' ? ['*'] : keys.split(',').map((id) => keyId(id.trim()));
  const credential = {
    accessKeyId: newAccessKeyId(),
    secretAccessKey: randomBytes(32).toString('base64'),
    keys: allowed,
  };
  changeAccess(file, (access) => ({ ...access, credentials: [...access.credentials, credential] }));
  const told = JSON.stringify(
    {
      XksProxyUriPath: process.env['KEYTRAIL_XKS_URI_PATH'] || '/kms/xks/v1',
      XksProxyAuthenticationCredential: {
        AccessKeyId: credential.accessKeyId,
        RawSecretAccessKey: credential.secretAccessKey,
      },
    },
    undefined,
    2,
  );
  if (write === undefined) {
    print(told);
    return;
  }
  try {
    writePrivately(resolve(write), `${told}\n`);
  } catch (error) {
    changeAccess(file, (access) => without(access, credential.accessKeyId));
    throw new CommandError(`${write} could not be written (${(error as Error).message}): no credential was made`);
  }
  print(`credential ${credential.accessKeyId}: in ${write}`);
}

export function deleteCredential(accessKeyId: string, print: Print): void {
  changeAccess(parseAccessFile(process.env), (access) => {
    if (access.credentials.some((one) => one.accessKeyId === accessKeyId)) return without(access, accessKeyId);
    throw new CommandError(`there is no credential ${accessKeyId}: ./keytrail xks list shows those there are`);
  });
  print(`credential ${accessKeyId}: deleted`);
}

/** Has the proxy refuse it, or serve it again. Harmless to repeat. */
export function setDisabled(id: string, disabled: boolean, print: Print): void {
  const name = keyId(id);
  changeAccess(parseAccessFile(process.env), ({ credentials, disabledKeys }) => {
    const others = disabledKeys.filter((one) => one !== name);
    return { credentials, disabledKeys: disabled ? [...others, name] : others };
  });
  print(`external key ${name}: ${disabled ? 'disabled' : 'enabled'}`);
}

/** Credentials without their secrets, and keys that are disabled. */
export function listAccess(print: Print): void {
  const { credentials, disabledKeys } = readAccess(parseAccessFile(process.env));
  for (const { accessKeyId, keys } of credentials) {
    print(`credential ${accessKeyId}  keys: ${keys.includes('*') ? 'all' : keys.join(', ')}`);
  }
  for (const id of disabledKeys) print(`external key ${id}  disabled`);
  if (credentials.length === 0) print('no credentials: ./keytrail xks create-credential makes one');
}

const without = (access: Access, accessKeyId: string): Access => ({
  ...access,
  credentials: access.credentials.filter((one) => one.accessKeyId !== accessKeyId),
});
