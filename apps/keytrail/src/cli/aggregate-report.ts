import type { AggregateType } from '#domain/aggregates';
import { aliasArn, keyArn, roleArn, rootArn, userArn } from '#domain/arn';
import { backupsOf, type Cluster, exists as hasCluster } from '#domain/cluster/state';
import { laterOf } from '#domain/dates';
import type { ActiveGrant } from '#domain/grant/grant';
import type { ImportStatus } from '#domain/key/imported/status';
import { livingKeyAt } from '#domain/key/living';
import { type Family, isLiving, type Key, type LivingKey } from '#domain/key/state';
import { parsePrincipalId } from '#domain/principal/principal-id';
import { type AccessKey, hasAccessKeys, isNamed, type Principal } from '#domain/principal/state';
import type { Root } from '#domain/root/root';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { timerOf } from '#views/due-times';
import type { FoldedOf } from '#views/folded';
import { isUnavailable } from '#views/key-store';
import type { MomentFold } from '#views/moment';
import type { Projection } from '#views/projection';

/** What replay says of an aggregate beside its history. */
export interface AggregateReport {
  /** Its members in the JSON output, before the history. */
  identity:
    | { arn: string }
    | { grantId: string }
    | { trail: string }
    | { customKeyStoreId: string }
    | { clusterId: string }
    | { root: string };
  heading: string;
  /** Whether callers were told, at that moment, that it exists. */
  exists: boolean;
  /** Its further members in the JSON output, after the state. */
  more: object;
  lines: string[];
}

/** What several of them are called in JSON. */
export const PLURAL: Record<AggregateType, string> = {
  key: 'keys',
  alias: 'aliases',
  principal: 'principals',
  grant: 'grants',
  trail: 'trails',
  customKeyStore: 'customKeyStores',
  cluster: 'clusters',
  root: 'roots',
};

/** The same in text. */
export const PLURAL_IN_TEXT: Record<AggregateType, string> = {
  ...PLURAL,
  customKeyStore: 'custom key stores',
  root: 'root keys',
};

/** The projection at a moment, and that moment: ISO 8601. */
export interface Moment {
  projection: Projection;
  at: string;
}

/** What a fold is of: its moment; else now, or the end of the log where that runs ahead (by a virtual clock). */
export const momentOf = ({ projection, at, until }: MomentFold, now: string): Moment => ({
  projection,
  at: at ?? laterOf(now, until),
});

type Reporters = { [T in AggregateType]: (folded: FoldedOf<T>, moment: Moment) => AggregateReport };

/** How each aggregate is shown. */
const REPORTERS: Reporters = {
  key: reportKey,
  alias: ({ ref, state }, moment) => {
    const arn = aliasArn(ref.region, ref.account, `alias/${ref.id}`);
    const lines = [state.aliasState === 'Active' ? `target: ${keyArnIn(ref, state.targetKeyId)}` : 'state: deleted'];
    const exists = state.aliasState === 'Active' && keyExists(ref, state.targetKeyId, moment);
    return { identity: { arn }, heading: arn, exists, more: {}, lines };
  },
  principal: ({ ref, state }) => {
    const arn = principalArn(ref, state);
    const exists = isNamed(state) || state.kind === 'Account';
    return { identity: { arn }, heading: arn, exists, more: {}, lines: principalLines(state) };
  },
  grant: reportGrant,
  trail: ({ ref, state }) => ({
    identity: { trail: `${ref.account} ${ref.id}` },
    heading: `records of account ${ref.account} in ${ref.id}`,
    exists: true,
    more: {},
    lines: [`what they keep sealed was shredded: ${state.shredded === 1 ? 'once' : `${state.shredded} times`}`],
  }),
  customKeyStore: reportStore,
  cluster: ({ ref, state }) => ({
    identity: { clusterId: ref.id },
    heading: `cluster ${ref.id} of account ${ref.account} in ${ref.region}`,
    exists: hasCluster(state),
    more: {},
    lines: clusterLines(state),
  }),
  root: ({ ref, state }) => ({
    identity: { root: ref.id },
    heading: 'root key',
    exists: true,
    more: {},
    lines: [rootLine(state)],
  }),
};

