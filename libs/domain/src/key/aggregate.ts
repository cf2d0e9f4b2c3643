import type { Aggregate } from '../aggregate';
import { keyArn } from '../arn';
import type { KeyCommand } from './commands';
import { decideKey } from './decide';
import type { KeyEvent } from './events';
import { evolveKey, isKeyEvent } from './evolve';
import { initialKey, type Key } from './state';

export const keyAggregate: Aggregate<Key, KeyEvent, KeyCommand> = {
  initial: initialKey,
  isEvent: isKeyEvent,
  evolve: evolveKey,
  decide: (command, key, { region, account, id, now }) =>
    decideKey(command, key, { keyArn: keyArn(region, account, id), now }),
  revokes: {
    KeyCreated: false,
    KeyEnabled: false,
    KeyDisabled: true,
    KeyDescriptionUpdated: false,
    // Conditions on aws:ResourceTag may decide.
    KeyTagged: true,
    KeyUntagged: true,
    KeyPolicyPut: true,
    KeyRotationEnabled: false,
    KeyRotationDisabled: false,
    KeyRotated: false,
    KeyDeletionScheduled: true,
    KeyDeletionCancelled: false,
    KeyDeleted: true,
    KeyMaterialDestroyed: false,
    KeyMaterialImported: false,
    KeyMaterialExpired: true,
    ImportedKeyMaterialDeleted: true,
    ReleasedMaterialErased: false,
    KeyReplicationBegun: false,
    KeyReplicated: false,
    KeyReplicationCompleted: false,
    KeyReplicaReady: false,
    // Conditions on kms:MultiRegionKeyType may decide.
    KeyPrimaryHandedOver: true,
    KeyMadePrimary: true,
    KeyPrimaryUpdated: false,
    KeySynchronized: false,
    KeyReplicaMaterialImported: false,
    KeyReplicaRemoved: false,
    KeyDeletionDeferred: true,
  },
};
