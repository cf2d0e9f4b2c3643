import { rootArn } from '#domain/arn';
import type { Caller } from '#operations/caller';

/** The root of an account, as found. */
export function rootCaller(region: string, account: string): Caller {
  const principalArn = rootArn(account);
  const principal = { account, kind: 'root', arn: principalArn, uniqueId: account } as const;
  return { region, account, principalId: 'root', principalArn, principal, identityPolicies: [], tags: [] };
}
