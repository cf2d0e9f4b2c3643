import { createHash } from 'node:crypto';
import { plusDays } from '../dates';
import type { KeyDeciders } from './families';
import { materialIdOf } from './material-id';
import { ROTATION_LIMITS } from './rotation';

/**
 * AWS services that have a key of their own in each account and region, as their aliases name them (AWS KMS Developer
 * Guide, "AWS managed keys").
 */
const SERVICES: ReadonlySet<string> = new Set([
  ...[
    'acm',
    'backup',
    'cloud9',
    'codeartifact',
    'codecommit',
    'connect',
    'dms',
    'dynamodb',
    'ebs',
    'elasticfilesystem',
  ],
  ...['es', 'fsx', 'glue', 'kafka', 'kinesis', 'kinesisvideo', 'lambda', 'lex', 'lightsail', 'mq', 'rds', 'redshift'],
  ...['s3', 'secretsmanager', 'ses', 'sns', 'sqs', 'ssm', 'storagegateway', 'timestream', 'workspaces', 'xray'],
]);

const PREFIX = 'aws/';

/** The service whose key an alias names (without `alias/`); undefined where no service's. */
export function managedServiceOf(aliasName: string): string | undefined {
  const service = aliasName.slice(PREFIX.length);
  return aliasName.startsWith(PREFIX) && SERVICES.has(service) ? service : undefined;
}

export const managedAliasName = (service: string): string => PREFIX + service;

/**
 * A UUID (version 8, RFC 9562), a function of whose key it is: two key-managers that mint the same key at once name the
 * same aggregate, and the second finds it made.
 */
export function managedKeyId(region: string, account: string, service: string): string {
  const bytes = createHash('sha256').update(`keytrail managed key\0${region}\0${account}\0${service}`).digest();
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** An AWS managed key is born with automatic rotation, every year, and nobody can change anything about it. */
export const managedKeyDeciders: KeyDeciders<'CreateManagedKey'> = {
  CreateManagedKey: ({ service, policy }, key, { keyArn, now }) => {
    if (key.keyState !== 'None') return [];
    const rotationPeriodInDays = ROTATION_LIMITS.defaultPeriodInDays;
    return [
      {
        type: 'KeyCreated',
        v: 1,
        description: `AWS managed key of ${service}`,
        keyUsage: 'ENCRYPT_DECRYPT',
        keySpec: 'SYMMETRIC_DEFAULT',
        multiRegion: false,
        policy,
        tags: [],
        origin: 'AWS_KMS',
        materialId: materialIdOf(keyArn, 1),
        manager: 'AWS',
      },
      {
        type: 'KeyRotationEnabled',
        v: 1,
        rotationPeriodInDays,
        nextRotationDate: plusDays(now, rotationPeriodInDays),
      },
    ];
  },
};