/** In which epoch the root key is, and how far its rotation. */
export function rootLine(root: Root): string {
  switch (root.rootState) {
    case 'Unrotated':
      return 'never rotated';
    case 'Rotated':
      return `epoch ${root.key.epoch} (${root.key.id}), the only one since ${root.since}`;
    case 'Rotating':
      return `epoch ${root.key.epoch} (${root.key.id}), to which all material of epoch ${root.from} is being moved since ${root.begunAt}`;
    case 'Retiring':
      return `epoch ${root.key.epoch} (${root.key.id}); no material of epoch ${root.from} is left, and its key is to be destroyed`;
  }
}

export const reportOf = <T extends AggregateType>(folded: FoldedOf<T>, moment: Moment): AggregateReport =>
  (REPORTERS[folded.ref.aggregate] as (folded: FoldedOf<T>, moment: Moment) => AggregateReport)(folded, moment);

function clusterLines(state: Cluster): string[] {
  const lines = [`state: ${state.clusterState}`];
  if (hasCluster(state)) for (const { hsmId, zone, state: of } of state.hsms) lines.push(`${hsmId} in ${zone}: ${of}`);
  for (const { backupId, state: of } of backupsOf(state)) lines.push(`${backupId}: ${of}`);
  return lines;
}

const keyArnIn = ({ region, account }: AggregateRef, keyId: string): string => keyArn(region, account, keyId);

/** Of a key that is in the log, but not in this fold of a part of it, nothing says that it is gone. */
function keyExists({ region, account }: AggregateRef, keyId: string, { projection, at }: Moment): boolean {
  const key = projection.key(region, account, keyId)?.state;
  return key === undefined || livingKeyAt(key, at) !== undefined;
}

function reportKey({ ref, state }: FoldedOf<'key'>, { projection, at }: Moment): AggregateReport {
  const arn = keyArnIn(ref, ref.id);
  const exists = livingKeyAt(state, at) !== undefined;
  const timer = timerOf(projection, eventSubject(ref));
  const aliases = [...projection.aliasNamesOf(ref)].sort().map((name) => `alias/${name}`);
  const grants = exists ? [...projection.grantsOf(ref, undefined)] : [];
  const lines = [stateLine(livingKeyAt(state, at) ?? state, exists)];
  if (isLiving(state)) {
    if (state.customKeyStoreId !== undefined) lines.push(placeLine(ref, state, state.customKeyStoreId, projection));
    if (state.family) lines.push(familyLine(state.family));
    if (state.rotation) lines.push(`rotation: every ${state.rotation.periodInDays} days`);
    const { versions, pendingRotation } = livingKeyAt(state, at) ?? state;
    for (const { version, materialId, since, cause, imported } of versions) {
      lines.push(`version ${version}: material ${materialId}, since ${since} (${cause})${importPart(imported)}`);
    }
    if (pendingRotation) {
      const { materialId, imported } = pendingRotation;
      lines.push(`pending rotation: material ${materialId}${importPart(imported)}`);
    }
    for (const alias of aliases) lines.push(`alias: ${alias}`);
    for (const grant of grants) lines.push(`grant ${grant.ref.id}: ${grantee(grant.state)}`);
  } else if (state.keyState === 'Deleted') {
    const left = state.materialIds.length;
    lines.push(
      `deleted ${state.deletedAt}; ${left === 0 ? 'all material erased' : `${left} materials still to be erased`}`,
    );
  }
  const overdue = timer !== undefined && timer.deadline <= at;
  const when = timer && `${timer.kind} at ${timer.deadline}${overdue ? ' (due, and not recorded yet)' : ''}`;
  lines.push(`next timer: ${when ?? 'none'}`);
  const nextTimer = timer ? { kind: timer.kind, deadline: timer.deadline, overdue } : null;
  return { identity: { arn }, heading: arn, exists, more: { aliases, grants: grants.map(idOf), nextTimer }, lines };
}

