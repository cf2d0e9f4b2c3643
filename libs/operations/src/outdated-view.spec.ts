import { userRef } from '#domain/principal/principal-id';
import type { FollowHandler, Following } from '#event-store/event-store';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';

/** One log, of which the view that `isLate` hears nothing more until somebody asks the log's leader how far it is. */
class LateStore extends MemoryEventStore {
  private held: (() => void)[] = [];
  private late = false;

  override follow(from: number, handler: FollowHandler): Promise<Following> {
    return super.follow(from, {
      onError: (error) => handler.onError(error),
      onCommit: (commit) => {
        if (this.late) this.held.push(() => handler.onCommit(commit));
        else handler.onCommit(commit);
      },
    });
  }

  fallBehind(): void {
    this.late = true;
  }

  override async lastPosition(): Promise<number> {
    this.late = false;
    const held = this.held;
    this.held = [];
    for (const deliver of held) queueMicrotask(deliver);
    return super.lastPosition();
  }
}

const ANN = userRef(ACCOUNT, 'Ann');
const claim = { principalId: 'AIDAANN' };

/** Two processes on one log; the second does not hear what the first one does. */
async function twoProcesses() {
  const store = new LateStore();
  const [first, second] = [new MemoryOperations(store), new MemoryOperations(store)];
  const key = await first.newKey();
  await second.call('DescribeKey', key);
  store.fallBehind();
  const policy = { UserName: 'Ann', PolicyName: 'may', PolicyDocument: allowing('*') };
  await first.runCommand(ANN, { type: 'CreateUser', name: 'Ann', path: '/', uniqueId: 'AIDAANN', tags: [] });
  await first.call('PutUserPolicy', policy);
  return { second, key };
}

describe('a refusal on an outdated view does not count', () => {
  test.each([
    ['of a data operation', 'GenerateRandom', { NumberOfBytes: 8 }],
    ['of a data operation that waits', 'CreateAccessKey', { UserName: 'Ann' }],
    ['of a control operation', 'ListKeys', {}],
  ])('%s', async (_what, operation, input) => {
    const { second } = await twoProcesses();
    expect(await second.call(operation, input, claim)).toMatchObject({ code: 'OK', message: '' });
  });
});

test('a refusal on a view that has it all is one', async () => {
  const { second } = await twoProcesses();
  const nobody = { principalId: 'AIDANOBODY' };
  for (const operation of ['GenerateRandom', 'CreateAccessKey', 'ListKeys']) {
    expect((await second.call(operation, {}, nobody)).code).toBe('UnrecognizedClientException');
  }
});
