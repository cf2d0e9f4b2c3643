import type { StoreReport } from '#domain/custom-key-store/decide';
import type { ConnectionState, ExistingStore } from '#domain/custom-key-store/state';
import { KmsError } from '#domain/errors';
import { ConnectError, type StoreConnection } from '#hsm/key-store/store-connection';
import { until } from '../../../../test/support/nats-server';
import { StoreLink } from './store-link';

const SAMPLE: ExistingStore = {
  ...{ storeState: 'Existing', name: 'orders', secretId: 'secret-1', createdAt: '2026-01-01T00:00:00.000Z' },
  backing: { storeType: 'AWS_CLOUDHSM', clusterId: 'cluster-abcdefghijk', trustAnchorCertificate: 'PEM' },
  ...{ connection: 'DISCONNECTED', attempt: 1 },
};

function started(first: Partial<ExistingStore> = {}) {
  const seen = {
    state: { ...SAMPLE, ...first } as ExistingStore,
    reports: [] as StoreReport[],
    opened: [] as string[],
    closed: 0,
    errors: [] as unknown[],
    /** What the next openings, and reports, fail with. */
    openFailures: [] as Error[],
    reportFailures: [] as Error[],
    /** Openings wait for it. */
    opening: undefined as Promise<void> | undefined,
  };
  const link = new StoreLink({
    state: () => seen.state,
    open: async ({ secretId }) => {
      seen.opened.push(secretId);
      await seen.opening;
      const failure = seen.openFailures.shift();
      if (failure) throw failure;
      return {
        of: secretId,
        close: async () => {
          seen.closed++;
        },
      } as unknown as StoreConnection;
    },
    report: async (report) => {
      const failure = seen.reportFailures.shift();
      if (failure) throw failure;
      seen.reports.push(report);
      // As the log would have it.
      const becomes: Record<StoreReport['type'], ConnectionState> = {
        ...{ RecordConnected: 'CONNECTED', RecordConnectionFailed: 'FAILED', RecordDisconnected: 'DISCONNECTED' },
      };
      move({ connection: becomes[report.type] });
    },
    onError: (error) => seen.errors.push(error),
  });
  function move(changes: Partial<ExistingStore>): void {
    seen.state = { ...seen.state, ...changes };
    link.follow();
  }
  link.follow();
  return { link, seen, move };
}

const failing = { failure: 'unreachable' };
const TRANSIENT = new KmsError('DependencyTimeoutException', 'out of reach');

