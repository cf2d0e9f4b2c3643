import { CreateAccessKeyCommand, CreateUserCommand, IAMClient, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { type Measure, onOneAndMany, type Scenario } from '../case';
import { startEmbedded } from '../embedded';
import { ACCOUNT, CREDENTIALS, type Credentials, call, createKey, encryptRequest, REGION } from '../kms-requests';
import { httpLoad, warmUp } from '../load';

const BY_ROOT = 'HTTP Encrypt, as root';
const BY_POLICY = 'HTTP Encrypt, as a user by an IAM policy with a condition';
const BY_GRANT = 'HTTP Encrypt, as a user by the last of 20 grants';
const GRANTS = 20;

/** What a decision costs: who needs no policy, beside who is let in by one, or by a grant. */
export const byPolicy: Scenario = {
  cases: onOneAndMany([{ name: BY_ROOT }, { name: BY_POLICY, floor: BY_ROOT }, { name: BY_GRANT, floor: BY_ROOT }]),
  async open(processes) {
    const target = await startEmbedded(processes);
    const { port } = target;
    const iam = new IAMClient({ endpoint: `http://127.0.0.1:${port}`, region: REGION, credentials: CREDENTIALS });
    const encrypt = encryptRequest(await createKey(port));
    const { KeyId } = encrypt.body as { KeyId: string };
    const reader = await user(iam, 'reader');
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Deny', Action: 'kms:ScheduleKeyDeletion', Resource: '*' },
        {
          Effect: 'Allow',
          Action: ['kms:Decrypt', 'kms:Encrypt'],
          Resource: `arn:aws:kms:*:${ACCOUNT}:key/*`,
          Condition: {
            StringEquals: { 'aws:PrincipalAccount': ACCOUNT },
            IpAddress: { 'aws:SourceIp': '127.0.0.0/8' },
          },
        },
      ],
    });
    await iam.send(new PutUserPolicyCommand({ UserName: 'reader', PolicyName: 'reads', PolicyDocument }));
    const grantee = await user(iam, 'grantee');
    for (let at = 1; at <= GRANTS; at++) {
      const Operations = at === GRANTS ? ['Encrypt'] : ['Decrypt', 'DescribeKey'];
      const body = { KeyId, GranteePrincipal: `arn:aws:iam::${ACCOUNT}:user/grantee`, Operations };
      await call(port, { operation: 'CreateGrant', body });
    }
    const asked = { [BY_ROOT]: CREDENTIALS, [BY_POLICY]: reader, [BY_GRANT]: grantee };
    const measures: Record<string, Measure> = {};
    for (const [name, credentials] of Object.entries(asked)) {
      const request = { ...encrypt, credentials };
      await warmUp(port, request);
      measures[name] = (connections, seconds) => httpLoad(target, request, connections, seconds);
    }
    return measures;
  },
};

async function user(iam: IAMClient, UserName: string): Promise<Credentials> {
  await iam.send(new CreateUserCommand({ UserName }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
}
