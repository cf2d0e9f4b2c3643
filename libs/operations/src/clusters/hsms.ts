import { hsmNotFound, invalid } from '#domain/cluster/cluster-refusals';
import { RequestFault } from '#domain/errors';
import { control, waitingData } from '../operation';
import { Optional, Required } from '../wire/fields';
import { authorizeOn, clusterRef, findCluster } from './cluster-lookup';
import { CLUSTER_ID, ENI_ID, HSM_ID, IP_ADDRESS, ZONE } from './fields';
import { hsmLimit } from './hsm-limit';
import { newEniId, newId } from './new-ids';
import { shownHsm } from './shown';

class CreateHsm {
  @Required(CLUSTER_ID) ClusterId!: string;
  @Required(ZONE) AvailabilityZone!: string;
  @Optional(IP_ADDRESS) IpAddress?: string;
}

/** On the data plane, since it is a crypto-worker that knows whether it can make one. */
export const createHsm = waitingData<CreateHsm, object>({
  service: 'cloudhsm',
  name: 'CreateHsm',
  request: CreateHsm,
  async runAsync({ ClusterId, AvailabilityZone, IpAddress }, call, ports) {
    authorizeOn(call, 'CreateHsm', ClusterId);
    findCluster(ClusterId, call, ports.projection);
    const obstacle = ports.hsms.obstacle();
    if (obstacle !== undefined) throw invalid(obstacle);
    const ref = clusterRef(ClusterId, call);
    // Decided again where it is appended.
    const limit = hsmLimit(ref, ports.projection);
    if (limit.count() >= limit.max) throw limit.refusal();
    const hsmId = newId('hsm', ports);
    const ids = { hsmId, eniId: newEniId(ports), backupId: newId('backup', ports) };
    const place = { zone: AvailabilityZone, ...(IpAddress === undefined ? {} : { ipAddress: IpAddress }) };
    await ports.hsms.runCommand(ref, { type: 'CreateHsm', ...ids, ...place }, call);
    const of = findCluster(ClusterId, call, ports.projection);
    const hsm = of.hsms.find((each) => each.hsmId === hsmId);
    if (!hsm) throw hsmNotFound(hsmId, ClusterId);
    return { Hsm: shownHsm(hsm, ref, of) };
  },
});

class DeleteHsm {
  @Required(CLUSTER_ID) ClusterId!: string;
  @Optional(HSM_ID) HsmId?: string;
  @Optional(ENI_ID) EniId?: string;
  @Optional(IP_ADDRESS) EniIp?: string;
}

export const deleteHsm = control<DeleteHsm, object>({
  service: 'cloudhsm',
  name: 'DeleteHsm',
  request: DeleteHsm,
  async run({ ClusterId, HsmId, EniId, EniIp }, call, ports) {
    authorizeOn(call, 'DeleteHsm', ClusterId);
    if ([HsmId, EniId, EniIp].every((one) => one === undefined)) {
      throw new RequestFault('HsmId, EniId, EniIp: expected one of them.');
    }
    const { hsms } = findCluster(ClusterId, call, ports.projection);
    const named = {
      ...(HsmId === undefined ? {} : { hsmId: HsmId }),
      ...(EniId === undefined ? {} : { eniId: EniId }),
      ...(EniIp === undefined ? {} : { eniIp: EniIp }),
    };
    const ref = clusterRef(ClusterId, call);
    await ports.runCommand(ref, { type: 'DeleteHsm', ...named, backupId: newId('backup', ports) }, call);
    const hsm = hsms.find((each) => [each.hsmId, each.eniId, each.eniIp].includes(HsmId ?? EniId ?? EniIp ?? ''));
    return { HsmId: HsmId ?? hsm?.hsmId };
  },
});
