import type { AggregateType } from '#domain/aggregates';
import { userRef } from '#domain/principal/principal-id';
import type { AppendRequest } from '#event-store/event-store';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import { until } from '../../../test/support/nats-server';

const ANN = userRef(ACCOUNT, 'ann');
const ACCESS_KEY = 'AKIAANN';
const asAnn = { principalId: 'AIDAANN', accessKeyId: ACCESS_KEY };
const SWITCH_OFF = { type: 'UpdateAccessKey', accessKeyId: ACCESS_KEY, status: 'Inactive' } as const;
const policyOf = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const everything = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
const annArn = { AWS: `arn:aws:iam::${ACCOUNT}:user/ann` };
const Open = policyOf(everything);
const Closed = policyOf(everything, { Effect: 'Deny', Principal: annArn, Action: 'kms:*', Resource: '*' });
const PUT_POLICY = { PolicyName: 'default', BypassPolicyLockoutSafetyCheck: true };

/** A log on which the next append to one kind of aggregate waits until the test lets it go. */
class GatedLog extends MemoryEventStore {
  private gate: { kind: string; sent: boolean; arrived(): void; opened: Promise<void> } | undefined;

  /** Resolves once such an append is there. `sent`: it has left the process, which can stop it no more. */
  holdNext(kind: AggregateType, sent = false): { arrived: Promise<void>; letGo(): void } {
    let letGo = () => {};
    const opened = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const arrived = new Promise<void>((resolve) => {
      this.gate = { kind, sent, arrived: resolve, opened };
    });
    return { arrived, letGo };
  }

  override async append(request: AppendRequest): Promise<number> {
    const { gate } = this;
    if (gate && request.subject.includes(`.${gate.kind}.`)) {
      this.gate = undefined;
      if (gate.sent) request.mayTry?.();
      gate.arrived();
      await gate.opened;
      const { mayTry, ...sent } = request;
      if (gate.sent) return super.append(sent);
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
  const { arrived, letGo } = log.holdNext('alias', true);
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
  const change = process.call('PutKeyPolicy', { KeyId, ...PUT_POLICY, Policy: Open }, asAnn);
  await arrived;
  expect((await other.call('PutKeyPolicy', { KeyId, ...PUT_POLICY, Policy: Closed })).code).toBe('OK');
  letGo();
  expect((await change).code).toBe('AccessDeniedException');
  expect((await process.call('GetKeyPolicy', { KeyId })).body).toMatchObject({ Policy: Closed });
});

describe('a change that waits for its turn is not made by somebody who was shut out meanwhile', () => {
  /** Ann's change of the key's policy, behind one of root's that is held up. */
  async function waiting(first: string, input: object) {
    const { log, process, KeyId } = await started();
    const { arrived, letGo } = log.holdNext('key');
    const before = process.call(first, { KeyId, ...input });
    await arrived;
    const change = process.call('PutKeyPolicy', { KeyId, ...PUT_POLICY, Policy: Open }, asAnn);
    const code = async (): Promise<string> => {
      letGo();
      expect((await before).code).toBe('OK');
      return (await change).code;
    };
    const policy = async () => (await process.call('GetKeyPolicy', { KeyId })).body['Policy'];
    return { log, process, KeyId, code, policy };
  }

  test('by the change before it', async () => {
    const { code, policy } = await waiting('PutKeyPolicy', { ...PUT_POLICY, Policy: Closed });
    expect(await code()).toBe('AccessDeniedException');
    expect(await policy()).toBe(Closed);
  });

  test('by a change that another key-manager made', async () => {
    const { log, KeyId, code, policy } = await waiting('UpdateKeyDescription', { Description: 'new' });
    const other = new MemoryOperations(log);
    expect((await other.call('PutKeyPolicy', { KeyId, ...PUT_POLICY, Policy: Closed })).code).toBe('OK');
    expect(await code()).toBe('AccessDeniedException');
    expect(await policy()).toBe(Closed);
  });

  test('by a change of its own policies', async () => {
    const { process, code, policy } = await waiting('UpdateKeyDescription', { Description: 'new' });
    const revoked = process.runCommand(ANN, { type: 'DeletePolicy', policyName: 'all' });
    await until(async () => (await process.call('ListKeys', {}, asAnn)).code !== 'OK', 'the policy was not deleted');
    expect(await code()).toBe('AccessDeniedException');
    await revoked;
    expect(await policy()).not.toBe(Open);
  });

  test('by the end of its access key', async () => {
    const { process, code, policy } = await waiting('UpdateKeyDescription', { Description: 'new' });
    const revoked = process.runCommand(ANN, SWITCH_OFF);
    await until(async () => (await process.call('ListKeys', {}, asAnn)).code !== 'OK', 'the key was not switched off');
    expect(await code()).toBe('UnrecognizedClientException');
    await revoked;
    expect(await policy()).not.toBe(Open);
  });

  test('by the end of a grant', async () => {
    const { log, process, KeyId } = await started();
    await process.runCommand(ANN, { type: 'DeletePolicy', policyName: 'all' });
    const operations = ['CreateGrant', 'Decrypt'];
    const own = await process.call('CreateGrant', { KeyId, GranteePrincipal: annArn.AWS, Operations: operations });
    const grant = { KeyId, Name: 'passed-on', GranteePrincipal: ACCOUNT, Operations: ['Decrypt'] };
    const { arrived, letGo } = log.holdNext('grant');
    const first = process.call('CreateGrant', grant, asAnn);
    await arrived;
    const second = process.call('CreateGrant', grant, asAnn);
    const revoked = process.call('RevokeGrant', { KeyId, GrantId: own.body['GrantId'] });
    await until(async () => !(await process.hasGrants(KeyId)), 'the grant was not revoked');
    letGo();
    expect([(await first).code, (await second).code]).toEqual(['AccessDeniedException', 'AccessDeniedException']);
    expect((await revoked).code).toBe('OK');
    expect(await process.hasGrants(KeyId)).toBe(false);
  });
});

test('changes that wait for each other are all made, in one turn each, though each may take something away', async () => {
  const { log, process, KeyId } = await started();
  const before = await log.lastPosition();
  const { arrived, letGo } = log.holdNext('key');
  const tags = Array.from({ length: 40 }, (_, i) => ({ TagKey: `tag-${i}`, TagValue: '' }));
  const calls = tags.map((tag) => process.call('TagResource', { KeyId, Tags: [tag] }, asAnn));
  await arrived;
  letGo();
  expect(new Set((await Promise.all(calls)).map(({ code }) => code))).toEqual(new Set(['OK']));
  expect((await process.call('ListResourceTags', { KeyId })).body).toMatchObject({ Tags: tags });
  expect(await log.lastPosition()).toBe(before + tags.length);
});
