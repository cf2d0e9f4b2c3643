import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { CloudTrailClient, type Event, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { CreateKeyCommand, EncryptCommand, type KMSClient } from '@aws-sdk/client-kms';
import { refusal } from './support/identities';
import { rootKeyOf } from './support/processes';
import { TopologyWithPostgres, withPostgres } from './support/topology-with-postgres';

jest.setTimeout(180_000);

let started: TopologyWithPostgres | undefined;
afterAll(() => started?.stop());

withPostgres('the death of the audit-projector costs nothing but lookups, which can be tried again', async () => {
  started = await TopologyWithPostgres.start();
  const { topology, kms } = started;
  const trail = new CloudTrailClient({
    endpoint: await endpointOf(kms),
    region: 'us-east-1',
    maxAttempts: 1,
    credentials: rootKeyOf(topology.secrets),
    requestHandler: { httpsAgent: new Agent({ ca: readFileSync(topology.authority) }) },
  });
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const key = KeyMetadata!.Arn!;
  const lookUp = async (): Promise<Event[]> =>
    (
      await trail.send(
        new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: 'ResourceName', AttributeValue: key }] }),
      )
    ).Events!;
  const encrypt = () => kms.send(new EncryptCommand({ KeyId: key, Plaintext: Buffer.from('x') }));
  await encrypt();
  expect((await lookUp()).map(({ EventName }) => EventName)).toEqual(['Encrypt', 'CreateKey']);
  const told = /\n {2}\S+Z {2}(CreateKey|Encrypt) {2}by /g;
  const timeline = () => topology.keytrail('timeline', '--key', key);
  const before = await timeline();
  expect(before.output).not.toContain('keytrail:');
  expect(before.output.match(told)).toHaveLength(2);
  const projector = topology.get('audit-projector');
  expect(await (await projector.get('metrics')).text()).toMatch(/^keytrail_history_lag \d+$/m);
  await projector.kill9();
  await encrypt();
  const [, , status] = await refusal(lookUp());
  expect(status).toBe(503);
  // The operator is told from the records themselves.
  const without = await timeline();
  expect(without.output).toContain('keytrail: the event history does not answer (');
  expect(without.output.match(told)).toHaveLength(3);
  await topology.rejoin(projector);
  expect((await lookUp()).map(({ EventName }) => EventName)).toEqual(['Encrypt', 'Encrypt', 'CreateKey']);
  trail.destroy();
});

async function endpointOf(client: KMSClient): Promise<string> {
  const { protocol, hostname, port } = await client.config.endpoint!();
  return `${protocol}//${hostname}:${port}`;
}
