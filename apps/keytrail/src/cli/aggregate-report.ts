import type { AggregateType } from '#domain/aggregates';
import { aliasArn, keyArn, roleArn, rootArn, userArn } from '#domain/arn';
import { isLiving } from '#domain/key/state';
import { parsePrincipalId } from '#domain/principal/principal-id';
import { type AccessKey, hasAccessKeys, isNamed, type Principal } from '#domain/principal/state';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { timerOf } from '#views/due-times';
import type { FoldedOf } from '#views/folded';
import type { Projection } from '#views/projection';

/** What replay says of an aggregate beside its history. */
export interface AggregateReport {
  /** Its members in the JSON output, before the history. */
  identity: { arn: string } | { grantId: string };
  heading: string;
  /** Its members in the JSON output, after the state. */
  more: object;
  lines: string[];
}

/** What several of them are called, in text and in JSON. */
export const PLURAL: Record<AggregateType, string> = {
  key: 'keys',
  alias: 'aliases',
  principal: 'principals',
  grant: 'grants',
};

type Reporters = { [T in AggregateType]: (folded: FoldedOf<T>, projection: Projection) => AggregateReport };

/** How each aggregate is shown. */
const REPORTERS: Reporters = {
  key: reportKey,
  alias: ({ ref, state }) => {
    const arn = aliasArn(ref.region, ref.account, `alias/${ref.id}`);
    const lines = [state.aliasState === 'Active' ? `target: ${keyArnIn(ref, state.targetKeyId)}` : 'state: deleted'];
    return { identity: { arn }, heading: arn, more: {}, lines };
  },
  principal: ({ ref, state }) => {
    const arn = principalArn(ref, state);
    return { identity: { arn }, heading: arn, more: {}, lines: principalLines(state) };
  },
  grant: reportGrant,
};

export const reportOf = <T extends AggregateType>(folded: FoldedOf<T>, projection: Projection): AggregateReport =>
  (REPORTERS[folded.ref.aggregate] as (folded: FoldedOf<T>, projection: Projection) => AggregateReport)(
    folded,
    projection,
  );

const keyArnIn = ({ region, account }: AggregateRef, keyId: string): string => keyArn(region, account, keyId);

function reportKey({ ref, state }: FoldedOf<'key'>, projection: Projection): AggregateReport {
  const arn = keyArnIn(ref, ref.id);
  const timer = timerOf(projection, eventSubject(ref));
  const aliases = [...projection.aliasNamesOf(ref)].sort().map((name) => `alias/${name}`);
  const lines = [`state: ${state.keyState}`];
  if (isLiving(state)) {
    for (const { version, materialId, since, cause } of state.versions) {
      lines.push(`version ${version}: material ${materialId}, since ${since} (${cause})`);
    }
    for (const alias of aliases) lines.push(`alias: ${alias}`);
  } else if (state.keyState === 'Deleted') {
    const left = state.materialIds.length;
    lines.push(
      `deleted ${state.deletedAt}; ${left === 0 ? 'all material erased' : `${left} materials still to be erased`}`,
    );
  }
  lines.push(timer ? `next timer: ${timer.kind} at ${timer.deadline}` : 'next timer: none');
  const more = { aliases, ...(timer ? { nextTimer: { kind: timer.kind, deadline: timer.deadline } } : {}) };
  return { identity: { arn }, heading: arn, more, lines };
}

function principalArn({ account, id }: AggregateRef, state: Principal): string {
  const parsed = parsePrincipalId(id);
  if (parsed.kind === 'Account') return rootArn(account);
  const { path, name } = isNamed(state)
    ? state
    : { path: '/', name: state.kind === 'Deleted' ? state.name : parsed.name };
  return parsed.kind === 'User' ? userArn(account, path, name) : roleArn(account, path, name);
}

function principalLines(state: Principal): string[] {
  const lines: string[] = [];
  if (state.kind === 'Deleted') lines.push(`state: deleted ${state.deletedAt}; it was ${state.uniqueId}`);
  else lines.push(isNamed(state) ? `state: ${state.kind} ${state.uniqueId}` : `state: ${state.kind}`);
  if (isNamed(state)) for (const name of Object.keys(state.policies)) lines.push(`policy: ${name}`);
  if (hasAccessKeys(state)) for (const accessKey of state.accessKeys) lines.push(accessKeyLine(accessKey));
  return lines;
}

const accessKeyLine = ({ accessKeyId, status, createdAt }: AccessKey): string =>
  `access key: ${accessKeyId}, ${status}, since ${createdAt}`;

function reportGrant({ ref, state }: FoldedOf<'grant'>, projection: Projection): AggregateReport {
  const grantId = ref.id;
  const lines: string[] = [];
  if (state.grantState === 'Active') {
    const gone = projection.key(ref.region, ref.account, state.keyId)?.state.keyState === 'Deleted';
    lines.push(gone ? 'state: gone with its key' : 'state: Active');
    lines.push(`${state.operations.join(', ')} for ${state.granteePrincipal}`);
    if (state.retiringPrincipal !== undefined) lines.push(`may be retired by ${state.retiringPrincipal}`);
  } else if (state.grantState === 'Ended') {
    lines.push(`state: ${state.how} ${state.endedAt}`);
  }
  const on = state.grantState === 'None' ? '' : ` on ${keyArnIn(ref, state.keyId)}`;
  return { identity: { grantId }, heading: `grant ${grantId}${on}`, more: {}, lines };
}
