import { userRef } from '#domain/principal/principal-id';
import type { AppendRequest } from '#event-store/event-store';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import { until } from '../../../test/support/nats-server';

const ANN = userRef(ACCOUNT, 'ann');
const ACCESS_KEY = 'AKIAANN';
const asAnn = { principalId: 'AIDAANN', accessKeyId: ACCESS_KEY };
const SWITCH_OFF = { type: 'UpdateAccessKey', accessKeyId: ACCESS_KEY, status: 'Inactive' } as const;
const PUT_POLICY = { PolicyName: 'default', BypassPolicyLockoutSafetyCheck: true };

/** A log on which the next append to one kind of aggregate waits until the test lets it go. */
class GatedLog extends MemoryEventStore {
  private gate: { kind: string; arrived(): void; opened: Promise<void> } | undefined;

  /** Resolves once such an append is there. */
  holdNext(kind: 'alias' | 'key'): { arrived: Promise<void>; letGo(): void } {
    let letGo = () => {};
    const opened = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      this.gate = { kind, arrived: resolve, opened };
    });
    return { arrived, letGo };
  }

  override async append(request: AppendRequest): Promise<number> {
    const { gate } = this;
    if (gate && request.subject.includes(`.${gate.kind}.`)) {
      this.gate = undefined;
      gate.arrived();
      await gate.opened;
    }
    return super.append(request);
  }

  async subjects(): Promise<string[]> {
    const found: string[] = [];
    for await (const { subject } of this.read(1)) found.push(subject);
    return found;
  }
}

/** A process, a key in it, and a user who may do anything with the user's access key. */
async function started(leaseMs?: number) {
  const log = new GatedLog();
  const process = new MemoryOperations(log, leaseMs);
  await process.runCommand(ANN, { type: 'CreateUser', name: 'ann', path: '/', uniqueId: 'AIDAANN', tags: [] });
  await process.runCommand(ANN, { type: 'PutPolicy', policyName: 'all', policy: allowing('kms:*') });
  await process.runCommand(ANN, { type: 'CreateAccessKey', accessKeyId: ACCESS_KEY });
  const { KeyId } = await process.newKey();
  return { log, process, KeyId };
}

const aliasesIn = async (log: GatedLog): Promise<number> =>
  (await log.subjects()).filter((subject) => subject.includes('.alias.')).length;

test('a change that its caller was allowed is made before the switching-off of the access key returns, not after', async () => {
  const { log, process, KeyId } = await started();
  const { arrived, letGo } = log.holdNext('alias');
  const order: string[] = [];
  const change = process
    .call('CreateAlias', { AliasName: 'alias/a', TargetKeyId: KeyId }, asAnn)
    .then(({ code }) => order.push(`changed: ${code}`));
  await arrived;
  const revocation = process.runCommand(ANN, SWITCH_OFF).then(async () => {
    order.push(`revoked, aliases: ${await aliasesIn(log)}`);
  });
  // The revocation is in the log and in the view, and all that is left to wait for is the change.
  const described = async () => (await process.call('DescribeKey', { KeyId }, asAnn)).code;
  await until(async () => (await described()) === 'UnrecognizedClientException', 'the access key was not switched off');
  expect(order).toEqual([]);
  letGo();
  await Promise.all([change, revocation]);
  expect(order.sort()).toEqual(['changed: OK', 'revoked, aliases: 1']);
  const late = await process.call('CreateAlias', { AliasName: 'alias/b', TargetKeyId: KeyId }, asAnn);
  expect(late.code).toBe('UnrecognizedClientException');
});

test('a change that takes longer than a lease holds the revocation up no longer, and is not made any more', async () => {
  const { log, process, KeyId } = await started(3_000);
  const { arrived, letGo } = log.holdNext('alias');
  const change = process.call('CreateAlias', { AliasName: 'alias/a', TargetKeyId: KeyId }, asAnn);
  await arrived;
  await process.runCommand(ANN, SWITCH_OFF);
  letGo();
  await expect(change).rejects.toMatchObject({ code: 'DependencyTimeoutException' });
  expect(await aliasesIn(log)).toBe(0);
});

test('of two changes to one key policy, the one that the other forbids is not made after it', async () => {
  const { log, process, KeyId } = await started();
  const other = new MemoryOperations(log);
  const { arrived, letGo } = log.holdNext('key');
  const policyOf = (Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
  const everything = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
  const ann = { AWS: `arn:aws:iam::${ACCOUNT}:user/ann` };
  const Open = policyOf([everything]);
  const Closed = policyOf([everything, { Effect: 'Deny', Principal: ann, Action: 'kms:*', Resource: '*' }]);
  const change = process.call('PutKeyPolicy', { KeyId, ...PUT_POLICY, Policy: Open }, asAnn);
  await arrived;
  expect((await other.call('PutKeyPolicy', { KeyId, ...PUT_POLICY, Policy: Closed })).code).toBe('OK');
  letGo();
  expect((await change).code).toBe('AccessDeniedException');
  expect((await process.call('GetKeyPolicy', { KeyId })).body).toMatchObject({ Policy: Closed });
});
