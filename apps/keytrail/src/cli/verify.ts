import { RequestStrategy } from 'nats';
import { AGGREGATE_TYPES } from '#domain/aggregates';
import { INTERNAL } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { LogDamagedError } from '#event-store/log-damage';
import { assertHolds } from '#platform/log-witness';
import { checkMaterialRemotely } from '#platform/material-check';
import type { Settings } from '#platform/settings';
import { type AggregateDigest, type DigestPage, digestsOf } from '#platform/view-digests';
import { LogCorruptError, Projection } from '#views/projection';
import { PLURAL_IN_TEXT } from './aggregate-report';
import { readLog } from './log-reader';
import { CommandError, type Operator } from './operator';
import { SnapshotCheck } from './verify-snapshots';

interface ServiceView {
  name: string;
  position: number;
  digests: Map<string, string>;
}

/**
 * Reads the log anew, checks every hash, version and event, and that what the running services and the snapshots of the data
 * folder hold is what the log says at the position they hold it. Returns which snapshots do not fit. Throws CommandError
 * naming the first commit, or key, that does not fit.
 */
export async function verify(
  operator: Operator,
  { dataDir }: Pick<Settings, 'dataDir'>,
  print: (line: string) => void,
): Promise<string[]> {
  const services = operator.services ? await serviceViews(operator) : [];
  const pending = [...services].sort((a, b) => a.position - b.position);
  const projection = new Projection();
  const compareReached = (): void => {
    while (pending[0] && pending[0].position <= projection.position) compare(pending.shift()!, digestsOf(projection));
  };
  compareReached();
  if (operator.witness !== undefined) {
    await assertHolds(new JetStreamEventStore(operator.nats), operator.witness, (problem) => print(String(problem)));
  }
  const snapshots = new SnapshotCheck(dataDir);
  let count = 0;
  try {
    count = await readLog(operator, (stored) => {
      snapshots.folded(projection, projection.apply(stored), stored);
      compareReached();
    });
  } catch (error) {
    if (!(error instanceof LogCorruptError || error instanceof LogDamagedError)) throw error;
    throw new CommandError(
      `the log does not fit: ${error.message}\nEverything before it is in order. Keep a copy of the data folder, and restore the log from a backup or another replica.`,
    );
  }
  if (pending[0]) {
    throw new CommandError(
      `${pending[0].name} holds position ${pending[0].position}, but the log ends at ${projection.position}: commits are missing at its end`,
    );
  }
  const counted = AGGREGATE_TYPES.map((type) => [[...projection.all(type)].length, PLURAL_IN_TEXT[type]] as const)
    .filter(([many]) => many > 0)
    .map(([many, what]) => `, ${many} ${what}`);
  print(`log: ${count} commits${counted.join('')}; hashes, versions and events in order`);
  const snapshotsFit = snapshots.ended(projection.position);
  if (snapshotsFit !== undefined) print(snapshotsFit);
  for (const { name, position } of services) print(`${name}: holds what the log says at position ${position}`);
  if (services.length === 0) print('no running service to compare with: only the log was verified');
  else await verifyMaterial(operator, print);
  return snapshots.faults;
}

async function verifyMaterial(operator: Operator, print: (line: string) => void): Promise<void> {
  const { checked, unusable, unusableCount, destroyed } = await checkMaterialRemotely(operator.nats);
  if (destroyed > 0) {
    print(
      `material: ${destroyed} stored copies are from before a rotation of the root key, which destroyed what wrapped them: an old copy of KMS_MATERIAL was brought back, and nothing opens it`,
    );
  }
  if (unusableCount > 0) {
    const more = unusableCount - unusable.length;
    throw new CommandError([...unusable, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'));
  }
  print(`material: ${checked} of living keys, access keys and custom key stores; each is there and can be unwrapped`);
}

function compare(service: ServiceView, folded: AggregateDigest[]): void {
  for (const { subject, digest } of folded) {
    if (service.digests.get(subject) !== digest) {
      throw new CommandError(`${service.name} does not hold what the log says of ${subject}: restart it`);
    }
  }
  if (service.digests.size !== folded.length) {
    throw new CommandError(
      `${service.name} holds ${service.digests.size} aggregates where the log has ${folded.length}: restart it`,
    );
  }
}

async function serviceViews(operator: Operator): Promise<ServiceView[]> {
  const views = new Map<string, ServiceView>();
  const replies = await operator.nats.requestMany(INTERNAL.viewDigests, undefined, {
    strategy: RequestStrategy.JitterTimer,
    jitter: 500,
    maxWait: 10_000,
  });
  for await (const reply of replies) {
    if (reply.data.length === 0) continue;
    const page = reply.json<DigestPage>();
    const view = views.get(page.instance) ?? {
      name: `${page.service} ${page.instance.slice(0, 8)}`,
      position: page.position,
      digests: new Map<string, string>(),
    };
    views.set(page.instance, view);
    for (const { subject, digest } of page.digests) view.digests.set(subject, digest);
  }
  return [...views.values()];
}
