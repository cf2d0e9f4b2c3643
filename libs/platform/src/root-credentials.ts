import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { writePrivately } from './private-file';
import { endsInItsOwnAuthority, pem } from './served-certificate';
import type { Settings } from './settings';

/** The credentials file cannot be taken as it is; the message names it and says what to do. */
export class CredentialsFileError extends Error {
  override readonly name = 'CredentialsFileError';
}

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
 * credentials file (0600), so that the AWS CLI needs no flag but the file names.
 */
export function rootCredentials(settings: Settings): RootCredentials {
  const { credentials: path } = awsConfigPaths(settings.dataDir);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const credentials = fromSettings(settings) ?? fromFile(path) ?? generated();
  writePrivately(
    path,
    `# Keytrail's checksum: ${checksum(credentials)}\n[default]\naws_access_key_id = ${credentials.accessKeyId}\naws_secret_access_key = ${credentials.secretAccessKey}\n`,
  );
  return credentials;
}

/** The AWS config file beside it, once it is known where HTTP is served. */
export const writeAwsConfig = (settings: Settings, endpoint: string): void =>
  writePrivately(
    awsConfigPaths(settings.dataDir).config,
    `[default]\nregion = ${settings.region}\nendpoint_url = ${endpoint}\n${caBundle(settings)}`,
  );

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

/**
 * With the line break behind the secret: a file that was cut short would pass for one with a shorter, weaker secret. The
 * checksum comes first, so that none is missing from a file that was cut; earlier releases wrote none.
 */
const PROFILE =
  /^(?:# Keytrail's checksum: (\S+)\s*\n)?\s*\[default\]\s*\n\s*aws_access_key_id\s*=\s*(\w{4,128})\s*\n\s*aws_secret_access_key\s*=\s*([!-~]{4,256})\s*\n/;

function fromFile(path: string): RootCredentials | undefined {
  if (!existsSync(path)) return undefined;
  const [, sum, accessKeyId, secretAccessKey] = PROFILE.exec(readFileSync(path, 'utf8')) ?? [];
  if (accessKeyId && secretAccessKey) {
    const found = { accessKeyId, secretAccessKey };
    if (sum === undefined || sum === checksum(found)) return found;
    throw new CredentialsFileError(
      `${path}: the access key does not fit its checksum, so nobody who knows the root's secret could sign with it; ` +
        'restore the file from its backup, put right what was damaged, or remove the line of the checksum to take the access key as it is',
    );
  }
  throw new CredentialsFileError(
    `${path}: no whole access key in it; restore it from its backup, or remove it to have a new one made`,
  );
}

/** Against damage: a changed secret would lock everybody out who knows the right one, and name no reason. */
const checksum = ({ accessKeyId, secretAccessKey }: RootCredentials): string =>
  createHash('sha256').update(`${accessKeyId}\n${secretAccessKey}`).digest('hex').slice(0, 16);

const generated = (): RootCredentials => ({
  accessKeyId: `AKIA${base32(randomBytes(16))}`,
  secretAccessKey: randomBytes(30).toString('base64'),
});

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const base32 = (bytes: Buffer): string => [...bytes].map((byte) => BASE32[byte & 31]).join('');