describe('a link to a custom key store', () => {
  it('is opened once the store is CONNECTING, and says so', async () => {
    const { link, seen, move } = started();
    await expect(link.connection(1)).rejects.toMatchObject(failing);
    move({ connection: 'CONNECTING' });
    await until(() => seen.state.connection === 'CONNECTED', 'the link');
    expect(seen.reports).toEqual([{ type: 'RecordConnected', attempt: 1 }]);
    await expect(link.connection(1)).resolves.toMatchObject({ of: 'secret-1' });
    expect(seen.opened).toHaveLength(1);
    await link.stop();
    expect(seen.closed).toBe(1);
  });

  it('is opened anew at a start, of a store that is CONNECTED, and reports nothing', async () => {
    const { link, seen } = started({ connection: 'CONNECTED' });
    await expect(link.connection(5_000)).resolves.toMatchObject({ of: 'secret-1' });
    expect(seen.reports).toEqual([]);
    await link.stop();
  });

  it('goes on with what a process before it left: CONNECTING and DISCONNECTING', async () => {
    const one = started({ connection: 'CONNECTING', attempt: 3 });
    await until(() => one.seen.reports.length === 1, 'the link');
    expect(one.seen.reports).toEqual([{ type: 'RecordConnected', attempt: 3 }]);
    const other = started({ connection: 'DISCONNECTING', attempt: 4 });
    await until(() => other.seen.reports.length === 1, 'the link');
    expect(other.seen.reports).toEqual([{ type: 'RecordDisconnected', attempt: 4 }]);
    await Promise.all([one.link.stop(), other.link.stop()]);
  });

  it('says why it cannot be opened, once', async () => {
    const { link, seen, move } = started();
    seen.openFailures.push(new ConnectError('USER_LOCKED_OUT', 'locked'));
    move({ connection: 'CONNECTING' });
    await until(() => seen.state.connection === 'FAILED', 'the link');
    expect(seen.reports).toEqual([{ type: 'RecordConnectionFailed', attempt: 1, code: 'USER_LOCKED_OUT' }]);
    expect(seen.opened).toHaveLength(1);
    await link.stop();
  });

  it('of a CONNECTED store is tried until it opens, while who asks waits', async () => {
    const { link, seen } = started({ connection: 'CONNECTED' });
    const waiting = link.connection(30_000);
    seen.openFailures.push(new ConnectError('NETWORK_ERRORS', 'no'), new ConnectError('NETWORK_ERRORS', 'no'));
    await expect(waiting).resolves.toMatchObject({ of: 'secret-1' });
    expect(seen.opened).toHaveLength(3);
    expect(seen.reports).toEqual([]);
    await link.stop();
  });

  it('is tried again, and not FAILED, where Keytrail itself cannot do its part', async () => {
    const { link, seen, move } = started();
    seen.openFailures.push(TRANSIENT);
    seen.reportFailures.push(TRANSIENT);
    move({ connection: 'CONNECTING' });
    await until(() => seen.state.connection === 'CONNECTED', 'the link');
    // The connection that could not be reported is kept.
    expect(seen).toMatchObject({ opened: ['secret-1', 'secret-1'], closed: 0 });
    expect(seen.errors).toEqual([TRANSIENT, TRANSIENT]);
    await link.stop();
  });

  it('is not used from the moment on that the store is DISCONNECTING, and is reported once it is closed', async () => {
    const { link, seen, move } = started({ connection: 'CONNECTED' });
    await link.connection(5_000);
    move({ connection: 'DISCONNECTING' });
    await expect(link.connection(1)).rejects.toMatchObject(failing);
    await until(() => seen.state.connection === 'DISCONNECTED', 'the link');
    expect(seen).toMatchObject({ closed: 1, reports: [{ type: 'RecordDisconnected', attempt: 1 }] });
    await link.stop();
  });

  it('that opens too late is closed, and reported to nobody', async () => {
    const { link, seen, move } = started();
    let release = () => {};
    seen.opening = new Promise((resolve) => {
      release = resolve;
    });
    move({ connection: 'CONNECTING' });
    await until(() => seen.opened.length === 1, 'the link');
    move({ connection: 'DISCONNECTING' });
    release();
    await until(() => seen.state.connection === 'DISCONNECTED', 'the link');
    expect(seen).toMatchObject({ closed: 1, reports: [{ type: 'RecordDisconnected' }] });
    await link.stop();
  });

  it('is opened anew with a secret that has been replaced', async () => {
    const { link, seen, move } = started({ connection: 'CONNECTED' });
    await link.connection(5_000);
    move({ secretId: 'secret-2' });
    await expect(link.connection(5_000)).resolves.toMatchObject({ of: 'secret-2' });
    expect(seen).toMatchObject({ closed: 1, reports: [] });
    move({ name: 'renamed' });
    await expect(link.connection(1)).resolves.toMatchObject({ of: 'secret-2' });
    expect(seen.opened).toHaveLength(2);
    await link.stop();
  });

  it('that is stopped while it waits ends, and stays ended', async () => {
    const { link, seen, move } = started({ connection: 'CONNECTED' });
    seen.openFailures.push(...Array.from({ length: 50 }, () => new ConnectError('NETWORK_ERRORS', 'no')));
    await until(() => seen.errors.length === 1, 'the link');
    await link.stop();
    const { length } = seen.opened;
    move({ secretId: 'secret-2' });
    expect(seen.opened).toHaveLength(length);
  });
});
