import { connect } from 'nats';
import { userRef } from '#domain/principal/principal-id';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { startNats } from '../../../test/support/nats-server';

import { systemClock } from './clock';
import { UNTRACKED } from './last-uses';
import { ServedRequests } from './served-requests';
import { startKeyManager } from './start-key-manager';
import { appendRemotely } from './worker-commands';

const ACCOUNT = '000000000000';
const ANN = userRef(ACCOUNT, 'ann');
const ORIGIN = { principal: 'test', requestId: 'r', operation: 'Test', now: '2026-01-01T00:00:00.000Z' };

test('what a crypto-worker checked before something was taken away is not appended for it', async () => {
  const server = await startNats();
  const nats = await connect({ servers: server.url });
  try {
    const store = new MemoryEventStore();
    const view = new LiveView();
    await view.start(store);
    const { manager } = startKeyManager({
      ...{ store, view, clock: systemClock, settings: { failPoint: undefined } },
      served: new ServedRequests(nats, () => {}),
      serving: ALWAYS_SERVING,
      barrier: { applied: async () => {} },
      materials: { create: async () => undefined, destroy: async () => {} },
      signGrantToken: async () => undefined,
      lastUses: UNTRACKED,
      onError: () => () => {},
    });
    const append = appendRemotely(nats);
    await manager.runUnchecked(
      ANN,
      { type: 'CreateUser', name: 'ann', path: '/', uniqueId: 'AIDA1', tags: [] },
      ORIGIN,
    );
    expect(await append(ANN, { type: 'CreateAccessKey', accessKeyId: 'AKIA1' }, ORIGIN, 1)).toEqual({ position: 2 });
    const off = { type: 'UpdateAccessKey', accessKeyId: 'AKIA1', status: 'Inactive' } as const;
    await manager.runUnchecked(ANN, off, ORIGIN);
    const late = append(ANN, { type: 'CreateAccessKey', accessKeyId: 'AKIA2' }, ORIGIN, 2);
    await expect(late).rejects.toMatchObject({ code: 'ConcurrentModification' });
    expect(view.position).toBe(3);
  } finally {
    await nats.close();
    await server.stop();
  }
});
