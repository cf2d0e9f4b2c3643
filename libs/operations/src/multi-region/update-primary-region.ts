import type { UpdatePrimaryRegionRequest } from '@aws-sdk/client-kms';
import { keyNotFound } from '#domain/key/living';
import { assertPrimary } from '#domain/key/primary';
import { assertStateAllows } from '#domain/key/state-table';
import { authorizeKey } from '../authorization';
import { checked } from '../checks';
import { fixedContext } from '../condition-context';
import { existingKey, type FoundKey, findKey, foundAnew } from '../key-lookup';
import { type Call, type ControlPorts, control } from '../operation';
import { KEY_ID, Required } from '../wire/fields';
import { inRegion, REGION, relatedArn } from './other-region';

class UpdatePrimaryRegion implements UpdatePrimaryRegionRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(REGION) PrimaryRegion!: string;
}

const contextOf = (request: UpdatePrimaryRegion) => fixedContext({ 'kms:primaryregion': request.PrimaryRegion });

/** Refuses a replica that is not there, that the caller may not make the primary, or whose state does not allow it. */
function checkReplica(request: UpdatePrimaryRegion, { ref }: FoundKey, call: Call, { projection }: ControlPorts): void {
  checked(call, (now) => {
    const there = inRegion(request.PrimaryRegion, now);
    const replica = existingKey(request.PrimaryRegion, ref.account, ref.id, there, projection);
    if (!replica) throw keyNotFound(relatedArn(request.PrimaryRegion, ref));
    authorizeKey(there, projection, replica, { context: contextOf(request) });
    assertStateAllows('UpdatePrimaryRegion', replica.key.keyState, replica.arn);
  });
}

export const updatePrimaryRegion = control<UpdatePrimaryRegion, undefined>({
  name: 'UpdatePrimaryRegion',
  request: UpdatePrimaryRegion,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    checked(call, (now) => {
      // First in the record: its `keyId` is the last of them, as in CloudTrail that of the primary which was asked.
      now.trail?.about(relatedArn(request.PrimaryRegion, found.ref), found.ref.account);
      authorizeKey(now, ports.projection, foundAnew(found, now, ports.projection), { context: contextOf(request) });
    });
    assertPrimary(found.key, found.arn);
    checkReplica(request, found, call, ports);
    await ports.runCommand(found.ref, { type: 'HandOverPrimary', primaryRegion: request.PrimaryRegion }, call);
    await ports.settleRelated(found.ref, call);
    const replica = ports.projection.key(request.PrimaryRegion, found.ref.account, found.ref.id)?.state;
    // Deleted between the checks and the change, and so the former primary is it again.
    if (replica?.keyState === 'Deleted') throw keyNotFound(relatedArn(request.PrimaryRegion, found.ref));
    return undefined;
  },
});
