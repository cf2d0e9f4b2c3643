import { type Alias, decideAlias, evolveAlias, initialAlias } from '#domain/alias/alias';
import type { AliasEvent } from '#domain/alias/events';
import { commitHash, NO_HASH } from '#domain/commit';
import { decodeCommit } from '#domain/commit-codec';
import { KmsError } from '#domain/errors';
import { type AppendRequest, type EventStore, StoreUnavailableError } from './event-store';
import { MemoryEventStore } from './memory-event-store';
import { type CommandOrigin, CommandRunner, type CommandTarget, type Loaded } from './run-command';

const REF = { region: 'us-east-1', account: '000000000000', aggregate: 'alias', id: 'orders' } as const;
const ARN = 'arn:aws:kms:us-east-1:000000000000:alias/orders';
const T0 = '2026-01-01T00:00:00.000Z';
const T1 = '2026-01-02T00:00:00.000Z';
const T2 = '2026-01-03T00:00:00.000Z';

const origin = (changes: Partial<CommandOrigin> = {}): CommandOrigin => ({
  principal: 'arn:aws:iam::000000000000:root',
  requestId: 'request-1',
  operation: 'UpdateAlias',
  now: T0,
  ...changes,
});

/** One process: what it knows of the alias, and its runner. Several may share a store. */
class Process {
  readonly runner: CommandRunner;
  readonly steps: string[] = [];
  private loaded: Loaded<Alias> = { state: initialAlias, version: 0, seq: 0, hash: NO_HASH, time: '' };

  constructor(readonly store: EventStore) {
    this.runner = new CommandRunner({
      store,
      applied: () => {},
      reached: () => this.catchUp(),
      position: () => this.loaded.seq,
      failPoint: (name) => this.steps.push(name),
    });
  }

  target(decide: (alias: Alias, now: string) => AliasEvent[]): CommandTarget<Alias, AliasEvent> {
    return {
      ref: REF,
      load: () => this.loaded,
      decide,
      prepare: async (events) => {
        this.steps.push(`prepare:${events[0]!.type}`);
        return events;
      },
    };
  }

  pointAt(targetKeyId: string, changes: Partial<CommandOrigin> = {}) {
    const decide = (alias: Alias) =>
      decideAlias({ type: alias.aliasState === 'None' ? 'CreateAlias' : 'UpdateAlias', targetKeyId }, alias, ARN);
    return this.runner.run(this.target(decide), origin(changes));
  }

  private async catchUp(): Promise<void> {
    for await (const { seq, subject, bytes } of this.store.read(this.loaded.seq + 1)) {
      const commit = decodeCommit(subject, bytes);
      const state = (commit.events as AliasEvent[]).reduce(
        (alias, event) => evolveAlias(alias, event, commit.time),
        this.loaded.state,
      );
      this.loaded = { state, version: commit.version, seq, hash: commitHash(bytes), time: commit.time };
    }
  }
}

async function commitsIn(store: EventStore) {
  const commits = [];
  for await (const { subject, bytes } of store.read(1)) commits.push({ ...decodeCommit(subject, bytes), bytes });
  return commits;
}

/** A store whose appends fail as long as there are errors left to fail with. */
class FailingStore extends MemoryEventStore {
  readonly failures: Error[] = [];
  readonly ids: string[] = [];

  override async append(request: AppendRequest): Promise<number> {
    this.ids.push(request.appendId);
    const failure = this.failures.shift();
    if (failure) throw failure;
    return super.append(request);
  }
}

