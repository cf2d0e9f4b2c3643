import type { GetCallerIdentityRequest, GetCallerIdentityResponse } from '@aws-sdk/client-sts';
import { data } from '../operation';
import type { Wire } from '../wire/wire';

class GetCallerIdentity implements GetCallerIdentityRequest {}

/** Needs no permission: whoever is known may know it. */
export const getCallerIdentity = data<GetCallerIdentity, Wire<GetCallerIdentityResponse>>({
  service: 'sts',
  name: 'GetCallerIdentity',
  request: GetCallerIdentity,
  run: (_request, { caller }) => ({
    UserId: caller.principalId === 'root' ? caller.account : caller.principalId,
    Account: caller.account,
    Arn: caller.principalArn,
  }),
});
