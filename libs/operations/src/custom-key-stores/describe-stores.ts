import type {
  CustomKeyStoresListEntry,
  DescribeCustomKeyStoresRequest,
  DescribeCustomKeyStoresResponse,
} from '@aws-sdk/client-kms';
import { storeNotFound } from '#domain/custom-key-store/refusals';
import { RequestFault } from '#domain/errors';
import type { FoldedStore } from '#views/indexes/key-stores';
import { authorizeAccount } from '../authorization';
import { control } from '../operation';
import { entriesOf, pageAsked, pageFields, positionOf, takePage } from '../pagination';
import { LIMIT, MARKER, Optional } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';
import { CUSTOM_KEY_STORE_ID, NAME } from './fields';
import { findStore } from './store-lookup';

class DescribeCustomKeyStores implements DescribeCustomKeyStoresRequest {
  @Optional(CUSTOM_KEY_STORE_ID) CustomKeyStoreId?: string;
  @Optional(NAME) CustomKeyStoreName?: string;
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
}

const PAGE_SIZES = { byDefault: 100, atMost: 1000 };

type Described = Pick<FoldedStore, 'ref' | 'state'>;

function entryOf({ ref, state }: Described): Wire<CustomKeyStoresListEntry> {
  const { name, backing, connection, errorCode, createdAt } = state;
  return {
    CustomKeyStoreId: ref.id,
    CustomKeyStoreName: name,
    ...(backing.storeType === 'AWS_CLOUDHSM'
      ? { CloudHsmClusterId: backing.clusterId, TrustAnchorCertificate: backing.trustAnchorCertificate }
      : {}),
    ConnectionState: connection,
    ...(errorCode === undefined ? {} : { ConnectionErrorCode: errorCode }),
    CreationDate: epochSeconds(createdAt),
    CustomKeyStoreType: backing.storeType,
    ...(backing.storeType === 'EXTERNAL_KEY_STORE'
      ? {
          XksProxyConfiguration: {
            Connectivity: 'PUBLIC_ENDPOINT',
            AccessKeyId: backing.accessKeyId,
            UriEndpoint: backing.uriEndpoint,
            UriPath: backing.uriPath,
          },
        }
      : {}),
  };
}

export const describeCustomKeyStores = control<DescribeCustomKeyStores, Wire<DescribeCustomKeyStoresResponse>>({
  name: 'DescribeCustomKeyStores',
  request: DescribeCustomKeyStores,
  run(request, call, { projection }) {
    authorizeAccount(call);
    const { CustomKeyStoreId: id, CustomKeyStoreName: name } = request;
    if (id !== undefined && name !== undefined) {
      throw new RequestFault('Only one of CustomKeyStoreId and CustomKeyStoreName can be given.');
    }
    const { region, account } = call.caller;
    const asked = pageAsked(request, call, PAGE_SIZES, id, name);
    const after = positionOf(asked);
    if (id !== undefined) {
      return { CustomKeyStores: [entryOf(findStore(id, call, projection))], Truncated: false };
    }
    const stores = [...projection.customKeyStoresAfter(region, account, after)].filter(
      ({ state }) => name === undefined || state.name === name,
    );
    if (name !== undefined && stores.length === 0) throw storeNotFound(name);
    const page = takePage(entriesOf(stores, entryOf), asked, ({ CustomKeyStoreId }) => CustomKeyStoreId!);
    return { CustomKeyStores: page.items, ...pageFields(page) };
  },
});
