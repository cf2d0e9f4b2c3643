import { evaluateGrant, type GrantFacts } from './grants';
import type { AuthorizationRequest } from './request';

const ANN = 'arn:aws:iam::111122223333:user/ann';

test('an encryption context is read once, however many grants are asked whether it fits', () => {
  let reads = 0;
  const encryptionContext = new Proxy<Record<string, string>>(
    { Team: 'red' },
    {
      ownKeys(context) {
        reads++;
        return Reflect.ownKeys(context);
      },
    },
  );
  const request: AuthorizationRequest = {
    action: 'kms:Encrypt',
    resource: 'arn:aws:kms:us-east-1:111122223333:key/1',
    principal: { account: '111122223333', kind: 'user', arn: ANN, uniqueId: 'AIDAANN' },
    context: () => undefined,
    encryptionContext,
  };
  const grants: GrantFacts[] = ['blue', 'red', 'green'].flatMap((team, at) => [
    {
      grantId: `subset-${at}`,
      granteePrincipal: ANN,
      operations: ['Encrypt'],
      constraints: { EncryptionContextSubset: { team } },
    },
    {
      grantId: `equals-${at}`,
      granteePrincipal: ANN,
      operations: ['Encrypt'],
      constraints: { EncryptionContextEquals: { team } },
    },
  ]);
  const holds = grants.filter((grant) => 'covers' in evaluateGrant(grant, request, 'kms:encrypt'));
  expect(holds.map(({ grantId }) => grantId)).toEqual(['subset-1', 'equals-1']);
  expect(reads).toBe(1);
});
