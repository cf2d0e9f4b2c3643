import { assumedRoleArn, roleArn, userArn } from '#domain/arn';
import type { KmsError } from '#domain/errors';
import type { NamedIds } from '#domain/named-ids';
import { isNamed } from '#domain/principal/state';
import type { PolicyDocument } from '#policy/document';
import { isUniqueId } from '#policy/principals';
import type { Projection } from '#views/projection';
import type { Call } from './operation';

/**
 * What is known of a user, role or session that is named by its ARN: the unique id of the user or role; `missing`, where
 * its account is of this deployment and has none such; `elsewhere`, where nothing is known of its account.
 */
export type Named = { uniqueId: string } | 'missing' | 'elsewhere';

const ARN = /^arn:[^:]+:(?:iam|sts)::(\d{12}):(user|role|assumed-role)\/(.+)$/;

/** THE answer to whether a principal exists. Undefined for an ARN of another form; whether it is well formed is not asked. */
export function findPrincipal(arn: string, call: Call, projection: Projection): Named | undefined {
  const [, account, kind, rest = ''] = ARN.exec(arn) ?? [];
  if (account === undefined) return undefined;
  const [path, session] = kind === 'assumed-role' ? rest.split('/') : [rest];
  const name = path!.slice(path!.lastIndexOf('/') + 1);
  const folded = kind === 'user' ? projection.user(account, name) : projection.role(account, name);
  if (!folded && !isOfThisDeployment(account, call, projection)) return 'elsewhere';
  const state = folded?.state;
  if (!state || !isNamed(state)) return 'missing';
  let own = assumedRoleArn(account, state.name, session ?? '');
  if (session === undefined) own = (state.kind === 'User' ? userArn : roleArn)(account, state.path, state.name);
  // Names are unique without case, but an ARN has one's own, and the path.
  return own === arn ? { uniqueId: state.uniqueId } : 'missing';
}

/** The account of the settings needs no event to exist, nor does the caller's own. */
const isOfThisDeployment = (account: string, { caller }: Call, projection: Projection): boolean =>
  account === caller.account ||
  projection.account(account)?.state.kind === 'Account' ||
  projection.principalCount('User', account) + projection.principalCount('Role', account) > 0;

/**
 * Whom the ARNs in a policy mean now, to be kept with it. Throws what `invalid` makes of the first name of a user or role
 * that does not exist: by ARN in an account of this deployment, or by a unique id, which AWS takes as well.
 */
export function namedIdsOf(
  { statements }: PolicyDocument,
  call: Call,
  projection: Projection,
  invalid: (name: string) => KmsError,
): NamedIds {
  const ids: Record<string, string> = {};
  for (const { principal } of statements) {
    for (const name of (principal && principal.of !== '*' && principal.of.AWS) || []) {
      if (isUniqueId(name) && !projection.hasUniqueId(name)) throw invalid(name);
      const named = findPrincipal(name, call, projection);
      if (named === 'missing') throw invalid(name);
      if (typeof named === 'object') ids[name] = named.uniqueId;
    }
  }
  return ids;
}

/** As AWS shows a principal: by unique id once the user or role that was meant is gone. */
export const shownPrincipal = (arn: string, uniqueId: string | undefined, projection: Projection): string =>
  uniqueId === undefined || projection.hasUniqueId(uniqueId) ? arn : uniqueId;

/** As AWS shows a policy: as it was put, but with unique ids for the ARNs of principals that are gone. */
export function shownPolicy(text: string, namedIds: NamedIds | undefined, projection: Projection): string {
  const shown = new Map(
    Object.entries(namedIds ?? {}).map(([arn, uniqueId]) => [arn, shownPrincipal(arn, uniqueId, projection)]),
  );
  if ([...shown].every(([arn, name]) => arn === name)) return text;
  // Only what can be read has ids.
  const document = JSON.parse(text) as { Statement: object | object[] };
  for (const statement of [document.Statement].flat() as Record<string, { AWS?: string | string[] } | undefined>[]) {
    for (const element of ['Principal', 'NotPrincipal']) {
      const principals = statement[element];
      if (typeof principals !== 'object' || principals.AWS === undefined) continue;
      const names = [principals.AWS].flat().map((name) => shown.get(name) ?? name);
      principals.AWS = Array.isArray(principals.AWS) ? names : names[0]!;
    }
  }
  return JSON.stringify(document, null, 2);
}
