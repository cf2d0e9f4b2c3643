import type { NamedIds } from '../named-ids';
import type { KeyOrigin, Tag } from './events';
import type { ImportCommand } from './imported/commands';
import type { KeySpec, KeyUsage } from './key-kinds';
import type { MultiRegionCommand } from './multi-region-commands';

/** What can be asked of a key. Time comes in beside the command; nothing in decide reads a clock. */
export type KeyCommand =
  | ImportCommand
  | {
      type: 'CreateKey';
      description: string;
      keyUsage: KeyUsage;
      keySpec: KeySpec;
      /** AWS_KMS where it is not said. */
      origin?: KeyOrigin | undefined;
      multiRegion: boolean;
      customKeyStoreId?: string | undefined;
      xksKeyId?: string | undefined;
      policy: string;
      namedIds?: NamedIds | undefined;
      tags: Tag[];
    }
  /** `service` has it; see managed-key.ts. */
  | { type: 'CreateManagedKey'; service: string; policy: string }
  | { type: 'EnableKey' }
  | { type: 'DisableKey' }
  | { type: 'UpdateKeyDescription'; description: string }
  | { type: 'TagResource'; tags: Tag[] }
  | { type: 'UntagResource'; tagKeys: string[] }
  | { type: 'PutKeyPolicy'; policy: string; namedIds?: NamedIds | undefined }
  | { type: 'EnableKeyRotation'; rotationPeriodInDays: number | undefined }
  | { type: 'DisableKeyRotation' }
  | { type: 'RotateKeyOnDemand' }
  | { type: 'ScheduleKeyDeletion'; pendingWindowInDays: number }
  | { type: 'CancelKeyDeletion' }
  /** The timers. `deadline` is the date that came due: a timer that is no longer the state's own does nothing. */
  | { type: 'FireRotation'; deadline: string }
  | { type: 'FireDeletion'; deadline: string }
  | { type: 'RecordMaterialDestroyed' }
  | MultiRegionCommand;

export interface DecideContext {
  keyArn: string;
  /** ISO 8601, never before the key's last commit. */
  now: string;
}
