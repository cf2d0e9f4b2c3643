import { CLUSTER_ID, FakeCluster, FakeProxy, PROXY } from '../../../../test/support/fake-key-stores';
import {
  clusterRequest,
  connectedStore,
  disconnect,
  keyInStore,
  proxyRequest,
} from '../../../../test/support/memory-key-stores';
import { allowing, MemoryOperations } from '../../../../test/support/memory-operations';
import { testCertificate } from '../../../../test/support/trust-anchors';

const OTHER_CLUSTER = 'cluster-bcdefghijkl';

type Described = Record<string, unknown>;

function started() {
  const operations = new MemoryOperations();
  const { backings } = operations;
  const call = (name: string, input: object) => operations.call(name, input);
  const create = async (request: object) =>
    String((await call('CreateCustomKeyStore', request)).body['CustomKeyStoreId']);
  const describe = async (input: object): Promise<Described[]> =>
    (await call('DescribeCustomKeyStores', input)).body['CustomKeyStores'] as Described[];
  const one = async (CustomKeyStoreId: string) => (await describe({ CustomKeyStoreId }))[0]!;
  return { operations, backings, call, create, describe, one };
}

describe('CreateCustomKeyStore', () => {
  it('makes a store in a cluster, disconnected, whose password only the store of material has', async () => {
    const { operations, backings, create, one } = started();
    const id = await create(clusterRequest(backings));
    expect(id).toMatch(/^cks-[0-9a-f]{17}$/);
    expect(await one(id)).toEqual({
      CustomKeyStoreId: id,
      CustomKeyStoreName: 'clustered',
      CloudHsmClusterId: CLUSTER_ID,
      TrustAnchorCertificate: backings.certificate,
      ConnectionState: 'DISCONNECTED',
      CreationDate: expect.any(Number),
      CustomKeyStoreType: 'AWS_CLOUDHSM',
    });
    const { secretId } = operations.projection.customKeyStore('us-east-1', '000000000000', id)!.state as {
      secretId: string;
    };
    expect(operations.sealedPlaces).toEqual([secretId]);
    expect(JSON.stringify([...operations.projection.all('customKeyStore')])).not.toContain('kmsuser-password');
  });

  it('makes a store behind a proxy that answers', async () => {
    const { create, one } = started();
    const id = await create(proxyRequest());
    expect(await one(id)).toEqual({
      ...{ CustomKeyStoreId: id, CustomKeyStoreName: 'external', CustomKeyStoreType: 'EXTERNAL_KEY_STORE' },
      ...{ ConnectionState: 'DISCONNECTED', CreationDate: expect.any(Number) },
      XksProxyConfiguration: {
        Connectivity: 'PUBLIC_ENDPOINT',
        AccessKeyId: 'ABCDEFGHIJKLMNOPQRST',
        UriEndpoint: 'https://proxy.example.com',
        UriPath: '/kms/xks/v1',
      },
    });
  });

  it('puts neither secret on record', async () => {
    const { operations, backings, call } = started();
    const records: unknown[] = [];
    operations.onRecord = (record) => records.push(record);
    await call('CreateCustomKeyStore', clusterRequest(backings));
    await call('CreateCustomKeyStore', proxyRequest());
    expect(records).toHaveLength(2);
    expect(JSON.stringify(records)).toContain('clustered');
    expect(JSON.stringify(records)).not.toMatch(/kmsuser-password|s{43}/);
  });

  it.each<[string, string, object]>([
    ['ValidationException', 'no cluster', { CloudHsmClusterId: undefined }],
    ['ValidationException', 'no password', { KeyStorePassword: undefined }],
    ['ValidationException', 'no trust anchor', { TrustAnchorCertificate: undefined }],
    ['ValidationException', 'what an external store has', { XksProxyUriPath: '/kms/xks/v1' }],
    ['ValidationException', 'a password that is too short', { KeyStorePassword: 'short' }],
    ['CloudHsmClusterNotFoundException', 'a cluster that there is not', { CloudHsmClusterId: OTHER_CLUSTER }],
    ['IncorrectTrustAnchorException', 'another trust anchor', { TrustAnchorCertificate: testCertificate(2) }],
    ['IncorrectTrustAnchorException', 'what is no certificate', { TrustAnchorCertificate: 'no certificate' }],
  ])('in a cluster is refused with %s for %s, and leaves no secret', async (code, _what, changes) => {
    const { operations, backings, call } = started();
    const refused = await call('CreateCustomKeyStore', { ...clusterRequest(backings), ...changes });
    expect(refused).toMatchObject({ code });
    expect(refused.message).not.toContain('short');
    expect(operations.sealedPlaces).toEqual([]);
  });

  it('wants the cluster active, with HSMs in two zones', async () => {
    const { backings, call } = started();
    const asked = () => call('CreateCustomKeyStore', clusterRequest(backings));
    backings.ofCluster.facts = { ...backings.ofCluster.facts, state: 'INITIALIZED' };
    expect(await asked()).toMatchObject({ code: 'CloudHsmClusterNotActiveException' });
    backings.ofCluster.facts = { ...backings.ofCluster.facts, state: 'ACTIVE', activeZones: ['a', 'a'] };
    expect(await asked()).toMatchObject({ code: 'CloudHsmClusterInvalidConfigurationException' });
  });

  it.each<[string, string, object]>([
    ['ValidationException', 'no credential', { XksProxyAuthenticationCredential: undefined }],
    ['ValidationException', 'a password', { KeyStorePassword: 'kmsuser-password' }],
    [
      'ValidationException',
      'a credential without its secret',
      { XksProxyAuthenticationCredential: { AccessKeyId: 'ABCDEFGHIJKLMNOPQRST' } },
    ],
    ['XksProxyUriUnreachableException', 'a path where no proxy is', { XksProxyUriPath: '/other/kms/xks/v1' }],
    [
      'XksProxyIncorrectAuthenticationCredentialException',
      'another secret',
      { XksProxyAuthenticationCredential: { AccessKeyId: 'ABCDEFGHIJKLMNOPQRST', RawSecretAccessKey: 't'.repeat(43) } },
    ],
    [
      'XksProxyVpcEndpointServiceNotFoundException',
      'a VPC',
      {
        XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE',
        XksProxyVpcEndpointServiceName: 'com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0',
      },
    ],
  ])('behind a proxy is refused with %s for %s', async (code, _what, changes) => {
    const { operations, call } = started();
    const refused = await call('CreateCustomKeyStore', { ...proxyRequest(), ...changes });
    expect(refused).toMatchObject({ code });
    expect(refused.message).not.toMatch(/t{43}|s{43}/);
    expect(operations.sealedPlaces).toEqual([]);
  });

  it.each([
    ['invalid-response', 'XksProxyInvalidResponseException'],
    ['invalid-configuration', 'XksProxyInvalidConfigurationException'],
    ['timeout', 'XksProxyUriUnreachableException'],
  ] as const)('of a proxy that fails with %s is %s', async (failure, code) => {
    const { backings, call } = started();
    backings.ofProxy.failure = failure;
    expect(await call('CreateCustomKeyStore', proxyRequest())).toMatchObject({ code });
  });

  it('gives each store of an account and region a name, a cluster and a proxy of its own', async () => {
    const { operations, backings, call, create } = started();
    await create(clusterRequest(backings));
    await create(proxyRequest());
    expect(await call('CreateCustomKeyStore', { ...proxyRequest(), CustomKeyStoreName: 'clustered' })).toMatchObject({
      code: 'CustomKeyStoreNameInUseException',
    });
    expect(await call('CreateCustomKeyStore', clusterRequest(backings, 'second'))).toMatchObject({
      code: 'CloudHsmClusterInUseException',
    });
    expect(await call('CreateCustomKeyStore', proxyRequest('second'))).toMatchObject({
      code: 'XksProxyUriInUseException',
    });
    // One that was restored from the other's backup has its certificate, and its keys.
    backings.clusters.set(OTHER_CLUSTER, new FakeCluster(backings.certificate));
    const restored = { ...clusterRequest(backings, 'second'), CloudHsmClusterId: OTHER_CLUSTER };
    expect(await call('CreateCustomKeyStore', restored)).toMatchObject({ code: 'CloudHsmClusterInUseException' });
    const elsewhere = await operations.call('CreateCustomKeyStore', proxyRequest(), { region: 'eu-west-1' });
    expect(elsewhere).toMatchObject({ code: 'OK' });
  });

  it('keeps to ten in an account and region, and to one of a name, however many are asked for at once', async () => {
    const { operations, backings, call, describe } = started();
    const requests = Array.from({ length: 12 }, (_, at) => {
      backings.proxies.set(`https://proxy-${at}.example.com/kms/xks/v1`, new FakeProxy());
      return { ...proxyRequest(`store ${at}`), XksProxyUriEndpoint: `https://proxy-${at}.example.com` };
    });
    const replies = await Promise.all(requests.map((request) => call('CreateCustomKeyStore', request)));
    expect(replies.map(({ code }) => code).sort()).toEqual([
      ...Array(2).fill('LimitExceededException'),
      ...Array(10).fill('OK'),
    ]);
    expect(await describe({})).toHaveLength(10);
    // What was refused left no secret.
    expect(operations.sealedPlaces).toHaveLength(10);
  });

  it('of two of one name at once makes one', async () => {
    const { backings, call } = started();
    const requests = [clusterRequest(backings, 'same'), proxyRequest('same')];
    const replies = await Promise.all(requests.map((request) => call('CreateCustomKeyStore', request)));
    expect(replies.map(({ code }) => code).sort()).toEqual(['CustomKeyStoreNameInUseException', 'OK']);
  });

  it('is what nobody may do without kms:CreateCustomKeyStore', async () => {
    const { operations, backings, call } = started();
    await call('CreateUser', { UserName: 'bob' });
    const user = await call('GetUser', { UserName: 'bob' });
    const principalId = (user.body['User'] as { UserId: string }).UserId;
    const asBob = () => operations.call('CreateCustomKeyStore', clusterRequest(backings), { principalId });
    expect(await asBob()).toMatchObject({ code: 'AccessDeniedException' });
    const policy = { UserName: 'bob', PolicyName: 'own', PolicyDocument: allowing('kms:CreateCustomKeyStore') };
    await call('PutUserPolicy', policy);
    expect(await asBob()).toMatchObject({ code: 'OK' });
  });
});

