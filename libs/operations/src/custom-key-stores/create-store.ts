import type { CreateCustomKeyStoreRequest, CreateCustomKeyStoreResponse } from '@aws-sdk/client-kms';
import type { Backing, StoreType } from '#domain/custom-key-store/events';
import { KmsError, RequestFault } from '#domain/errors';
import { authorizeAccount } from '../authorization';
import { type Call, type DataPorts, type WorkerCommand, waitingData } from '../operation';
import { Optional, Required } from '../wire/fields';
import { activeCluster, assertTrustAnchor } from './cluster-checks';
import {
  CLUSTER_ID,
  CONNECTIVITY,
  CREDENTIAL,
  NAME,
  PASSWORD,
  STORE_TYPE,
  TRUST_ANCHOR,
  URI_ENDPOINT,
  URI_PATH,
  VPC_SERVICE,
  VPC_SERVICE_OWNER,
} from './fields';
import type { StoreRef } from './key-store-ports';
import { asking } from './store-failures';
import { storeLimits } from './store-limits';

type Credential = NonNullable<CreateCustomKeyStoreRequest['XksProxyAuthenticationCredential']>;

class CreateCustomKeyStore implements CreateCustomKeyStoreRequest {
  @Required(NAME) CustomKeyStoreName!: string;
  @Optional(CLUSTER_ID) CloudHsmClusterId?: string;
  @Optional(TRUST_ANCHOR) TrustAnchorCertificate?: string;
  @Optional(PASSWORD) KeyStorePassword?: string;
  @Optional(STORE_TYPE) CustomKeyStoreType?: StoreType;
  @Optional(URI_ENDPOINT) XksProxyUriEndpoint?: string;
  @Optional(URI_PATH) XksProxyUriPath?: string;
  @Optional(VPC_SERVICE) XksProxyVpcEndpointServiceName?: string;
  @Optional(VPC_SERVICE_OWNER) XksProxyVpcEndpointServiceOwner?: string;
  @Optional(CREDENTIAL) XksProxyAuthenticationCredential?: Credential;
  @Optional(CONNECTIVITY) XksProxyConnectivity?: 'PUBLIC_ENDPOINT' | 'VPC_ENDPOINT_SERVICE';
}

type Member = Exclude<keyof CreateCustomKeyStore, 'CustomKeyStoreName' | 'CustomKeyStoreType'>;

/** What a store of each type needs; it takes nothing of the other's. */
const NEEDED = {
  AWS_CLOUDHSM: ['CloudHsmClusterId', 'KeyStorePassword', 'TrustAnchorCertificate'],
  EXTERNAL_KEY_STORE: [
    'XksProxyConnectivity',
    'XksProxyUriEndpoint',
    'XksProxyUriPath',
    'XksProxyAuthenticationCredential',
  ],
} as const satisfies Record<StoreType, readonly Member[]>;
const OF_VPC: readonly Member[] = ['XksProxyVpcEndpointServiceName', 'XksProxyVpcEndpointServiceOwner'];

/** What the store is to be, and its secret. Throws ValidationException for a member that is missing, or out of place. */
function wantedOf(request: CreateCustomKeyStore): { backing: Backing; secret: string } {
  const storeType = request.CustomKeyStoreType ?? 'AWS_CLOUDHSM';
  for (const name of NEEDED[storeType]) {
    if (request[name] === undefined) throw new RequestFault(`${name} is required for CustomKeyStoreType ${storeType}.`);
  }
  const foreign = storeType === 'AWS_CLOUDHSM' ? [...NEEDED.EXTERNAL_KEY_STORE, ...OF_VPC] : NEEDED.AWS_CLOUDHSM;
  for (const name of foreign) {
    if (request[name] !== undefined)
      throw new RequestFault(`${name} is not valid for CustomKeyStoreType ${storeType}.`);
  }
  if (storeType === 'AWS_CLOUDHSM') {
    const { CloudHsmClusterId, TrustAnchorCertificate, KeyStorePassword } = request;
    const backing = { storeType, clusterId: CloudHsmClusterId!, trustAnchorCertificate: TrustAnchorCertificate! };
    return { backing, secret: KeyStorePassword! };
  }
  const { XksProxyUriEndpoint, XksProxyUriPath, XksProxyAuthenticationCredential } = request;
  const { AccessKeyId, RawSecretAccessKey } = XksProxyAuthenticationCredential!;
  const address = { uriEndpoint: XksProxyUriEndpoint!, uriPath: XksProxyUriPath! };
  return { backing: { storeType, ...address, accessKeyId: AccessKeyId! }, secret: RawSecretAccessKey! };
}

