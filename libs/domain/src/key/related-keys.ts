import { hasImportedPending, revisionOf, sharedImports, sharedVersions } from './imported/related';
import { generationOf, isSynchronized } from './multi-region';
import type { RelatedKeyCommand } from './multi-region-commands';
import { type DeletedKey, type Family, isLiving, type Key, type LivingKey } from './state';

/** One of the multi-Region keys of an id: of each region that ever had one. */
export interface RelatedKey {
  region: string;
  key: Key;
  /** Of its newest commit. */
  time: string;
}

/** What one of the related keys is to do, which follows from how another one is. */
export interface DueStep {
  /** Whose step it is. */
  region: string;
  /** Whose state asks for it, and since when. */
  askedBy: string;
  since: string;
  command: RelatedKeyCommand;
}

type Living = RelatedKey & { key: LivingKey & { family: Family } };

const isFamily = (related: RelatedKey): related is Living => isLiving(related.key) && related.key.family !== undefined;

/** Every step that is due among the keys of one id. Pure; a step once made brings the next, until there is none. */
export function dueSteps(related: readonly RelatedKey[]): DueStep[] {
  const there = new Map(related.map((one) => [one.region, one]));
  return related.filter(isFamily).flatMap((one) => {
    const { keyType, handedTo } = one.key.family;
    if (keyType === 'PRIMARY') return stepsOfPrimary(one, there);
    return handedTo === undefined ? [] : stepsOfFormer(one, there.get(handedTo));
  });
}

function stepsOfPrimary(primary: Living, there: ReadonlyMap<string, RelatedKey>): DueStep[] {
  const { region, key, time } = primary;
  const { term, replicas } = key.family;
  const asks = (of: string, command: RelatedKeyCommand, since = time): DueStep => ({
    region: of,
    askedBy: region,
    since,
    command,
  });
  const steps: DueStep[] = key.keyState === 'Updating' ? [asks(region, { type: 'CompleteUpdate', term })] : [];
  for (const { region: replicaRegion, generation, begun, hasPending } of replicas) {
    const replica = there.get(replicaRegion);
    if (begun) {
      const isThere = replica !== undefined && generationOf(replica.key) >= generation;
      steps.push(
        isThere
          ? asks(region, { type: 'CompleteReplication', replicaRegion, generation }, begun.at)
          : asks(replicaRegion, creation(primary, begun, generation), begun.at),
      );
      continue;
    }
    if (replica?.key.keyState === 'Deleted') {
      steps.push(asks(region, { type: 'RemoveReplica', replicaRegion, generation }, replica.key.deletedAt));
    } else if (replica && isFamily(replica)) {
      if (replica.key.keyState === 'Creating') steps.push(asks(replicaRegion, { type: 'ReadyReplica', generation }));
      if (!isSynchronized(replica.key, key)) {
        steps.push(asks(replicaRegion, { type: 'Synchronize', primaryRegion: region, ...shared(primary) }));
      } else if (hasImportedPending(replica.key) && !hasPending) {
        const revision = revisionOf(key);
        steps.push(asks(region, { type: 'RecordReplicaImport', replicaRegion, generation, revision }, replica.time));
      }
    }
  }
  return steps;
}

const shared = ({ key }: Living) => ({
  term: key.family.term,
  versions: sharedVersions(key),
  rotation: key.rotation ?? null,
  ...sharedImports(key),
});

function creation(
  primary: Living,
  { at: _at, ...properties }: NonNullable<Family['replicas'][number]['begun']>,
  generation: number,
): RelatedKeyCommand {
  const { keyUsage, keySpec, origin, publicKey } = primary.key;
  return {
    type: 'CreateReplica',
    primaryRegion: primary.region,
    generation,
    ...shared(primary),
    ...properties,
    ...{ keyUsage, keySpec, origin },
    ...(publicKey === undefined ? {} : { publicKey }),
  };
}

/** Of one that has handed over: to another, which is to be the primary, is it by now, or has been deleted and never will be. */
function stepsOfFormer(former: Living, successor: RelatedKey | undefined): DueStep[] {
  const { region, time, key } = former;
  const { term, generation } = key.family;
  const asks = (of: string, command: RelatedKeyCommand): DueStep[] => [
    { region: of, askedBy: region, since: time, command },
  ];
  const others = key.family.replicas.filter((replica) => replica.region !== successor?.region);
  if (!successor) return [];
  if (isFamily(successor)) {
    if (successor.key.family.term >= term) return asks(region, { type: 'CompleteUpdate', term });
    const replicas = [...others, { region, generation, ...(hasImportedPending(key) && { hasPending: true as const }) }];
    return asks(successor.region, {
      type: 'BecomePrimary',
      formerPrimaryRegion: region,
      ...shared(former),
      replicas,
    });
  }
  if (successor.key.keyState !== 'Deleted' || wasPrimary(successor.key, term)) return [];
  return asks(region, {
    type: 'BecomePrimary',
    formerPrimaryRegion: region,
    ...shared(former),
    term: term + 1,
    replicas: others,
  });
}

const wasPrimary = ({ family }: DeletedKey, term: number): boolean => (family?.term ?? 0) >= term;
