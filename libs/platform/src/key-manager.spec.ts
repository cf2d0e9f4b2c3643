import { keyArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { materialIdOf } from '#domain/key/material-id';
import { userRef } from '#domain/principal/principal-id';
import type { AggregateRef } from '#domain/subjects';
import { MemoryEventStore } from '#event-store/memory-event-store';
import type { Call } from '#operations/operation';
import { LiveView } from '#views/live-view';
import { ALWAYS_SERVING } from '../../../test/support/always-serving';
import { NO_CLUSTERS } from '../../../test/support/no-key-stores';
import { rootCaller } from '../../../test/support/root-caller';
import { KeyManager, originOf } from './key-manager';
import { UNTRACKED } from './last-uses';

const REGION = 'us-east-1';
const ACCOUNT = '000000000000';
const KEY: AggregateRef<'key'> = { region: REGION, account: ACCOUNT, aggregate: 'key', id: 'key-1' };
const ALIAS: AggregateRef<'alias'> = { region: REGION, account: ACCOUNT, aggregate: 'alias', id: 'orders' };
const GRANT: AggregateRef<'grant'> = { region: REGION, account: ACCOUNT, aggregate: 'grant', id: 'a'.repeat(64) };
const USER = userRef(ACCOUNT, 'ann');
const CALL: Call = {
  caller: rootCaller(REGION, ACCOUNT),
  requestId: 'request-1',
  operation: 'Test',
  now: '2026-01-01T00:00:00.000Z',
};

/** A key-manager on a log in memory, and in order what it asked of the workers. */
async function keyManager(
  store = new MemoryEventStore(),
  serving = ALWAYS_SERVING,
): Promise<{ manager: KeyManager; asked: string[] }> {
  const view = new LiveView();
  await view.start(store);
  const asked: string[] = [];
  const manager = new KeyManager({
    store,
    view,
    serving,
    materials: {
      create: async (arn, materialId) => {
        asked.push(`store ${materialId} of ${arn}`);
        return undefined;
      },
      destroy: async () => {},
    },
    appliedEverywhere: async (position) => {
      asked.push(`apply ${position}`);
    },
    failPoint: () => {},
    signGrantToken: async () => undefined,
    clusters: NO_CLUSTERS,
    lastUses: UNTRACKED,
  });
  return { manager, asked };
}

const createKey = (manager: KeyManager) =>
  manager.runCommand(
    KEY,
    {
      type: 'CreateKey',
      description: '',
      keyUsage: 'ENCRYPT_DECRYPT',
      keySpec: 'SYMMETRIC_DEFAULT',
      multiRegion: false,
      policy: '{}',
      tags: [],
    },
    CALL,
  );
const createUser = (manager: KeyManager, uniqueId = 'AIDA1') =>
  manager.runCommand(USER, { type: 'CreateUser', name: 'ann', path: '/', uniqueId, tags: [] }, CALL);

describe('a command', () => {
  test('on any aggregate is decided, appended and in the view', async () => {
    const { manager } = await keyManager();
    expect(await createKey(manager)).toMatchObject({ position: 1, events: [{ type: 'KeyCreated' }] });
    await manager.runCommand(ALIAS, { type: 'CreateAlias', targetKeyId: 'key-1' }, CALL);
    await createUser(manager);
    await manager.runCommand(
      GRANT,
      {
        type: 'CreateGrant',
        keyId: 'key-1',
        granteePrincipal: `arn:aws:iam::${ACCOUNT}:user/ann`,
        operations: ['Decrypt'],
        issuedBy: CALL.caller.principalArn,
        keySpec: 'SYMMETRIC_DEFAULT',
        keyUsage: 'ENCRYPT_DECRYPT',
      },
      CALL,
    );
    const { projection } = manager;
    expect(projection.position).toBe(4);
    expect([...projection.aliasNamesOf(KEY)]).toEqual(['orders']);
    expect(projection.user(ACCOUNT, 'Ann')?.state).toMatchObject({ kind: 'User', uniqueId: 'AIDA1' });
    expect(projection.grantsByGrantee(KEY).get(`arn:aws:iam::${ACCOUNT}:user/ann`)).toHaveLength(1);
  });

  test('that creates a key has its material stored before', async () => {
    const { manager, asked } = await keyManager();
    await createKey(manager);
    expect(asked).toEqual([
      `store ${materialIdOf(keyArn(REGION, ACCOUNT, 'key-1'), 1)} of ${keyArn(REGION, ACCOUNT, 'key-1')}`,
    ]);
  });

  test('that takes something away returns after the workers have applied it, any other at once', async () => {
    const { manager, asked } = await keyManager();
    await createUser(manager);
    await manager.runCommand(USER, { type: 'CreateAccessKey', accessKeyId: 'AKIA1' }, CALL);
    expect(asked).toEqual([]);
    const off = { type: 'UpdateAccessKey', accessKeyId: 'AKIA1', status: 'Inactive' } as const;
    expect(await manager.runCommand(USER, off, CALL)).toMatchObject({
      position: 3,
      events: [{ type: 'AccessKeyStatusChanged' }],
    });
    expect(asked).toEqual(['apply 3']);
    // Asked once more, perhaps since the first answer was lost: it waits for the same.
    expect(await manager.runCommand(USER, off, CALL)).toEqual({ position: 3, events: [] });
    expect(asked).toEqual(['apply 3', 'apply 3']);
  });

  test('that is refused since an earlier try of it was made waits for what that one waited for', async () => {
    const { manager, asked } = await keyManager();
    await createKey(manager);
    asked.length = 0;
    const schedule = () => manager.runCommand(KEY, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 7 }, CALL);
    await schedule();
    expect(asked).toEqual(['apply 2']);
    await expect(schedule()).rejects.toMatchObject({ code: 'KMSInvalidStateException' });
    expect(asked).toEqual(['apply 2', 'apply 2']);
  });

  test('that was checked elsewhere is made under the lease of this process, and ends its tenure', async () => {
    const store = new MemoryEventStore();
    let open = 0;
    let over = false;
    const assertHeld = (): void => {
      if (over) throw new KmsError('KMSInternalException', 'lost touch');
    };
    const begin = () => {
      assertHeld();
      open++;
      return { assertNotOver: assertHeld, end: () => void open-- };
    };
    const { manager } = await keyManager(store, { assertHeld, begin });
    await createUser(manager);
    const append = store.append.bind(store);
    let opened = 0;
    store.append = (request) => {
      opened = open;
      return append(request);
    };
    const create = (accessKeyId: string) =>
      manager.runFor(USER, { type: 'CreateAccessKey', accessKeyId }, originOf(CALL), manager.projection.position);
    await create('AKIA1');
    expect([opened, open]).toEqual([1, 0]);
    over = true;
    await expect(create('AKIA2')).rejects.toMatchObject({ code: 'KMSInternalException' });
    expect([await store.lastPosition(), open]).toEqual([2, 0]);
  });

  test('that was checked elsewhere is refused where a right was taken away before this process, and not seen', async () => {
    const store = new MemoryEventStore();
    const { manager: before } = await keyManager(store);
    await createUser(before);
    const checkedAt = before.projection.position;
    await before.runCommand(USER, { type: 'PutPolicy', policyName: 'p', policy: '{}' }, CALL);
    const { manager } = await keyManager(store);
    const create = { type: 'CreateAccessKey', accessKeyId: 'AKIA1' } as const;
    await expect(manager.runFor(USER, create, originOf(CALL), checkedAt)).rejects.toMatchObject({
      code: 'ConcurrentModification',
    });
  });

  test('that was checked elsewhere is refused where a right was taken away while it waited for its turn', async () => {
    let letGo = () => {};
    const opened = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const store = new MemoryEventStore();
    const { manager } = await keyManager(store);
    await createUser(manager);
    const append = store.append.bind(store);
    store.append = async (request) => {
      await opened;
      return append(request);
    };
    const revocation = manager.runCommand(USER, { type: 'PutPolicy', policyName: 'p', policy: '{}' }, CALL);
    const create = { type: 'CreateAccessKey', accessKeyId: 'AKIA1' } as const;
    const checkedAt = manager.projection.position;
    const late = manager.runFor(USER, create, originOf(CALL), checkedAt);
    letGo();
    await revocation;
    await expect(late).rejects.toMatchObject({ code: 'ConcurrentModification' });
    expect(await store.lastPosition()).toBe(2);
    // Checked after it, it is made.
    await manager.runFor(USER, create, originOf(CALL), manager.projection.position);
    expect(await store.lastPosition()).toBe(3);
  });

  test('that is refused appends nothing', async () => {
    const { manager } = await keyManager();
    await createUser(manager);
    await expect(createUser(manager)).rejects.toMatchObject({ code: 'EntityAlreadyExists' });
    expect(manager.projection.position).toBe(1);
  });

  test('that loses a race with another key-manager is decided again', async () => {
    const store = new MemoryEventStore();
    const [one, other] = [await keyManager(store), await keyManager(store)];
    const outcomes = await Promise.allSettled([createUser(one.manager), createUser(other.manager, 'AIDA2')]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'EntityAlreadyExists' },
    });
    expect(await store.lastPosition()).toBe(1);
  });
});
