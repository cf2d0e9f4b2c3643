import { CLUSTER_ID, type FakeKeyStores } from './fake-key-stores';
import type { MemoryOperations } from './memory-operations';

/** What a store in the cluster of the tests is created with. */
export const clusterRequest = ({ certificate }: FakeKeyStores, CustomKeyStoreName = 'clustered') => ({
  CustomKeyStoreName,
  CloudHsmClusterId: CLUSTER_ID,
  KeyStorePassword: 'kmsuser-password',
  TrustAnchorCertificate: certificate,
});

/** And one behind their proxy. */
export const proxyRequest = (CustomKeyStoreName = 'external') => ({
  CustomKeyStoreName,
  CustomKeyStoreType: 'EXTERNAL_KEY_STORE',
  XksProxyConnectivity: 'PUBLIC_ENDPOINT',
  XksProxyUriEndpoint: 'https://proxy.example.com',
  XksProxyUriPath: '/kms/xks/v1',
  XksProxyAuthenticationCredential: { AccessKeyId: 'ABCDEFGHIJKLMNOPQRST', RawSecretAccessKey: 's'.repeat(43) },
});

/** The id of a new store, connected. */
export async function connectedStore(operations: MemoryOperations, request: object): Promise<string> {
  const { code, message, body } = await operations.call('CreateCustomKeyStore', request);
  if (code !== 'OK') throw new Error(`${code}: ${message}`);
  const CustomKeyStoreId = String(body['CustomKeyStoreId']);
  await operations.call('ConnectCustomKeyStore', { CustomKeyStoreId });
  await operations.storeReaches(CustomKeyStoreId, 'CONNECTED');
  return CustomKeyStoreId;
}

/** A new key in a new store of the tests' cluster, or behind their proxy. */
export async function keyInStore(
  operations: MemoryOperations,
  kind: 'cluster' | 'external',
): Promise<{ KeyId: string; Arn: string; CustomKeyStoreId: string }> {
  const request = kind === 'cluster' ? clusterRequest(operations.backings) : proxyRequest();
  const CustomKeyStoreId = await connectedStore(operations, request);
  const wanted =
    kind === 'cluster' ? { Origin: 'AWS_CLOUDHSM' } : { Origin: 'EXTERNAL_KEY_STORE', XksKeyId: 'outer-key' };
  const { code, message, body } = await operations.call('CreateKey', { CustomKeyStoreId, ...wanted });
  if (code !== 'OK') throw new Error(`${code}: ${message}`);
  const { KeyId, Arn } = body['KeyMetadata'] as { KeyId: string; Arn: string };
  return { KeyId, Arn, CustomKeyStoreId };
}

/** Disconnects it and waits until it is. */
export async function disconnect(operations: MemoryOperations, CustomKeyStoreId: string): Promise<void> {
  await operations.call('DisconnectCustomKeyStore', { CustomKeyStoreId });
  await operations.storeReaches(CustomKeyStoreId, 'DISCONNECTED');
}
