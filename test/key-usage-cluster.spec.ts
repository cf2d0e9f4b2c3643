import {
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EncryptCommand,
  GetKeyLastUsageCommand,
  type KMSClient,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { refusal } from './support/identities';
import { TopologyWithPostgres, withPostgres } from './support/topology-with-postgres';

jest.setTimeout(180_000);

let started: TopologyWithPostgres | undefined;
afterAll(() => started?.stop());

withPostgres(
  'a key-manager asks an audit-projector when a key was last used, and lets nothing pass without one',
  async () => {
    started = await TopologyWithPostgres.start();
    const { topology, kms } = started;
    const send: KMSClient['send'] = kms.send.bind(kms);
    const { KeyMetadata } = await send(new CreateKeyCommand({}));
    const KeyId = KeyMetadata!.KeyId!;
    const account = KeyMetadata!.AWSAccountId;
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' },
        {
          Effect: 'Deny',
          Principal: '*',
          Action: 'kms:ScheduleKeyDeletion',
          Resource: '*',
          Condition: { NumericLessThan: { 'kms:TrailingDaysWithoutKeyUsage': '30' } },
        },
      ],
    });
    await send(new PutKeyPolicyCommand({ KeyId, Policy }));
    const { $metadata } = await send(new EncryptCommand({ KeyId, Plaintext: Buffer.from('x') }));
    const lastUse = () => send(new GetKeyLastUsageCommand({ KeyId }));
    const schedule = () => send(new ScheduleKeyDeletionCommand({ KeyId }));
    expect((await lastUse()).KeyLastUsage).toMatchObject({ Operation: 'Encrypt', KmsRequestId: $metadata.requestId });
    expect((await refusal(schedule()))[0]).toBe('AccessDeniedException');

    const projector = topology.get('audit-projector');
    await projector.kill9();
    const [name, message, status] = await refusal(schedule());
    expect([name, status]).toEqual(['DependencyTimeoutException', 503]);
    expect(message).toMatch(/^The last use cannot be told now:/);
    expect((await send(new DescribeKeyCommand({ KeyId }))).KeyMetadata!.KeyState).toBe('Enabled');
    expect((await refusal(lastUse()))[2]).toBe(503);
    await topology.rejoin(projector);
    expect((await refusal(schedule()))[0]).toBe('AccessDeniedException');
    // What no policy makes depend on it needs no audit-projector.
    await projector.kill9();
    await send(new DisableKeyCommand({ KeyId }));
  },
);
