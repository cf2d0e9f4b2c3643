import type { NatsConnection } from 'nats';
import { requestSubject } from '#domain/subjects';
import type { Credentials } from './identities';
import { requestAs } from './nats-client';

export const REGION = 'us-east-1';
export const ACCOUNT = '000000000000';

export type Reply = Record<string, unknown> & { __type?: string };

/** As whom the subject names; without any position that the answering process must have reached. */
export async function askOverNats(
  nats: NatsConnection,
  principal: string,
  operation: string,
  body: object,
  timeout = 30_000,
): Promise<Reply> {
  const subject = requestSubject(REGION, ACCOUNT, principal, operation);
  return (await requestAs(nats, subject, JSON.stringify(body), undefined, timeout)).json<Reply>();
}

/** Of a service that does not know whether it is up to date: it has done nothing, and says so. SDKs ask again, too. */
const LOST_TOUCH = 'The service has lost touch with the event log; try again.';
const TRIES = 20;

/** The account's root, over a connection that may speak for everybody. What it asks for must be done. */
export class RootOverNats {
  constructor(private readonly nats: NatsConnection) {}

  async call<T>(operation: string, body: object): Promise<T> {
    const ask = (): Promise<Reply> => askOverNats(this.nats, 'root', operation, body);
    let reply = await ask();
    for (let tries = 1; reply['message'] === LOST_TOUCH && tries < TRIES; tries++) reply = await ask();
    if (reply.__type !== undefined) throw new Error(`${operation}: ${JSON.stringify(reply)}`);
    return reply as T;
  }

  /** Its id. */
  async newKey(): Promise<string> {
    return (await this.call<{ KeyMetadata: { KeyId: string } }>('CreateKey', {})).KeyMetadata.KeyId;
  }

  /** Its unique id. */
  async newUser(UserName: string): Promise<string> {
    return (await this.call<{ User: { UserId: string } }>('CreateUser', { UserName })).User.UserId;
  }

  async newAccessKey(UserName: string): Promise<Credentials> {
    type Created = { AccessKey: { AccessKeyId: string; SecretAccessKey: string } };
    const { AccessKey } = await this.call<Created>('CreateAccessKey', { UserName });
    return { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  }
}

export const userArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:user/${name}`;
export const roleArn = (name: string): string => `arn:aws:iam::${ACCOUNT}:role/${name}`;
export const document = (...Statement: object[]): string => JSON.stringify({ Version: '2012-10-17', Statement });
export const ALLOW_ALL = { Effect: 'Allow', Action: 'kms:*', Resource: '*' };
/** The statement of the default key policy. */
export const FROM_ROOT = { ...ALLOW_ALL, Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` } };
