import type { SeenRecord } from '#audit-log/trail-record';
import { isAccessDenied } from '#operations/audit/recorded-error';

/**
 * Pure. Who is told of a record: the caller's account, and the owners of what the call was about, unless permissions were
 * wanting. Its lookups and its log files say the same.
 */
export function accountsThatSee({ recipientAccountId, resources = [], errorCode }: SeenRecord): string[] {
  const owners = isAccessDenied(errorCode) ? [] : resources.map(({ accountId }) => accountId);
  return [...new Set([recipientAccountId, ...owners])];
}

/**
 * Pure. What an account that sees it is told. As in AWS, the owner of a key is told who the caller is by its account and id
 * alone. Unlike AWS's, the records of one call keep one `eventID`, by which it can be proved.
 */
export function seenBy<R extends SeenRecord>(record: R, account: string): R {
  if (record.recipientAccountId === account) return record;
  const { principalId, accountId } = record.userIdentity;
  return {
    ...record,
    userIdentity: { type: 'AWSAccount', ...(principalId && { principalId }), ...(accountId && { accountId }) },
    recipientAccountId: account,
  };
}
