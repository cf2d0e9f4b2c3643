import { AGGREGATE_TYPES, type AggregateType, aggregateOf, type CommandOf } from '#domain/aggregates';
import { keyArn, rootArn } from '#domain/arn';
import { type Commit, encodeCommit, NO_HASH } from '#domain/commit';
import { laterOf } from '#domain/dates';
import { keyNotFound } from '#domain/key/living';
import { roleRef, userRef } from '#domain/principal/principal-id';
import { noSuchAccessKey, noSuchRole, noSuchUser } from '#domain/principal/refusals';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import type { FoldedOf } from '#views/folded';
import { Projection } from '#views/projection';
import type { Caller } from '../caller';
import { findGrant } from '../grants/grant-lookup';
import { assertIdentityPolicy, checkTrustPolicy } from '../iam/policy-documents';
import { existingKey, type FoundKey } from '../key-lookup';
import { checkKeyPolicy } from '../key-policy';
import type { Call } from '../operation';

type KeyRef = AggregateRef<'key'>;

/** A change that somebody thinks of making; whether anybody may make it is not asked. */
export type ProposedChange =
  | { type: 'put-key-policy'; key: KeyRef; policy: string }
  | { type: 'disable-key'; key: KeyRef }
  | { type: 'schedule-key-deletion'; key: KeyRef }
  | { type: 'revoke-grant' | 'retire-grant'; key: KeyRef; grantId: string }
  | { type: 'put-user-policy' | 'put-role-policy'; account: string; name: string; policyName: string; policy: string }
  | { type: 'delete-user-policy' | 'delete-role-policy'; account: string; name: string; policyName: string }
  | { type: 'update-assume-role-policy'; account: string; name: string; policy: string }
  /** With its policies and access keys, which have to go first. */
  | { type: 'delete-user' | 'delete-role'; account: string; name: string }
  | { type: 'deactivate-access-key'; accessKeyId: string };

/** Pure. A copy of the projection with the change made to it. Throws KmsError where the change itself would be refused. */
export function changed(projection: Projection, change: ProposedChange, now: string): Projection {
  const copy = new Projection();
  copy.restore(allOf(projection), projection.position);
  make(change, new Draft(copy, now));
  return copy;
}

function* allOf(projection: Projection): Iterable<FoldedOf<AggregateType>> {
  for (const type of AGGREGATE_TYPES) yield* projection.all(type);
}

function make(change: ProposedChange, draft: Draft): void {
  const { projection } = draft;
  switch (change.type) {
    case 'put-key-policy': {
      const { arn } = draft.key(change.key);
      const call = draft.callOf(change.key.account, change.key.region);
      draft.run(change.key, { type: 'PutKeyPolicy', ...checkKeyPolicy(change.policy, true, call, projection, arn) });
      return;
    }
    case 'disable-key':
      draft.key(change.key);
      draft.run(change.key, { type: 'DisableKey' });
      return;
    case 'schedule-key-deletion':
      draft.key(change.key);
      draft.run(change.key, { type: 'ScheduleKeyDeletion', pendingWindowInDays: 30 });
      return;
    case 'revoke-grant':
    case 'retire-grant': {
      const found = draft.key(change.key);
      const { ref } = findGrant(change.grantId, found, projection);
      const type = change.type === 'revoke-grant' ? 'RevokeGrant' : 'RetireGrant';
      draft.run(ref, { type, keyId: found.keyId });
      return;
    }
    case 'put-user-policy':
    case 'put-role-policy': {
      const { ref } = draft.principal(change);
      assertIdentityPolicy(change.policy);
      draft.run(ref, { type: 'PutPolicy', policyName: change.policyName, policy: change.policy });
      return;
    }
    case 'delete-user-policy':
    case 'delete-role-policy':
      draft.run(draft.principal(change).ref, { type: 'DeletePolicy', policyName: change.policyName });
      return;
    case 'update-assume-role-policy': {
      const { ref } = draft.principal(change);
      const trust = checkTrustPolicy(change.policy, draft.callOf(change.account, 'global'), projection);
      draft.run(ref, { type: 'PutTrustPolicy', ...trust });
      return;
    }
    case 'delete-user':
    case 'delete-role': {
      const { ref, state } = draft.principal(change);
      for (const policyName of Object.keys(state.policies)) draft.run(ref, { type: 'DeletePolicy', policyName });
      if (state.kind === 'User') {
        for (const { accessKeyId } of state.accessKeys) draft.run(ref, { type: 'DeleteAccessKey', accessKeyId });
      }
      draft.run(ref, { type: state.kind === 'User' ? 'DeleteUser' : 'DeleteRole' });
      return;
    }
    case 'deactivate-access-key': {
      const { accessKeyId } = change;
      const found = projection.accessKey(accessKeyId);
      if (!found) throw noSuchAccessKey(accessKeyId);
      draft.run(found.owner.ref, { type: 'UpdateAccessKey', accessKeyId, status: 'Inactive' });
    }
  }
}

/** Commands decided and folded in, as if they had been appended. */
class Draft {
  constructor(
    readonly projection: Projection,
    private readonly now: string,
  ) {}

  key({ region, account, id }: KeyRef): FoundKey {
    const found = existingKey(region, account, id, { now: this.now }, this.projection);
    if (!found) throw keyNotFound(keyArn(region, account, id));
    return found;
  }

  principal({ type, account, name }: { type: string; account: string; name: string }) {
    const ofUser = type.includes('user');
    const ref = ofUser ? userRef(account, name) : roleRef(account, name);
    const state = this.projection.folded(ref)?.state;
    if (state?.kind !== 'User' && state?.kind !== 'Role') throw ofUser ? noSuchUser(name) : noSuchRole(name);
    return { ref, state };
  }

  /** As the root of the account makes it. */
  callOf(account: string, region: string): Call {
    const arn = rootArn(account);
    const caller: Caller = {
      region,
      account,
      principalId: 'root',
      principalArn: arn,
      principal: { account, kind: 'root', arn, uniqueId: account },
      identityPolicies: [],
      tags: [],
    };
    return { caller, requestId: 'what-if', operation: 'WhatIf', now: this.now };
  }

  run<T extends AggregateType>(ref: AggregateRef<T>, command: CommandOf<T>): void {
    const { region, account, aggregate, id } = ref;
    const { initial, decide } = aggregateOf(aggregate);
    const folded = this.projection.folded(ref);
    const time = laterOf(this.now, folded?.time ?? '');
    const events = decide(command, folded?.state ?? initial, { region, account, id, now: time });
    if (events.length === 0) return;
    const commit: Commit = {
      schema: 1,
      region,
      account,
      aggregate,
      id,
      version: (folded?.version ?? 0) + 1,
      prevHash: folded?.hash ?? NO_HASH,
      time,
      principal: rootArn(account),
      requestId: 'what-if',
      operation: 'WhatIf',
      events,
    };
    const seq = this.projection.position + 1;
    this.projection.apply({ seq, subject: eventSubject(ref), bytes: encodeCommit(commit) });
  }
}
