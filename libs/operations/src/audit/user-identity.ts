import type { UserIdentity } from '#audit-log/record';
import type { Caller, CallerClaim } from '../caller';

/** Source: AWS CloudTrail User Guide, "CloudTrail userIdentity element". */
export function userIdentityOf(caller: Caller): UserIdentity {
  const { account: accountId, principalId, principal, principalArn: arn, accessKeyId, userName, session } = caller;
  const attributes = session && {
    creationDate: `${new Date(session.issuedAt * 1000).toISOString().slice(0, 19)}Z`,
    mfaAuthenticated: 'false' as const,
  };
  switch (principal.kind) {
    case 'root':
      return {
        type: 'Root',
        principalId: accountId,
        arn,
        accountId,
        accessKeyId,
        ...(attributes && { sessionContext: { attributes } }),
      };
    case 'user':
      return {
        type: 'IAMUser',
        principalId,
        arn,
        accountId,
        accessKeyId,
        userName,
        ...(attributes && { sessionContext: { attributes } }),
      };
    default:
      return {
        type: 'AssumedRole',
        principalId,
        arn,
        accountId,
        accessKeyId,
        ...(attributes && {
          sessionContext: {
            sessionIssuer: {
              type: 'Role',
              principalId: principal.uniqueId,
              arn: principal.kind === 'role-session' ? principal.roleArn : arn,
              accountId,
              userName: session?.roleName,
            },
            attributes,
            ...(session?.sourceIdentity && { sourceIdentity: session.sourceIdentity }),
          },
        }),
      };
  }
}

/** Of a caller who is not known, or not any more: only what was claimed. */
export const claimedIdentity = ({
  account,
  principalId,
  accessKeyId,
}: Partial<Pick<CallerClaim, 'account' | 'principalId' | 'accessKeyId'>>): UserIdentity => ({
  type: 'Unknown',
  principalId,
  accountId: account,
  accessKeyId,
});
