import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { endsInItsOwnAuthority, pem } from './served-certificate';
import type { Settings } from './settings';

export interface RootCredentials {
  accessKeyId: string;
  secretAccessKey: string;
}

export const awsConfigPaths = (dataDir: string): { config: string; credentials: string } => ({
  config: join(dataDir, 'aws', 'config'),
  credentials: join(dataDir, 'aws', 'credentials'),
});

/**
 * The account root's access key: from the settings, else from the data folder, else made now. Kept there as an AWS
 * credentials and config file (0600), so that the AWS CLI needs no flag but the two file names.
 */
export function rootCredentials(settings: Settings, endpoint: string): RootCredentials {
  const paths = awsConfigPaths(settings.dataDir);
  mkdirSync(join(settings.dataDir, 'aws'), { recursive: true, mode: 0o700 });
  const credentials = fromSettings(settings) ?? fromFile(paths.credentials) ?? generated();
  writePrivately(
    paths.credentials,
    `[default]\naws_access_key_id = ${credentials.accessKeyId}\naws_secret_access_key = ${credentials.secretAccessKey}\n`,
  );
  writePrivately(
    paths.config,
    `[default]\nregion = ${settings.region}\nendpoint_url = ${endpoint}\n${caBundle(settings)}`,
  );
  return credentials;
}

/** The line that has the AWS CLI trust an authority that it cannot know; none where it must know it already. */
function caBundle({ tlsCert }: Settings): string {
  if (tlsCert === undefined) return '';
  const chain = pem('KEYTRAIL_TLS_CERT', tlsCert).toString('latin1');
  return endsInItsOwnAuthority(chain) ? `ca_bundle = ${resolve(tlsCert)}\n` : '';
}

export function fromSettings({ rootAccessKeyId, rootSecretAccessKey }: Settings): RootCredentials | undefined {
  if (rootAccessKeyId === undefined || rootSecretAccessKey === undefined) return undefined;
  return { accessKeyId: rootAccessKeyId, secretAccessKey: rootSecretAccessKey };
}

function fromFile(path: string): RootCredentials | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  const accessKeyId = /^aws_access_key_id\s*=\s*(\S+)$/m.exec(text)?.[1];
  const secretAccessKey = /^aws_secret_access_key\s*=\s*(\S+)$/m.exec(text)?.[1];
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey };
  throw new Error(`${path} holds no access key; restore it, or remove it to have a new one made`);
}

const generated = (): RootCredentials => ({
  accessKeyId: `AKIA${base32(randomBytes(16))}`,
  secretAccessKey: randomBytes(30).toString('base64'),
});

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const base32 = (bytes: Buffer): string => [...bytes].map((byte) => BASE32[byte & 31]).join('');

/** A crash leaves either the former file or the new one, whole. */
function writePrivately(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, path);
}