describe('a command', () => {
  test('is loaded, decided, prepared and appended, in this order', async () => {
    const process = new Process(new MemoryEventStore());
    expect(await process.pointAt('key-1')).toEqual({ position: 1, events: [expect.anything()] });
    expect(process.steps).toEqual(['prepare:AliasCreated', 'before-append:AliasCreated', 'after-append:AliasCreated']);
  });

  test('becomes a commit that says who did what, and follows the one before', async () => {
    const process = new Process(new MemoryEventStore());
    await process.pointAt('key-1');
    await process.pointAt('key-2', { requestId: 'request-2', now: T1 });
    const [first, second] = await commitsIn(process.store);
    expect(first).toMatchObject({ ...REF, version: 1, prevHash: NO_HASH, time: T0, requestId: 'request-1' });
    expect(first).not.toHaveProperty('recordedAt');
    expect(second).toMatchObject({
      version: 2,
      prevHash: commitHash(first!.bytes),
      time: T1,
      principal: 'arn:aws:iam::000000000000:root',
      requestId: 'request-2',
      operation: 'UpdateAlias',
      events: [{ type: 'AliasUpdated', v: 1, targetKeyId: 'key-2' }],
    });
  });

  test('that changes nothing appends and prepares nothing', async () => {
    const process = new Process(new MemoryEventStore());
    await process.pointAt('key-1');
    process.steps.length = 0;
    expect(await process.pointAt('key-1')).toEqual({ position: 1, events: [] });
    expect([process.steps, await process.store.lastPosition()]).toEqual([[], 1]);
  });

  test('that is refused appends nothing, and the next one goes on', async () => {
    const process = new Process(new MemoryEventStore());
    const refused = process.runner.run(
      process.target((alias) => decideAlias({ type: 'DeleteAlias' }, alias, ARN)),
      origin(),
    );
    const next = process.pointAt('key-1');
    await expect(refused).rejects.toMatchObject({ code: 'NotFoundException' });
    expect(await next).toEqual({ position: 1, events: [expect.anything()] });
  });

  test('is never dated before the commit that it follows', async () => {
    const process = new Process(new MemoryEventStore());
    await process.pointAt('key-1', { now: T2 });
    await process.pointAt('key-2', { now: T1 });
    expect((await commitsIn(process.store))[1]).toMatchObject({ time: T2, recordedAt: T1 });
  });

  test('of a timer is dated by its deadline, and says when it was recorded', async () => {
    const process = new Process(new MemoryEventStore());
    await process.pointAt('key-1', { now: T0 });
    await process.pointAt('key-2', { now: T2, dated: T1 });
    expect((await commitsIn(process.store))[1]).toMatchObject({ time: T1, recordedAt: T2 });
  });

  test('is decided again when another process came first', async () => {
    const store = new MemoryEventStore();
    const [one, other] = [new Process(store), new Process(store)];
    await one.pointAt('key-1');
    // The other process has not seen that commit: it decides to create, conflicts, and then decides to update.
    expect(await other.pointAt('key-2')).toEqual({ position: 2, events: [expect.anything()] });
    expect(other.steps.filter((step) => step.startsWith('prepare'))).toEqual([
      'prepare:AliasCreated',
      'prepare:AliasUpdated',
    ]);
    expect((await commitsIn(store)).map(({ version }) => version)).toEqual([1, 2]);
  });

  test('is refused on what the other process made of it', async () => {
    const store = new MemoryEventStore();
    const [one, other] = [new Process(store), new Process(store)];
    await one.pointAt('key-1');
    const create = other.target((alias) => decideAlias({ type: 'CreateAlias', targetKeyId: 'key-2' }, alias, ARN));
    await expect(other.runner.run(create, origin())).rejects.toMatchObject({ code: 'AlreadyExistsException' });
    expect(await store.lastPosition()).toBe(1);
  });

  test('that finds nothing to change on an outdated view is decided again on the newest one', async () => {
    const store = new MemoryEventStore();
    const [one, other] = [new Process(store), new Process(store)];
    await one.pointAt('key-1');
    await other.pointAt('key-2');
    // To this process the alias still points at key-1.
    expect(await one.pointAt('key-1')).toEqual({ position: 3, events: [expect.anything()] });
  });

  test('that is refused on an outdated view is decided again on the newest one', async () => {
    const store = new MemoryEventStore();
    const [one, other] = [new Process(store), new Process(store)];
    await one.pointAt('key-1');
    const remove = other.target((alias) => decideAlias({ type: 'DeleteAlias' }, alias, ARN));
    expect(await other.runner.run(remove, origin())).toEqual({ position: 2, events: [expect.anything()] });
  });

  test('waits for those before it on the same alias, so that one process never conflicts with itself', async () => {
    const process = new Process(new FailingStore());
    const keys = Array.from({ length: 20 }, (_, index) => `key-${index}`);
    const results = await Promise.all(keys.map((key) => process.pointAt(key)));
    expect(results.map(({ position }) => position)).toEqual(keys.map((_, index) => index + 1));
    expect((process.store as FailingStore).ids).toHaveLength(20);
  });

  test('many processes send at once is applied by all of them, one after the other', async () => {
    const store = new MemoryEventStore();
    const processes = Array.from({ length: 8 }, () => new Process(store));
    await Promise.all(processes.flatMap((process, at) => [process.pointAt(`a-${at}`), process.pointAt(`b-${at}`)]));
    const commits = await commitsIn(store);
    expect(commits).toHaveLength(16);
    commits.forEach((commit, at) => {
      expect(commit).toMatchObject({
        version: at + 1,
        prevHash: at === 0 ? NO_HASH : commitHash(commits[at - 1]!.bytes),
      });
    });
  });

  test('fails as one to be tried again when the log does not answer', async () => {
    const store = new FailingStore();
    store.failures.push(new StoreUnavailableError('no answer'));
    const process = new Process(store);
    const failed = process.pointAt('key-1');
    await expect(failed).rejects.toBeInstanceOf(KmsError);
    await expect(failed).rejects.toMatchObject({ code: 'DependencyTimeoutException', retryable: true });
    expect(await process.pointAt('key-1')).toMatchObject({ events: [expect.anything()] });
    // The same decision on the same history is the same append, so a retry can never be a second one.
    expect(new Set(store.ids).size).toBe(1);
  });

  test('whose caller was shut out between two tries of its append fails as one of unknown outcome', async () => {
    class TwoTries extends MemoryEventStore {
      override async append(request: AppendRequest): Promise<number> {
        request.mayTry?.();
        return super.append(request);
      }
    }
    const process = new Process(new TwoTries());
    const create = process.target((alias) => decideAlias({ type: 'CreateAlias', targetKeyId: 'key-1' }, alias, ARN));
    /** Allowed at the beginning, and then for as many tries. */
    const run = (tries: number) => {
      let asked = 0;
      const assertStillAllowed = () => {
        if (asked++ > tries) throw new KmsError('AccessDeniedException', 'no more');
      };
      return process.runner.run({ ...create, checks: { assertNotOver: () => {}, assertStillAllowed } }, origin());
    };
    await expect(run(0)).rejects.toMatchObject({ code: 'AccessDeniedException' });
    await expect(run(1)).rejects.toMatchObject({ code: 'DependencyTimeoutException' });
    expect(await process.store.lastPosition()).toBe(0);
    expect(await run(2)).toMatchObject({ position: 1 });
  });

  test('does not hide an error that nobody expected', async () => {
    const store = new FailingStore();
    store.failures.push(new TypeError('a defect'));
    await expect(new Process(store).pointAt('key-1')).rejects.toThrow(TypeError);
    expect(await store.lastPosition()).toBe(0);
  });
});
