import type { UpdateCustomKeyStoreRequest } from '@aws-sdk/client-kms';
import { decideStore, type StoreChanges } from '#domain/custom-key-store/decide';
import type { ExternalBacking } from '#domain/custom-key-store/events';
import { RequestFault } from '#domain/errors';
import { authorizeAccount } from '../authorization';
import { type DataPorts, waitingData } from '../operation';
import { Optional, Required } from '../wire/fields';
import { activeCluster, assertRelated } from './cluster-checks';
import { appendWithSecret, assertPublic, assertRoom } from './create-store';
import {
  CLUSTER_ID,
  CONNECTIVITY,
  CREDENTIAL,
  CUSTOM_KEY_STORE_ID,
  NAME,
  PASSWORD,
  URI_ENDPOINT,
  URI_PATH,
  VPC_SERVICE,
  VPC_SERVICE_OWNER,
} from './fields';
import { asking } from './store-failures';
import { type FoundStore, findStore } from './store-lookup';

type Credential = NonNullable<UpdateCustomKeyStoreRequest['XksProxyAuthenticationCredential']>;

class UpdateCustomKeyStore implements UpdateCustomKeyStoreRequest {
  @Required(CUSTOM_KEY_STORE_ID) CustomKeyStoreId!: string;
  @Optional(NAME) NewCustomKeyStoreName?: string;
  @Optional(PASSWORD) KeyStorePassword?: string;
  @Optional(CLUSTER_ID) CloudHsmClusterId?: string;
  @Optional(URI_ENDPOINT) XksProxyUriEndpoint?: string;
  @Optional(URI_PATH) XksProxyUriPath?: string;
  @Optional(VPC_SERVICE) XksProxyVpcEndpointServiceName?: string;
  @Optional(VPC_SERVICE_OWNER) XksProxyVpcEndpointServiceOwner?: string;
  @Optional(CREDENTIAL) XksProxyAuthenticationCredential?: Credential;
  @Optional(CONNECTIVITY) XksProxyConnectivity?: 'PUBLIC_ENDPOINT' | 'VPC_ENDPOINT_SERVICE';
}

/** What stores of each type have for a secret. */
function secretOf(request: UpdateCustomKeyStore, { state: { backing } }: FoundStore): string | undefined {
  const { KeyStorePassword, XksProxyAuthenticationCredential } = request;
  const isCluster = backing.storeType === 'AWS_CLOUDHSM';
  const foreign = isCluster ? XksProxyAuthenticationCredential : KeyStorePassword;
  if (foreign !== undefined) {
    const name = isCluster ? 'XksProxyAuthenticationCredential' : 'KeyStorePassword';
    throw new RequestFault(`${name} is not valid for CustomKeyStoreType ${backing.storeType}.`);
  }
  return isCluster ? KeyStorePassword : XksProxyAuthenticationCredential?.RawSecretAccessKey;
}

const changesOf = (request: UpdateCustomKeyStore): Omit<StoreChanges, 'secretId'> => ({
  name: request.NewCustomKeyStoreName,
  clusterId: request.CloudHsmClusterId,
  uriEndpoint: request.XksProxyUriEndpoint,
  uriPath: request.XksProxyUriPath,
  accessKeyId: request.XksProxyAuthenticationCredential?.AccessKeyId,
});

/** Whether the store works as it is to be. */
async function assertWorks(
  { ref, state }: FoundStore,
  changes: StoreChanges,
  secret: string | undefined,
  ports: DataPorts,
): Promise<void> {
  const { backing, secretId } = state;
  if (backing.storeType === 'AWS_CLOUDHSM') {
    const { clusterId } = changes;
    if (clusterId === undefined) return;
    assertRelated(clusterId, backing.trustAnchorCertificate, activeCluster(clusterId, ref, ports.clusters, 2));
    return;
  }
  const { uriEndpoint, uriPath, accessKeyId } = changes;
  if (secret === undefined && uriEndpoint === undefined && uriPath === undefined) return;
  const becomes: ExternalBacking = {
    ...backing,
    ...(uriEndpoint === undefined ? {} : { uriEndpoint }),
    ...(uriPath === undefined ? {} : { uriPath }),
    ...(accessKeyId === undefined ? {} : { accessKeyId }),
  };
  const signedWith = secret === undefined ? { secretId } : { plain: secret };
  await asking('proxy', () => ports.keyStores.probe(ref, becomes, signedWith));
}

/**
 * A new secret is stored first: a crash before the append leaves one that no event names. One after it leaves the old one: the
 * sweep erases either.
 */
export const updateCustomKeyStore = waitingData<UpdateCustomKeyStore, object>({
  name: 'UpdateCustomKeyStore',
  request: UpdateCustomKeyStore,
  quotaClass: 'UpdateCustomKeyStore',
  async runAsync(request, call, ports) {
    authorizeAccount(call);
    const found = findStore(request.CustomKeyStoreId, call, ports.projection);
    const { ref, state } = found;
    const secret = secretOf(request, found);
    const changes = changesOf(request);
    const command = { type: 'UpdateCustomKeyStore', ...changes } as const;
    // Decided again where it is appended; here it spares what follows.
    decideStore({ ...command, ...(secret === undefined ? {} : { secretId: 'new' }) }, state, ref);
    assertPublic(request.XksProxyConnectivity, request.XksProxyVpcEndpointServiceName);
    assertRoom(ref, command, ports);
    await assertWorks(found, changes, secret, ports);
    if (secret === undefined) {
      await ports.keyStores.runCommand(ref, command, call);
      return {};
    }
    await appendWithSecret(ref, secret, (secretId) => ({ ...command, secretId }), call, ports);
    // It is replaced; where the store of material cannot be reached, the sweep erases it.
    await ports.keyStores.eraseSecret(state.secretId).catch(() => {});
    return {};
  },
});
