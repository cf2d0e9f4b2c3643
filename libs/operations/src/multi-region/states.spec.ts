import type { KeyCommand } from '#domain/key/commands';
import type { KeyOperation, KeyStateName } from '#domain/key/state-table';
import { dueStepsOf } from '#views/related-keys';
import { ACCOUNT, MemoryOperations } from '../../../../test/support/memory-operations';
import { PUBLISHED_CELLS } from '../../../../test/support/published-states';

const HOME = 'us-east-1';
const AWAY = 'eu-west-1';

interface Subject {
  KeyId: string;
  region: string;
  CiphertextBlob: unknown;
}

let operations: MemoryOperations;
const ref = (region: string, id: string) => ({ region, account: ACCOUNT, aggregate: 'key', id }) as const;
const POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' },
});
const replication = (replicaRegion: string): KeyCommand => ({
  ...{ type: 'BeginReplication', replicaRegion, generation: 1 },
  ...{ description: '', policy: POLICY, tags: [] },
});

async function step(id: string): Promise<void> {
  const [next] = dueStepsOf(operations.projection, ref(HOME, id));
  await operations.runCommand(ref(next!.region, id), next!.command);
}

/** Keys as a crash between two commits leaves them: which region's key is in the state. */
const BRING_TO = {
  Creating: async (id: string) => {
    await operations.runCommand(ref(HOME, id), replication(AWAY));
    await step(id);
    return AWAY;
  },
  Updating: async (id: string) => {
    await operations.call('ReplicateKey', { KeyId: id, ReplicaRegion: AWAY });
    await operations.runCommand(ref(HOME, id), { type: 'HandOverPrimary', primaryRegion: AWAY });
    await step(id);
    // The new primary; of the former one rotation and the like are refused for what it is.
    return AWAY;
  },
  PendingReplicaDeletion: async (id: string) => {
    await operations.call('ReplicateKey', { KeyId: id, ReplicaRegion: AWAY });
    await operations.call('ScheduleKeyDeletion', { KeyId: id });
    return HOME;
  },
};
type State = keyof typeof BRING_TO;

const Plaintext = Buffer.from('x').toString('base64');
const root = `arn:aws:iam::${ACCOUNT}:root`;
const REQUESTS: Partial<Record<KeyOperation, (subject: Subject) => object>> = {
  Encrypt: ({ KeyId }) => ({ KeyId, Plaintext }),
  Decrypt: ({ CiphertextBlob }) => ({ CiphertextBlob }),
  ReEncrypt: ({ KeyId, CiphertextBlob }) => ({ CiphertextBlob, DestinationKeyId: KeyId }),
  GenerateDataKey: ({ KeyId }) => ({ KeyId, KeySpec: 'AES_256' }),
  GenerateDataKeyWithoutPlaintext: ({ KeyId }) => ({ KeyId, KeySpec: 'AES_256' }),
  ReplicateKey: ({ KeyId }) => ({ KeyId, ReplicaRegion: 'ap-south-1' }),
  UpdatePrimaryRegion: ({ KeyId }) => ({ KeyId, PrimaryRegion: HOME }),
  CreateGrant: ({ KeyId }) => ({ KeyId, GranteePrincipal: root, Operations: ['Decrypt'] }),
  CancelKeyDeletion: ({ KeyId }) => ({ KeyId }),
  ScheduleKeyDeletion: ({ KeyId }) => ({ KeyId }),
  EnableKey: ({ KeyId }) => ({ KeyId }),
  DisableKey: ({ KeyId }) => ({ KeyId }),
  EnableKeyRotation: ({ KeyId }) => ({ KeyId }),
  DisableKeyRotation: ({ KeyId }) => ({ KeyId }),
  RotateKeyOnDemand: ({ KeyId }) => ({ KeyId }),
  GetKeyRotationStatus: ({ KeyId }) => ({ KeyId }),
  ListKeyRotations: ({ KeyId }) => ({ KeyId }),
  CreateAlias: ({ KeyId }) => ({ AliasName: 'alias/new', TargetKeyId: KeyId }),
  TagResource: ({ KeyId }) => ({ KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] }),
  UntagResource: ({ KeyId }) => ({ KeyId, TagKeys: ['a'] }),
  UpdateKeyDescription: ({ KeyId }) => ({ KeyId, Description: 'x' }),
  DescribeKey: ({ KeyId }) => ({ KeyId }),
  GetKeyPolicy: ({ KeyId }) => ({ KeyId }),
  ListAliases: ({ KeyId }) => ({ KeyId }),
  ListGrants: ({ KeyId }) => ({ KeyId }),
  ListKeyPolicies: ({ KeyId }) => ({ KeyId }),
  ListResourceTags: ({ KeyId }) => ({ KeyId }),
};

/** What a replica is refused for being one, before its state is looked at. */
const OF_PRIMARIES: readonly KeyOperation[] = [
  ...(['ReplicateKey', 'UpdatePrimaryRegion', 'EnableKeyRotation', 'DisableKeyRotation', 'RotateKeyOnDemand'] as const),
];

const cells = PUBLISHED_CELLS.flatMap(([operation, state, code]): [KeyOperation, State, string][] => {
  if (!Object.hasOwn(BRING_TO, state) || !REQUESTS[operation]) return [];
  const isReplica = (state as KeyStateName) === 'Creating' && OF_PRIMARIES.includes(operation);
  return [[operation, state as State, isReplica ? 'UnsupportedOperationException' : code]];
});

describe('a multi-Region key', () => {
  test.each(cells)('of which %s is asked while it is %s: %3$s', async (operation, state, code) => {
    operations = new MemoryOperations();
    const { body } = await operations.call('CreateKey', { MultiRegion: true });
    const { KeyId } = body['KeyMetadata'] as { KeyId: string };
    const { CiphertextBlob } = (await operations.call('Encrypt', { KeyId, Plaintext })).body;
    const region = await BRING_TO[state](KeyId);
    expect(operations.projection.key(region, ACCOUNT, KeyId)?.state.keyState).toBe(state);
    // The former primary is still Updating; what it is asked to be again, it must be able to be.
    const reply = await operations.call(operation, REQUESTS[operation]!({ KeyId, region, CiphertextBlob }), { region });
    expect([reply.message, reply.code]).toEqual([expect.any(String), code === 'ok' ? 'OK' : code]);
  });

  test('that is Creating or Updating is Enabled once the timer has fired', async () => {
    for (const state of ['Creating', 'Updating'] as const) {
      operations = new MemoryOperations();
      const { body } = await operations.call('CreateKey', { MultiRegion: true });
      const { KeyId } = body['KeyMetadata'] as { KeyId: string };
      await BRING_TO[state](KeyId);
      await operations.fireDue();
      for (const region of [HOME, AWAY]) {
        expect(operations.projection.key(region, ACCOUNT, KeyId)?.state.keyState).toBe('Enabled');
      }
    }
  });
});