describe('DescribeCustomKeyStores', () => {
  it('finds a store by id or name, never by both, and lists all in pages', async () => {
    const { backings, call, create, describe } = started();
    const ids = [await create(clusterRequest(backings)), await create(proxyRequest())].sort();
    expect((await describe({ CustomKeyStoreName: 'external' })).map((store) => store['CustomKeyStoreName'])).toEqual([
      'external',
    ]);
    const first = await call('DescribeCustomKeyStores', { Limit: 1 });
    expect(first.body).toMatchObject({ Truncated: true, NextMarker: expect.any(String) });
    const second = await call('DescribeCustomKeyStores', { Limit: 1, Marker: first.body['NextMarker'] });
    expect(second.body).toMatchObject({ Truncated: false });
    const listed = [first, second].flatMap(({ body }) => body['CustomKeyStores'] as Described[]);
    expect(listed.map((store) => store['CustomKeyStoreId'])).toEqual(ids);
    expect(await call('DescribeCustomKeyStores', { Marker: 'nonsense' })).toMatchObject({
      code: 'InvalidMarkerException',
    });
    expect(await call('DescribeCustomKeyStores', { CustomKeyStoreId: ids[0], CustomKeyStoreName: 'a' })).toMatchObject({
      code: 'ValidationException',
    });
    for (const unknown of [
      { CustomKeyStoreId: 'cks-00000000000000000' },
      { CustomKeyStoreName: 'x' },
      { CustomKeyStoreId: 'a.b>' },
    ]) {
      expect(await call('DescribeCustomKeyStores', unknown)).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
    }
  });
});

