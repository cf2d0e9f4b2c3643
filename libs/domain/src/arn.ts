/** Amazon resource names of keys, aliases and principals: `arn:aws:kms:<region>:<account>:key/<id>`. */

export const keyArn = (region: string, account: string, keyId: string): string =>
  `arn:aws:kms:${region}:${account}:key/${keyId}`;

/** `aliasName` includes its `alias/` prefix. */
export const aliasArn = (region: string, account: string, aliasName: string): string =>
  `arn:aws:kms:${region}:${account}:${aliasName}`;

export const rootArn = (account: string): string => `arn:aws:iam::${account}:root`;

/** `path` begins and ends with `/`. */
export const userArn = (account: string, path: string, name: string): string =>
  `arn:aws:iam::${account}:user${path}${name}`;

export const roleArn = (account: string, path: string, name: string): string =>
  `arn:aws:iam::${account}:role${path}${name}`;

export const assumedRoleArn = (account: string, roleName: string, sessionName: string): string =>
  `arn:aws:sts::${account}:assumed-role/${roleName}/${sessionName}`;

export interface KmsArn {
  region: string;
  account: string;
  /** `key/<id>` or `alias/<name>`. */
  resource: string;
}

const KMS_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):((?:key|alias)\/[a-zA-Z0-9:/_-]+)$/;

/** The parts of a KMS ARN, or undefined where the text is not one. */
export function parseKmsArn(text: string): KmsArn | undefined {
  const match = KMS_ARN.exec(text);
  return match ? { region: match[1]!, account: match[2]!, resource: match[3]! } : undefined;
}

/** Whether a region name can be a subject token and an ARN part. */
export const isRegionName = (text: string): boolean => /^[a-z0-9][a-z0-9-]{0,31}$/.test(text);
