import { join } from 'node:path';
import { activeCluster } from '../../test/support/active-cluster';
import { softHsmModule } from '../../test/support/softhsm';
import { type Measure, type Scenario } from '../case';
import { type Embedded, startEmbedded } from '../embedded';
import { CREDENTIALS, call, callAlone, encryptRequest, type KmsRequest } from '../kms-requests';
import { httpLoad, warmUp } from '../load';
import { ROOT } from '../processes';

const ENCRYPT = 'HTTP Encrypt, in a CloudHSM cluster';
const DECRYPT = 'HTTP Decrypt, in a CloudHSM cluster';
const CONNECTED_WITHIN = 600;

/** One; as many as it takes for the 1,800 a second that AWS lets a store have; and many. */
const CONNECTIONS = [1, 8, 32];

/** A custom key store in a cluster of two HSMs (SoftHSM): each call is one of an HSM's. */
export const clusterStore: Scenario = {
  cases: CONNECTIONS.flatMap((connections) => [ENCRYPT, DECRYPT].map((name) => ({ name, connections }))),
  async open(processes) {
    const module = softHsmModule();
    if (module === undefined) return undefined;
    const server = await startEmbedded(processes, undefined, { KEYTRAIL_CLOUDHSM_MODULE: module });
    const encrypt = encryptRequest(await keyInCluster(server));
    const { CiphertextBlob } = await call<{ CiphertextBlob: string }>(server.port, encrypt);
    const requests: Record<string, KmsRequest> = {
      [ENCRYPT]: encrypt,
      [DECRYPT]: { operation: 'Decrypt', body: { CiphertextBlob } },
    };
    const measures: Record<string, Measure> = {};
    for (const [name, request] of Object.entries(requests)) {
      await warmUp(server.port, request);
      measures[name] = (connections, seconds) => httpLoad(server, request, connections, seconds);
    }
    return measures;
  },
};

async function keyInCluster({ port, dataDir }: Embedded): Promise<string> {
  const ask = <R>(operation: string, body: object) => call<R>(port, { operation, body });
  const main = join(ROOT, 'dist/apps/keytrail/src/main.js');
  const cluster = await activeCluster(`http://127.0.0.1:${port}`, CREDENTIALS, dataDir, main);
  const { CustomKeyStoreId } = await ask<{ CustomKeyStoreId: string }>('CreateCustomKeyStore', {
    ...{ CustomKeyStoreName: 'bench', CloudHsmClusterId: cluster.clusterId },
    ...{ KeyStorePassword: cluster.password, TrustAnchorCertificate: cluster.trustAnchor },
  });
  await callAlone(port, { operation: 'ConnectCustomKeyStore', body: { CustomKeyStoreId } });
  for (let tries = 0; ; tries++) {
    const { CustomKeyStores } = await ask<{ CustomKeyStores: { ConnectionState: string }[] }>(
      'DescribeCustomKeyStores',
      { CustomKeyStoreId },
    );
    const state = CustomKeyStores[0]!.ConnectionState;
    if (state === 'CONNECTED') break;
    if (tries === CONNECTED_WITHIN) throw new Error(`the custom key store is ${state}`);
    await new Promise((resume) => setTimeout(resume, 100));
  }
  const { KeyMetadata } = await ask<{ KeyMetadata: { KeyId: string } }>('CreateKey', {
    ...{ CustomKeyStoreId, Origin: 'AWS_CLOUDHSM' },
  });
  return KeyMetadata.KeyId;
}
