import type {
  CancelKeyDeletionRequest,
  CancelKeyDeletionResponse,
  ScheduleKeyDeletionRequest,
  ScheduleKeyDeletionResponse,
} from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { LIMITS } from '#domain/key/decide';
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
    const { ref, arn } = findKey(request.KeyId, 'key', call, ports.projection);
    const pendingWindowInDays = request.PendingWindowInDays ?? LIMITS.defaultPendingWindowInDays;
    const { events } = await ports.runCommand(ref, { type: 'ScheduleKeyDeletion', pendingWindowInDays }, call);
    // From what was appended: by now somebody else may have cancelled it.
    const scheduled = events.find((event) => event.type === 'KeyDeletionScheduled');
    if (!scheduled) throw new KmsError('KMSInternalException', `${arn} was not scheduled for deletion`);
    return {
      KeyId: arn,
      DeletionDate: epochSeconds(scheduled.deletionDate),
      KeyState: 'PendingDeletion',
      PendingWindowInDays: scheduled.pendingWindowInDays,
    };
  },
});

class CancelKeyDeletion implements CancelKeyDeletionRequest {
  @Required(KEY_ID) KeyId!: string;
}

export const cancelKeyDeletion = control<CancelKeyDeletion, Wire<CancelKeyDeletionResponse>>({
  name: 'CancelKeyDeletion',
  request: CancelKeyDeletion,
  async run(request, call, ports) {
    const { ref, arn } = findKey(request.KeyId, 'key', call, ports.projection);
    await ports.runCommand(ref, { type: 'CancelKeyDeletion' }, call);
    return { KeyId: arn };
  },
});
