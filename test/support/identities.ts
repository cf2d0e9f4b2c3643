import { type CreateAccessKeyCommandOutput, IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { type Credentials as SessionCredentials, STSClient } from '@aws-sdk/client-sts';
import { observed } from './observed-errors';

export interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

export interface Clients {
  iam: IAMClient;
  sts: STSClient;
  kms: KMSClient;
}

/** AWS's own clients, one attempt a request, that sign with these credentials. */
export function clientsOf(endpoint: string, credentials: Credentials, region = 'us-east-1'): Clients {
  const settings = { endpoint, region, credentials, maxAttempts: 1 };
  return { iam: new IAMClient(settings), sts: new STSClient(settings), kms: observed(new KMSClient(settings)) };
}

export const longTerm = ({ AccessKey }: CreateAccessKeyCommandOutput): Credentials => ({
  accessKeyId: AccessKey!.AccessKeyId!,
  secretAccessKey: AccessKey!.SecretAccessKey!,
});

export const temporary = (credentials: SessionCredentials | undefined): Credentials => ({
  accessKeyId: credentials!.AccessKeyId!,
  secretAccessKey: credentials!.SecretAccessKey!,
  sessionToken: credentials!.SessionToken!,
});

/** An identity or session policy that allows these actions on everything. */
export const allowing = (...actions: string[]): string =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: actions, Resource: '*' }] });

/** A trust policy: who may assume the role. */
export const trusting = (principal: string, condition?: object): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { AWS: principal },
        Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'],
        ...(condition && { Condition: condition }),
      },
    ],
  });

/** What a rejected call of an SDK says: its code, its message and the status. */
export async function refusal(call: Promise<unknown>): Promise<[string, string, number | undefined]> {
  try {
    await call;
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return [name, message, $metadata?.httpStatusCode];
  }
  throw new Error('the call was not refused');
}
