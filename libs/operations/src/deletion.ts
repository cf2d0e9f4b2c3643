import type {
  CancelKeyDeletionRequest,
  CancelKeyDeletionResponse,
  ScheduleKeyDeletionRequest,
  ScheduleKeyDeletionResponse,
} from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { DEFAULT_PENDING_WINDOW_IN_DAYS } from '#domain/key/deletion';
import { authorizeKey } from './authorization';
import { fixedContext } from './condition-context';
import { findKey } from './key-lookup';
import { control } from './operation';
import { KEY_ID, Optional, Required } from './wire/fields';
import { epochSeconds, type Wire } from './wire/wire';

class ScheduleKeyDeletion implements ScheduleKeyDeletionRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional({ kind: 'integer', min: 7, max: 30 }) PendingWindowInDays?: number;
}

export const scheduleKeyDeletion = control<ScheduleKeyDeletion, Wire<ScheduleKeyDeletionResponse>>({
  name: 'ScheduleKeyDeletion',
  request: ScheduleKeyDeletion,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    const { ref, arn } = found;
    const pendingWindowInDays = request.PendingWindowInDays ?? DEFAULT_PENDING_WINDOW_IN_DAYS;
    const context = fixedContext({ 'kms:schedulekeydeletionpendingwindowindays': pendingWindowInDays });
    authorizeKey(call, ports.projection, found, { context });
    const { events } = await ports.runCommand(ref, { type: 'ScheduleKeyDeletion', pendingWindowInDays }, call);
    // From what was appended: by now somebody else may have cancelled it.
    const [scheduled] = events;
    if (scheduled?.type === 'KeyDeletionScheduled') {
      const DeletionDate = epochSeconds(scheduled.deletionDate);
      return { KeyId: arn, DeletionDate, KeyState: 'PendingDeletion', PendingWindowInDays: pendingWindowInDays };
    }
    // Of a primary with replicas the date is not known yet.
    if (scheduled?.type === 'KeyDeletionDeferred') {
      return { KeyId: arn, KeyState: 'PendingReplicaDeletion', PendingWindowInDays: pendingWindowInDays };
    }
    throw new KmsError('KMSInternalException', `${arn} was not scheduled for deletion`);
  },
});

class CancelKeyDeletion implements CancelKeyDeletionRequest {
  @Required(KEY_ID) KeyId!: string;
}

export const cancelKeyDeletion = control<CancelKeyDeletion, Wire<CancelKeyDeletionResponse>>({
  name: 'CancelKeyDeletion',
  request: CancelKeyDeletion,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    await ports.runCommand(found.ref, { type: 'CancelKeyDeletion' }, call);
    return { KeyId: found.arn };
  },
});
