import type { DeleteImportedKeyMaterialRequest, DeleteImportedKeyMaterialResponse } from '@aws-sdk/client-kms';
import { deletedMaterial } from '#domain/key/imported/decide';
import type { AggregateRef } from '#domain/subjects';
import { authorizeKey } from '../authorization';
import { findKey } from '../key-lookup';
import { type Call, type ControlPorts, control } from '../operation';
import { KEY_ID, Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { KEY_MATERIAL_ID } from './fields';

class DeleteImportedKeyMaterial implements DeleteImportedKeyMaterialRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(KEY_MATERIAL_ID) KeyMaterialId?: string;
}

/** What waited for a rotation goes with the primary's copy: from its replicas too. What fails here, timers do. */
async function passOn(ref: AggregateRef<'key'>, call: Call, ports: ControlPorts): Promise<void> {
  await ports.settleRelated(ref, call);
  for (const related of [...ports.projection.relatedKeys(ref)]) await ports.eraseReleased(related.ref, call);
}

export const deleteImportedKeyMaterial = control<DeleteImportedKeyMaterial, Wire<DeleteImportedKeyMaterialResponse>>({
  name: 'DeleteImportedKeyMaterial',
  request: DeleteImportedKeyMaterial,
  async run({ KeyId, KeyMaterialId: keyMaterialId }, call, ports) {
    const { ref, arn, key, ...rest } = findKey(KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, { ref, arn, key, ...rest });
    const { events } = await ports.runCommand(ref, { type: 'DeleteImportedKeyMaterial', keyMaterialId }, call);
    // Where the store cannot be reached the deletion is made all the same: the timer has the copy erased once it can be.
    await ports.eraseReleased(ref, call).catch(() => {});
    if (key.multiRegion && events.length > 0) await passOn(ref, call, ports).catch(() => {});
    const deleted = events.find((event) => event.type === 'ImportedKeyMaterialDeleted')?.materialId;
    const materialId = deleted ?? deletedMaterial(key, keyMaterialId, arn);
    return { KeyId: arn, ...(materialId === undefined ? {} : { KeyMaterialId: materialId }) };
  },
});
