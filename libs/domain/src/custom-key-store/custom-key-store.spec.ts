import fc from 'fast-check';
import { KmsError } from '../errors';
import { customKeyStoreAggregate as aggregate } from './aggregate';
import type { CustomKeyStoreCommand } from './decide';
import type { Backing, ClusterBacking, CustomKeyStoreEvent, ExternalBacking } from './events';
import { type ConnectionState, type CustomKeyStore, initialStore } from './state';

const ID = 'cks-0123456789abcdef0';
const PLACE = { region: 'us-east-1', account: '000000000000', id: ID, now: '2026-01-01T00:00:00.000Z' };
const CLUSTER: ClusterBacking = {
  ...{ storeType: 'AWS_CLOUDHSM', clusterId: 'cluster-abcdefghijk', trustAnchorCertificate: 'PEM' },
};
const PROXY: ExternalBacking = {
  storeType: 'EXTERNAL_KEY_STORE',
  uriEndpoint: 'https://proxy.example.com',
  uriPath: '/kms/xks/v1',
  accessKeyId: 'ABCDEFGHIJKLMNOPQRST',
};

const fold = (events: readonly CustomKeyStoreEvent[]): CustomKeyStore =>
  events.reduce((store, event) => aggregate.evolve(store, event, PLACE.now), initialStore);
const decide = (command: CustomKeyStoreCommand, store: CustomKeyStore) => aggregate.decide(command, store, PLACE);
const given = (...events: CustomKeyStoreEvent[]) => ({
  when: (command: CustomKeyStoreCommand) => ({
    thenEvents: (...expected: CustomKeyStoreEvent[]) => expect(decide(command, fold(events))).toEqual(expected),
    refused: (code: string, message: RegExp = /./) =>
      expect(() => decide(command, fold(events))).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      ),
  }),
});

const created = (backing: Backing = CLUSTER): CustomKeyStoreEvent => ({
  ...{ type: 'CustomKeyStoreCreated', v: 1 },
  ...{ name: 'orders', backing, secretId: 'secret-1' },
});
const begun = (attempt = 1): CustomKeyStoreEvent => ({ type: 'CustomKeyStoreConnectionBegun', v: 1, attempt });
const connected: CustomKeyStoreEvent = { type: 'CustomKeyStoreConnected', v: 1 };
const failed: CustomKeyStoreEvent = { type: 'CustomKeyStoreConnectionFailed', v: 1, code: 'USER_NOT_FOUND' };
const ending: CustomKeyStoreEvent = { type: 'CustomKeyStoreDisconnectionBegun', v: 1 };
const ended: CustomKeyStoreEvent = { type: 'CustomKeyStoreDisconnected', v: 1 };
const deleted: CustomKeyStoreEvent = { type: 'CustomKeyStoreDeleted', v: 1 };

/** What leads to each state, of a store of this backing. */
const leadingTo = (backing: Backing): Record<ConnectionState, CustomKeyStoreEvent[]> => ({
  DISCONNECTED: [created(backing)],
  CONNECTING: [created(backing), begun()],
  CONNECTED: [created(backing), begun(), connected],
  FAILED: [created(backing), begun(), failed],
  DISCONNECTING: [created(backing), begun(), connected, ending],
});
const STATES = Object.keys(leadingTo(CLUSTER)) as ConnectionState[];
const INVALID = 'CustomKeyStoreInvalidStateException';

/** AWS's table: API reference, CustomKeyStoreInvalidStateException. */
const ALLOWED: Partial<Record<CustomKeyStoreCommand['type'], readonly ConnectionState[]>> = {
  ConnectCustomKeyStore: ['DISCONNECTED', 'CONNECTING', 'CONNECTED'],
  DisconnectCustomKeyStore: ['CONNECTING', 'CONNECTED', 'FAILED'],
  DeleteCustomKeyStore: ['DISCONNECTED'],
};