/** There is no Amazon VPC here, and so none of its endpoint services. */
export function assertPublic(
  connectivity: 'PUBLIC_ENDPOINT' | 'VPC_ENDPOINT_SERVICE' | undefined,
  serviceName: string | undefined,
): void {
  if (connectivity !== 'VPC_ENDPOINT_SERVICE' && serviceName === undefined) return;
  throw new KmsError(
    'XksProxyVpcEndpointServiceNotFoundException',
    `The VPC endpoint service ${serviceName ?? ''} was not found: Keytrail connects by XksProxyUriEndpoint, with PUBLIC_ENDPOINT.`,
  );
}

const UNIQUE_BYTES = 9;
const ID_DIGITS = 17;

/** `cks-` and 17 hex digits. */
const newStoreId = (ports: DataPorts): string =>
  `cks-${ports.random(UNIQUE_BYTES).toString('hex').slice(0, ID_DIGITS)}`;

/** Decided again where it is appended; here it spares a secret that is stored, and a proxy that is asked, for nothing. */
export function assertRoom(ref: StoreRef, command: WorkerCommand<'customKeyStore'>, { projection }: DataPorts): void {
  for (const limit of storeLimits(ref, command, projection)) {
    if (!limit.has(ref.id) && limit.count() >= limit.max) throw limit.refusal();
  }
}

async function assertWorks(ref: StoreRef, backing: Backing, secret: string, ports: DataPorts): Promise<void> {
  if (backing.storeType === 'AWS_CLOUDHSM') {
    const { clusterId, trustAnchorCertificate } = backing;
    assertTrustAnchor(clusterId, trustAnchorCertificate, activeCluster(clusterId, ref, ports.clusters, 2));
  } else {
    await asking('proxy', () => ports.keyStores.probe(ref, backing, { plain: secret }));
  }
}

/** The secret is stored first: a crash before the append leaves one that no event names, which the sweep erases. */
export const createCustomKeyStore = waitingData<CreateCustomKeyStore, CreateCustomKeyStoreResponse>({
  name: 'CreateCustomKeyStore',
  request: CreateCustomKeyStore,
  quotaClass: 'CreateCustomKeyStore',
  recordedDefaults: { CustomKeyStoreType: 'AWS_CLOUDHSM' },
  async runAsync(request, call, ports) {
    authorizeAccount(call);
    const { backing, secret } = wantedOf(request);
    assertPublic(request.XksProxyConnectivity, request.XksProxyVpcEndpointServiceName);
    const { region, account } = call.caller;
    const ref: StoreRef = { region, account, aggregate: 'customKeyStore', id: newStoreId(ports) };
    const command = { type: 'CreateCustomKeyStore', name: request.CustomKeyStoreName, backing } as const;
    assertRoom(ref, { ...command, secretId: '' }, ports);
    await assertWorks(ref, backing, secret, ports);
    await appendWithSecret(ref, secret, (secretId) => ({ ...command, secretId }), call, ports);
    return { CustomKeyStoreId: ref.id };
  },
});

/** Stores the secret, then has the command appended that names it. */
export async function appendWithSecret(
  ref: StoreRef,
  secret: string,
  commandOf: (secretId: string) => WorkerCommand<'customKeyStore'>,
  call: Call,
  { keyStores }: DataPorts,
): Promise<void> {
  const secretId = await keyStores.storeSecret(ref, secret);
  try {
    await keyStores.runCommand(ref, commandOf(secretId), call);
  } catch (failure) {
    // A refusal, after which nothing has been appended; what was lost on the way may have been.
    const refused = failure instanceof KmsError && (!failure.retryable || failure.code === 'ConcurrentModification');
    if (refused) await keyStores.eraseSecret(secretId);
    throw failure;
  }
}
