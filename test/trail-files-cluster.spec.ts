import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudTrailClient, ListPublicKeysCommand } from '@aws-sdk/client-cloudtrail';
import { CreateKeyCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { findOpenssl } from './support/certificates';
import { until } from './support/nats-server';
import { rootKeyOf } from './support/processes';
import { Topology } from './support/topology';
import { checkedTrail } from './support/trail-check';

jest.setTimeout(240_000);

const HOME = '000000000000';
const openssl = findOpenssl();
if (openssl === undefined) console.warn('SKIPPED: trail files of a cluster, since there is no openssl on PATH');
const withOpenssl = openssl === undefined ? test.skip : test;

let topology: Topology | undefined;
let to: string | undefined;

afterAll(async () => {
  await topology?.stop();
  if (to !== undefined) rmSync(to, { recursive: true, force: true });
});

withOpenssl(
  'the audit-projector of a cluster writes files, signed by its crypto-workers; so does the operator',
  async () => {
    topology = await Topology.start({ KEYTRAIL_TRAIL_SECONDS: '1', KEYTRAIL_CLOCK: 'virtual' });
    const kms = topology.kms();
    const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
    await kms.send(new EncryptCommand({ KeyId: KeyMetadata!.KeyId!, Plaintext: Buffer.from('x') }));
    const { protocol, hostname, port } = await kms.config.endpoint!();
    const trail = new CloudTrailClient({
      endpoint: `${protocol}//${hostname}:${port}`,
      region: 'us-east-1',
      credentials: rootKeyOf(topology.secrets),
      requestHandler: { httpsAgent: new Agent({ ca: readFileSync(topology.authority) }) },
    });
    const { Value } = (await trail.send(new ListPublicKeysCommand({}))).PublicKeyList![0]!;
    const folder = topology.get('audit-projector').onHost('/app/trail');
    const names = (where: string): string[] =>
      existsSync(where) ? checkedTrail(where, Value!, HOME).records.map(({ eventName }) => eventName) : [];
    await until(() => names(folder).includes('Encrypt'), 'no log file came', 60_000);
    expect((await topology.keytrail('clock', 'advance', '1h')).code).toBe(0);
    await until(() => checkedTrail(folder, Value!, HOME).digests.length > 0, 'no digest came', 60_000);
    to = mkdtempSync(join(tmpdir(), 'keytrail-trail-cluster-'));
    expect(await topology.keytrail('export', '--cloudtrail', '--to', to)).toMatchObject({ code: 0 });
    expect(names(to)).toEqual(expect.arrayContaining(['CreateKey', 'Encrypt', 'ListPublicKeys']));
    expect(checkedTrail(to, Value!, HOME).digests).toHaveLength(1);
    trail.destroy();
    kms.destroy();
  },
);