describe('a custom key store', () => {
  it('is created disconnected, once', () => {
    const command: CustomKeyStoreCommand = {
      ...{ type: 'CreateCustomKeyStore', name: 'orders', backing: CLUSTER, secretId: 'secret-1' },
    };
    given().when(command).thenEvents(created());
    expect(fold([created()])).toMatchObject({ connection: 'DISCONNECTED', attempt: 0, createdAt: PLACE.now });
    given(created()).when(command).refused('AlreadyExistsException');
    given(created(), deleted).when(command).refused('AlreadyExistsException');
  });

  it.each(Object.entries(ALLOWED))('can %s in the states that AWS says', (type, allowed) => {
    for (const state of STATES) {
      const asked = given(...leadingTo(CLUSTER)[state]).when({ type } as CustomKeyStoreCommand);
      if (!allowed.includes(state)) asked.refused(INVALID, new RegExp(`ConnectionState of .* ${ID} is ${state}`));
    }
    given()
      .when({ type } as CustomKeyStoreCommand)
      .refused('CustomKeyStoreNotFoundException');
    given(created(), deleted)
      .when({ type } as CustomKeyStoreCommand)
      .refused('CustomKeyStoreNotFoundException');
  });

  it('begins a new attempt each time it is connected, and none while it is connected or about to be', () => {
    given(created()).when({ type: 'ConnectCustomKeyStore' }).thenEvents(begun(1));
    given(created(), begun(1), connected, ending, ended).when({ type: 'ConnectCustomKeyStore' }).thenEvents(begun(2));
    given(created(), begun()).when({ type: 'ConnectCustomKeyStore' }).thenEvents();
    given(created(), begun(), connected).when({ type: 'ConnectCustomKeyStore' }).thenEvents();
  });

  it('is connected, or has failed, as the first report has it', () => {
    const { CONNECTING } = leadingTo(CLUSTER);
    const failure: CustomKeyStoreCommand = { type: 'RecordConnectionFailed', attempt: 1, code: 'USER_NOT_FOUND' };
    given(...CONNECTING)
      .when({ type: 'RecordConnected', attempt: 1 })
      .thenEvents(connected);
    given(...CONNECTING)
      .when(failure)
      .thenEvents(failed);
    given(...CONNECTING, connected)
      .when(failure)
      .thenEvents();
    given(...CONNECTING, failed)
      .when({ type: 'RecordConnected', attempt: 1 })
      .thenEvents();
    expect(fold([...CONNECTING, failed])).toMatchObject({ connection: 'FAILED', errorCode: 'USER_NOT_FOUND' });
    expect(fold([...CONNECTING, failed, ending])).not.toHaveProperty('errorCode');
  });

  it('is told nothing by a report of an earlier attempt', () => {
    const again = [created(), begun(1), failed, ending, ended, begun(2)];
    given(...again)
      .when({ type: 'RecordConnected', attempt: 1 })
      .thenEvents();
    given(...again)
      .when({ type: 'RecordConnectionFailed', attempt: 1, code: 'INTERNAL_ERROR' })
      .thenEvents();
    given(...again, connected, ending)
      .when({ type: 'RecordDisconnected', attempt: 1 })
      .thenEvents();
    given(...again, connected, ending)
      .when({ type: 'RecordDisconnected', attempt: 2 })
      .thenEvents(ended);
  });

  it('in a cluster is renamed while it is connected, and changed otherwise once it is disconnected', () => {
    const all = leadingTo(CLUSTER);
    const renamed: CustomKeyStoreCommand = { type: 'UpdateCustomKeyStore', name: 'other' };
    for (const state of ['DISCONNECTED', 'CONNECTED'] as const) {
      given(...all[state])
        .when(renamed)
        .thenEvents({ type: 'CustomKeyStoreUpdated', v: 1, name: 'other' });
    }
    for (const state of ['CONNECTING', 'FAILED', 'DISCONNECTING'] as const) {
      given(...all[state])
        .when(renamed)
        .refused(INVALID);
    }
    for (const change of [{ secretId: 'secret-2' }, { clusterId: 'cluster-bcdefghijkl' }]) {
      given(...all.CONNECTED)
        .when({ type: 'UpdateCustomKeyStore', ...change })
        .refused(INVALID);
    }
    given(...all.DISCONNECTED)
      .when({ type: 'UpdateCustomKeyStore', secretId: 'secret-2', clusterId: 'cluster-bcdefghijkl' })
      .thenEvents({
        ...{ type: 'CustomKeyStoreUpdated', v: 1, secretId: 'secret-2' },
        backing: { ...CLUSTER, clusterId: 'cluster-bcdefghijkl' },
      });
  });

  it('behind a proxy has its credential and path changed while it is connected, its endpoint not', () => {
    const all = leadingTo(PROXY);
    const changes = { uriPath: '/other/kms/xks/v1', accessKeyId: 'ABCDEFGHIJKLMNOPQRSU' };
    given(...all.CONNECTED)
      .when({ type: 'UpdateCustomKeyStore', ...changes, secretId: 'secret-2' })
      .thenEvents({
        ...{ type: 'CustomKeyStoreUpdated', v: 1, secretId: 'secret-2' },
        backing: { ...PROXY, ...changes },
      });
    const moved: CustomKeyStoreCommand = { type: 'UpdateCustomKeyStore', uriEndpoint: 'https://other.example.com' };
    given(...all.CONNECTED)
      .when(moved)
      .refused(INVALID);
    given(...all.FAILED)
      .when(moved)
      .refused(INVALID);
    expect(decide(moved, fold(all.DISCONNECTED))).toHaveLength(1);
  });

  it('has nothing of the other type’s, and changes nothing where nothing changes', () => {
    given(created())
      .when({ type: 'UpdateCustomKeyStore', uriPath: '/kms/xks/v1' })
      .refused('ValidationException', /uriPath is not valid .* AWS_CLOUDHSM/);
    given(created(PROXY))
      .when({ type: 'UpdateCustomKeyStore', clusterId: 'cluster-abcdefghijk' })
      .refused('ValidationException', /clusterId is not valid .* EXTERNAL_KEY_STORE/);
    given(created()).when({ type: 'UpdateCustomKeyStore', name: 'orders', clusterId: CLUSTER.clusterId }).thenEvents();
    given(created(PROXY)).when({ type: 'UpdateCustomKeyStore', uriPath: PROXY.uriPath }).thenEvents();
  });

  it('leaves, once deleted, where its secret lies', () => {
    given(created()).when({ type: 'DeleteCustomKeyStore' }).thenEvents(deleted);
    expect(fold([created(), deleted])).toEqual({ storeState: 'Deleted', secretId: 'secret-1' });
  });

  it.each<[string, CustomKeyStoreEvent[]]>([
    ['created twice', [created(), created()]],
    ['connected before it is begun', [created(), connected]],
    ['begun while it is connected', [created(), begun(), connected, begun(2)]],
    ['disconnected at once', [created(), begun(), connected, ended]],
    ['deleted while it is connected', [created(), begun(), connected, deleted]],
    ['updated before it was created', [{ type: 'CustomKeyStoreUpdated', v: 1, name: 'other' }]],
    ['of an unknown kind', [{ type: 'CustomKeyStoreLost' } as unknown as CustomKeyStoreEvent]],
  ])('has no history in which it is %s', (_what, events) => {
    expect(() => fold(events)).toThrow(expect.objectContaining({ name: 'EvolveError' }));
  });

  it('never fails but with a KmsError, and replays to the same state, whatever is asked of it', () => {
    const attempt = fc.integer({ min: 0, max: 4 });
    const command: fc.Arbitrary<CustomKeyStoreCommand> = fc.oneof(
      fc.constant<CustomKeyStoreCommand>({ type: 'CreateCustomKeyStore', name: 'a', backing: PROXY, secretId: 's' }),
      fc.record({ type: fc.constant('UpdateCustomKeyStore' as const), name: fc.constantFrom('a', 'b', undefined) }),
      fc.record({ type: fc.constantFrom('ConnectCustomKeyStore', 'DisconnectCustomKeyStore', 'DeleteCustomKeyStore') }),
      fc.record({ type: fc.constantFrom('RecordConnected', 'RecordDisconnected'), attempt }),
      fc.record({
        type: fc.constant('RecordConnectionFailed' as const),
        attempt,
        code: fc.constant('INTERNAL_ERROR' as const),
      }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        const log: CustomKeyStoreEvent[] = [];
        let store = initialStore;
        for (const one of commands) {
          try {
            for (const event of decide(one, store)) {
              store = aggregate.evolve(store, event, PLACE.now);
              log.push(event);
            }
          } catch (error) {
            expect(error).toBeInstanceOf(KmsError);
          }
        }
        expect(fold(log)).toEqual(store);
      }),
    );
  });
});