function importPart(imported: ImportStatus | undefined): string {
  if (!imported) return '';
  const { importState, validTo, description } = imported;
  const copy =
    importState === 'IMPORTED' ? `imported, valid ${validTo ? `to ${validTo}` : 'for ever'}` : 'to be imported';
  return `, ${copy}${description === undefined ? '' : ` (${description})`}`;
}

/** What callers are told is Unavailable is so by the store's state alone: the key's own events say nothing of it. */
function placeLine(ref: AggregateRef<'key'>, state: LivingKey, storeId: string, projection: Projection): string {
  const line = `in custom key store ${storeId}${state.xksKeyId === undefined ? '' : ` as ${state.xksKeyId}`}`;
  if (!isUnavailable(projection, ref, state)) return line;
  const store = projection.customKeyStore(ref.region, ref.account, storeId)?.state;
  const why = store?.storeState === 'Existing' ? store.connection : 'deleted';
  // One that is pending deletion is shown as that.
  return `${line}, which is ${why}${state.keyState === 'PendingDeletion' ? '' : ': callers are told Unavailable'}`;
}

const idOf = ({ ref }: { ref: AggregateRef }): string => ref.id;

const familyLine = ({ keyType, term, replicas, handedTo }: Family): string =>
  [
    `multi-Region: ${keyType}, of term ${term}`,
    ...(keyType === 'PRIMARY' ? [`replicas: ${replicas.map(({ region }) => region).join(', ') || 'none'}`] : []),
    ...(handedTo === undefined ? [] : [`handed over to ${handedTo}`]),
  ].join('; ');

const stateLine = (state: Key, exists: boolean): string =>
  state.keyState === 'PendingDeletion' && !exists
    ? `state: gone since ${state.deletionDate}, when its waiting period was over; its deletion is not recorded yet`
    : `state: ${state.keyState}`;

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

const grantee = ({ operations, granteePrincipal }: ActiveGrant): string =>
  `${operations.join(', ')} for ${granteePrincipal}`;

function reportGrant({ ref, state }: FoldedOf<'grant'>, moment: Moment): AggregateReport {
  const grantId = ref.id;
  const lines: string[] = [];
  const exists = state.grantState === 'Active' && keyExists(ref, state.keyId, moment);
  if (state.grantState === 'Active') {
    lines.push(exists ? 'state: Active' : 'state: gone with its key');
    lines.push(grantee(state));
    if (state.retiringPrincipal !== undefined) lines.push(`may be retired by ${state.retiringPrincipal}`);
  } else if (state.grantState === 'Ended') {
    lines.push(`state: ${state.how} ${state.endedAt}`);
  }
  const on = state.grantState === 'None' ? '' : ` on ${keyArnIn(ref, state.keyId)}`;
  return { identity: { grantId }, heading: `grant ${grantId}${on}`, exists, more: {}, lines };
}

function reportStore({ ref, state }: FoldedOf<'customKeyStore'>, { projection }: Moment): AggregateReport {
  const identity = { customKeyStoreId: ref.id };
  const heading = `custom key store ${ref.id} of ${ref.account} in ${ref.region}`;
  if (state.storeState !== 'Existing') {
    return { identity, heading, exists: false, more: {}, lines: [`state: ${state.storeState}`] };
  }
  const { name, backing, connection, errorCode } = state;
  const where = backing.storeType === 'AWS_CLOUDHSM' ? backing.clusterId : `${backing.uriEndpoint}${backing.uriPath}`;
  const keys = [...projection.keysInStore(ref)].filter((key) => isLiving(key.state)).map(idOf);
  const lines = [
    `name: ${name}`,
    `state: ${connection}${errorCode === undefined ? '' : ` (${errorCode})`}`,
    `${backing.storeType}: ${where}`,
    `keys: ${keys.length}`,
  ];
  return { identity, heading, exists: true, more: { keys }, lines };
}
