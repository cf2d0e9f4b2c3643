import type { GetAccessKeyLastUsedRequest, GetAccessKeyLastUsedResponse } from '@aws-sdk/client-iam';
import { noSuchAccessKey } from '#domain/principal/refusals';
import { mayActOn, userFor } from '../iam/access';
import { ACCESS_KEY_ID } from '../iam/fields';
import { audit } from '../operation';
import { Required } from '../wire/fields';
import type { Wire } from '../wire/wire';

class GetAccessKeyLastUsed implements GetAccessKeyLastUsedRequest {
  @Required(ACCESS_KEY_ID) AccessKeyId!: string;
}

const NOT_USED = 'N/A';

export const getAccessKeyLastUsed = audit<GetAccessKeyLastUsed, Partial<Wire<GetAccessKeyLastUsedResponse>>>({
  service: 'iam',
  name: 'GetAccessKeyLastUsed',
  request: GetAccessKeyLastUsed,
  async lookUp({ AccessKeyId }, call, { projection, lastUses }) {
    const found = projection.accessKey(AccessKeyId);
    const own = found?.account === call.caller.account ? found : undefined;
    const user = own?.owner.state.kind === 'User' ? own.owner.state : undefined;
    if (user) userFor(user.name, call, projection);
    else mayActOn('*', call);
    if (!own) throw noSuchAccessKey(AccessKeyId);
    const { last } = await lastUses.lastUse('access-key', AccessKeyId);
    return {
      ...(user && { UserName: user.name }),
      AccessKeyLastUsed: {
        ...(last && { LastUsedDate: last.time }),
        Region: last?.region ?? NOT_USED,
        ServiceName: last?.eventSource.split('.')[0] ?? NOT_USED,
      } as Wire<GetAccessKeyLastUsedResponse['AccessKeyLastUsed']> & object,
    };
  },
});
