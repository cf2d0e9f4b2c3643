import type { ReplicateKeyRequest, ReplicateKeyResponse } from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { generationOf } from '#domain/key/multi-region';
import { assertPrimary } from '#domain/key/primary';
import { initialKey } from '#domain/key/state';
import type { ContextLookup } from '#policy/variables';
import { authorizeAccount, authorizeKey } from '../authorization';
import { checked } from '../checks';
import { fixedContext, tagContext } from '../condition-context';
import { existingKey, type FoundKey, findKey } from '../key-lookup';
import { keyMetadata } from '../key-metadata';
import { bypassContext, newKeyPolicy } from '../key-policy';
import { DESCRIPTION, keysOf } from '../keys';
import { shownPolicy } from '../named-principals';
import { type Call, type ControlPorts, control } from '../operation';
import { asTags, domainTags } from '../tags';
import { BOOLEAN, KEY_ID, Optional, POLICY, Required, TAGS } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { inRegion, REGION, relatedArn } from './other-region';

class ReplicateKey implements ReplicateKeyRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(REGION) ReplicaRegion!: string;
  @Optional(POLICY) Policy?: string;
  @Optional(BOOLEAN) BypassPolicyLockoutSafetyCheck?: boolean;
  @Optional(DESCRIPTION) Description?: string;
  @Optional(TAGS) Tags?: { TagKey: string; TagValue: string }[];
}

/** What it takes to create a key in the replica's region, and to tag it. */
function authorizeReplica(request: ReplicateKey, { key }: FoundKey, call: Call): void {
  const bypass = bypassContext(request);
  const tags = tagContext(asTags(request.Tags ?? []));
  const fixed = fixedContext({
    'kms:customermasterkeyspec': key.keySpec,
    'kms:customermasterkeyusage': key.keyUsage,
    'kms:keyorigin': key.origin,
    'kms:keyspec': key.keySpec,
    'kms:keyusage': key.keyUsage,
    'kms:multiregion': true,
    'kms:multiregionkeytype': 'REPLICA',
  });
  const context: ContextLookup = (name) => fixed(name) ?? bypass(name) ?? tags(name);
  const hasTags = request.Tags !== undefined && request.Tags.length > 0;
  checked(call, (now) => {
    const there = inRegion(request.ReplicaRegion, now);
    authorizeAccount(there, { action: 'CreateKey', context });
    if (hasTags) authorizeAccount(there, { action: 'TagResource', context });
  });
}

/** The next generation of the key in the replica's region. Throws KMSInvalidStateException while the last one is not quite gone. */
function nextGeneration({ ref }: FoundKey, region: string, { projection }: ControlPorts): number {
  const former = projection.key(region, ref.account, ref.id);
  if (former?.state.keyState === 'Deleted' && projection.aliasNamesOf(former.ref).size > 0) {
    throw new KmsError('KMSInvalidStateException', `${relatedArn(region, ref)} is being deleted.`);
  }
  return generationOf(former?.state ?? initialKey) + 1;
}

export const replicateKey = control<ReplicateKey, Wire<ReplicateKeyResponse>>({
  name: 'ReplicateKey',
  request: ReplicateKey,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    const { ReplicaRegion: replicaRegion } = request;
    const bypass = bypassContext(request);
    const context: ContextLookup = (name) => (name === 'kms:replicaregion' ? replicaRegion : bypass(name));
    authorizeKey(call, ports.projection, found, { context });
    assertPrimary(found.key, found.arn);
    authorizeReplica(request, found, call);
    const { ref } = found;
    const tags = domainTags(request.Tags ?? []);
    const policy = newKeyPolicy(request, call, ports.projection, relatedArn(replicaRegion, ref));
    const begin = {
      type: 'BeginReplication',
      replicaRegion,
      generation: nextGeneration(found, replicaRegion, ports),
      description: request.Description ?? '',
      ...policy,
      tags,
    } as const;
    const limit = keysOf(replicaRegion, ref.account, ports);
    await ports.limits.within(limit, ref.id, call, async () => {
      await ports.runCommand(ref, begin, call);
      await ports.settleRelated(ref, call);
    });
    const replica = existingKey(replicaRegion, ref.account, ref.id, call, ports.projection);
    if (!replica) throw new KmsError('KMSInternalException', `${relatedArn(replicaRegion, ref)} is not there yet`);
    return {
      // As it was made, and as AWS answers: it is Enabled by now.
      ReplicaKeyMetadata: {
        ...keyMetadata(replica, call, ports.projection),
        ...{ Enabled: false, KeyState: 'Creating' },
      },
      ReplicaPolicy: shownPolicy(policy.policy, policy.namedIds, ports.projection),
      ReplicaTags: request.Tags ?? [],
    };
  },
});