describe('a connection', () => {
  it('comes about by itself once it is begun, and is closed once it is ended', async () => {
    const { operations, backings, call, create, one } = started();
    const CustomKeyStoreId = await create(clusterRequest(backings));
    expect(await call('DisconnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({
      code: 'CustomKeyStoreInvalidStateException',
    });
    expect(await call('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'OK', body: {} });
    await operations.storeReaches(CustomKeyStoreId, 'CONNECTED');
    expect(backings.ofCluster).toMatchObject({ connected: 1, open: 1 });
    expect(await call('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'OK' });
    expect(await call('DisconnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'OK', body: {} });
    await operations.storeReaches(CustomKeyStoreId, 'DISCONNECTED');
    expect(backings.ofCluster).toMatchObject({ connected: 1, open: 0 });
    expect(await one(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'DISCONNECTED' });
  });

  it.each([
    ['INVALID_CREDENTIALS', 'password'],
    ['USER_LOCKED_OUT', 'USER_LOCKED_OUT'],
    ['INTERNAL_ERROR', 'a code of nobody’s'],
  ])('that fails says why: %s, and is disconnected before it is begun again', async (code, cause) => {
    const { operations, backings, call, create, one } = started();
    const CustomKeyStoreId = await create(clusterRequest(backings));
    if (cause === 'password') backings.ofCluster.password = 'changed';
    else backings.ofCluster.refuses = cause;
    await call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await operations.storeReaches(CustomKeyStoreId, 'FAILED');
    expect(await one(CustomKeyStoreId)).toMatchObject({ ConnectionState: 'FAILED', ConnectionErrorCode: code });
    expect(await call('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({
      code: 'CustomKeyStoreInvalidStateException',
    });
    await disconnect(operations, CustomKeyStoreId);
    backings.ofCluster.refuses = undefined;
    if (cause === 'password') await call('UpdateCustomKeyStore', { CustomKeyStoreId, KeyStorePassword: 'changed' });
    await call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await operations.storeReaches(CustomKeyStoreId, 'CONNECTED');
    expect(await one(CustomKeyStoreId)).not.toHaveProperty('ConnectionErrorCode');
  });

  it('is not begun to a cluster that has no HSM, or is not active; to one that is gone it fails', async () => {
    const { operations, backings, call, create, one } = started();
    const CustomKeyStoreId = await create(clusterRequest(backings));
    backings.ofCluster.facts = { ...backings.ofCluster.facts, activeZones: [] };
    expect(await call('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({
      code: 'CloudHsmClusterInvalidConfigurationException',
    });
    backings.ofCluster.facts = { ...backings.ofCluster.facts, state: 'DELETED' };
    expect(await call('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({
      code: 'CloudHsmClusterNotActiveException',
    });
    backings.clusters.delete(CLUSTER_ID);
    expect(await call('ConnectCustomKeyStore', { CustomKeyStoreId })).toMatchObject({ code: 'OK' });
    await operations.storeReaches(CustomKeyStoreId, 'FAILED');
    expect(await one(CustomKeyStoreId)).toMatchObject({ ConnectionErrorCode: 'CLUSTER_NOT_FOUND' });
  });

  it('that is disconnected while it comes about does not come about', async () => {
    const { operations, backings, call, create } = started();
    const CustomKeyStoreId = await create(clusterRequest(backings));
    let release = () => {};
    backings.ofCluster.connecting = new Promise((resolve) => {
      release = resolve;
    });
    await call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await call('DisconnectCustomKeyStore', { CustomKeyStoreId });
    release();
    await operations.storeReaches(CustomKeyStoreId, 'DISCONNECTED');
    expect(backings.ofCluster.open).toBe(0);
  });

  it('of a store that there is not cannot be begun or ended', async () => {
    const { call } = started();
    for (const name of ['ConnectCustomKeyStore', 'DisconnectCustomKeyStore', 'DeleteCustomKeyStore']) {
      expect(await call(name, { CustomKeyStoreId: 'cks-00000000000000000' })).toMatchObject({
        code: 'CustomKeyStoreNotFoundException',
      });
    }
  });
});

describe('UpdateCustomKeyStore', () => {
  it('renames a store, unless another has the name', async () => {
    const { operations, backings, call, create, one } = started();
    const CustomKeyStoreId = await connectedStore(operations, clusterRequest(backings));
    await create(proxyRequest());
    const rename = (NewCustomKeyStoreName: string) =>
      call('UpdateCustomKeyStore', { CustomKeyStoreId, NewCustomKeyStoreName });
    expect(await rename('renamed')).toMatchObject({ code: 'OK', body: {} });
    expect(await rename('renamed')).toMatchObject({ code: 'OK' });
    expect(await one(CustomKeyStoreId)).toMatchObject({ CustomKeyStoreName: 'renamed', ConnectionState: 'CONNECTED' });
    expect(await rename('external')).toMatchObject({ code: 'CustomKeyStoreNameInUseException' });
  });

  it('takes a new password once the store is disconnected, and erases the old one', async () => {
    const { operations, backings, call } = started();
    const CustomKeyStoreId = await connectedStore(operations, clusterRequest(backings));
    const [before] = operations.sealedPlaces;
    const update = () => call('UpdateCustomKeyStore', { CustomKeyStoreId, KeyStorePassword: 'another-password' });
    expect(await update()).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    expect(operations.sealedPlaces).toEqual([before]);
    await disconnect(operations, CustomKeyStoreId);
    expect(await update()).toMatchObject({ code: 'OK' });
    expect(operations.sealedPlaces).toHaveLength(1);
    expect(operations.sealedPlaces).not.toContain(before);
    backings.ofCluster.password = 'another-password';
    await call('ConnectCustomKeyStore', { CustomKeyStoreId });
    await operations.storeReaches(CustomKeyStoreId, 'CONNECTED');
  });

  it('moves a store to a cluster of the same backup history, and to no other', async () => {
    const { backings, call, create, one } = started();
    const CustomKeyStoreId = await create(clusterRequest(backings));
    const move = (CloudHsmClusterId: string) => call('UpdateCustomKeyStore', { CustomKeyStoreId, CloudHsmClusterId });
    expect(await move(OTHER_CLUSTER)).toMatchObject({ code: 'CloudHsmClusterNotFoundException' });
    const other = new FakeCluster(testCertificate(2));
    backings.clusters.set(OTHER_CLUSTER, other);
    expect(await move(OTHER_CLUSTER)).toMatchObject({ code: 'CloudHsmClusterNotRelatedException' });
    other.facts = { ...other.facts, trustAnchor: backings.certificate, activeZones: ['a'] };
    expect(await move(OTHER_CLUSTER)).toMatchObject({ code: 'CloudHsmClusterInvalidConfigurationException' });
    other.facts = { ...other.facts, activeZones: ['a', 'b'], state: 'CREATE_IN_PROGRESS' };
    expect(await move(OTHER_CLUSTER)).toMatchObject({ code: 'CloudHsmClusterNotActiveException' });
    other.facts = { ...other.facts, state: 'ACTIVE' };
    expect(await move(OTHER_CLUSTER)).toMatchObject({ code: 'OK' });
    expect(await one(CustomKeyStoreId)).toMatchObject({ CloudHsmClusterId: OTHER_CLUSTER });
  });

  it('has a connected external store use its new credential from then on', async () => {
    const { operations, backings, call } = started();
    const { KeyId, CustomKeyStoreId } = await keyInStore(operations, 'external');
    const credential = { AccessKeyId: 'ABCDEFGHIJKLMNOPQRSU', RawSecretAccessKey: 'n'.repeat(43) };
    const update = () =>
      call('UpdateCustomKeyStore', { CustomKeyStoreId, XksProxyAuthenticationCredential: credential });
    expect(await update()).toMatchObject({ code: 'XksProxyIncorrectAuthenticationCredentialException' });
    backings.ofProxy.secretAccessKey = 'n'.repeat(43);
    expect(await update()).toMatchObject({ code: 'OK' });
    expect(await call('Encrypt', { KeyId, Plaintext: 'AAAA' })).toMatchObject({ code: 'OK' });
    expect(backings.ofProxy).toMatchObject({ connected: 2, open: 1 });
  });

  it('has an external store’s address changed where the proxy answers', async () => {
    const { backings, call, create, one } = started();
    const CustomKeyStoreId = await create(proxyRequest());
    const move = (changes: object) => call('UpdateCustomKeyStore', { CustomKeyStoreId, ...changes });
    expect(await move({ XksProxyUriPath: '/other/kms/xks/v1' })).toMatchObject({
      code: 'XksProxyUriUnreachableException',
    });
    backings.proxies.set('https://other.example.com/kms/xks/v1', new FakeProxy());
    expect(await move({ XksProxyUriEndpoint: 'https://other.example.com' })).toMatchObject({ code: 'OK' });
    expect(await one(CustomKeyStoreId)).toMatchObject({
      XksProxyConfiguration: { UriEndpoint: 'https://other.example.com', UriPath: '/kms/xks/v1' },
    });
    await create(proxyRequest('second'));
    expect(await move({ XksProxyUriEndpoint: 'https://proxy.example.com' })).toMatchObject({
      code: 'XksProxyUriInUseException',
    });
  });

  it.each([
    ['invalid-response', 'XksProxyInvalidResponseException'],
    ['invalid-configuration', 'XksProxyInvalidConfigurationException'],
  ] as const)('of a proxy that fails with %s is %s', async (failure, code) => {
    const { backings, call, create } = started();
    const CustomKeyStoreId = await create(proxyRequest());
    backings.proxies.get(PROXY)!.failure = failure;
    const update = { CustomKeyStoreId, XksProxyUriPath: '/kms/xks/v1' };
    expect(await call('UpdateCustomKeyStore', update)).toMatchObject({ code });
  });

  it('refuses what stores of the other type have, and a VPC', async () => {
    const { backings, call, create } = started();
    const clustered = await create(clusterRequest(backings));
    const external = await create(proxyRequest());
    const refused = async (CustomKeyStoreId: string, changes: object, code = 'ValidationException') =>
      expect(await call('UpdateCustomKeyStore', { CustomKeyStoreId, ...changes })).toMatchObject({ code });
    await refused(clustered, { XksProxyUriPath: '/kms/xks/v1' });
    await refused(clustered, { XksProxyAuthenticationCredential: proxyRequest().XksProxyAuthenticationCredential });
    await refused(external, { KeyStorePassword: 'kmsuser-password' });
    await refused(external, { CloudHsmClusterId: CLUSTER_ID });
    await refused(
      external,
      { XksProxyConnectivity: 'VPC_ENDPOINT_SERVICE' },
      'XksProxyVpcEndpointServiceNotFoundException',
    );
    await refused('cks-00000000000000000', { NewCustomKeyStoreName: 'a' }, 'CustomKeyStoreNotFoundException');
  });
});

describe('DeleteCustomKeyStore', () => {
  it('deletes what is disconnected and has no keys, with its secret', async () => {
    const { operations, backings, call, describe } = started();
    const { KeyId, CustomKeyStoreId } = await keyInStore(operations, 'external');
    const remove = () => call('DeleteCustomKeyStore', { CustomKeyStoreId });
    expect(await remove()).toMatchObject({ code: 'CustomKeyStoreInvalidStateException' });
    await disconnect(operations, CustomKeyStoreId);
    expect(await remove()).toMatchObject({ code: 'CustomKeyStoreHasCMKsException' });
    await call('ScheduleKeyDeletion', { KeyId, PendingWindowInDays: 7 });
    expect(await remove()).toMatchObject({ code: 'CustomKeyStoreHasCMKsException' });
    operations.now += 8 * 86_400_000;
    await operations.fireDue();
    expect(await remove()).toMatchObject({ code: 'OK', body: {} });
    expect(await describe({})).toEqual([]);
    expect(operations.sealedPlaces).toEqual([]);
    expect(await remove()).toMatchObject({ code: 'CustomKeyStoreNotFoundException' });
    // Its name, cluster and proxy are free again.
    expect(await call('CreateCustomKeyStore', proxyRequest())).toMatchObject({ code: 'OK' });
    expect(backings.ofProxy.keys.size).toBe(1);
  });
});
