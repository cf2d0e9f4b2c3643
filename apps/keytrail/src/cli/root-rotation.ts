import { setTimeout as pause } from 'node:timers/promises';
import type { RootKeyRef } from '#domain/root/root';
import type { PreparedRoot, RootStatus } from '#platform/root/root-rotation';
import { prepareRootRemotely, rootStatusRemotely, rotateRootRemotely } from '#platform/root/serve-root';
import type { ServiceStatus } from '#platform/service';
import { rootLine } from './aggregate-report';
import { progressBar } from './log-reader';
import { CommandError, type Operator } from './operator';
import { servicesOf } from './services';

const POLL_MS = 250;
/** How often work that ended without a word, with the process that did it, is begun anew. */
const MAX_STARTS = 20;
/** For how long there may be no crypto-worker at all: one that has crashed is started again. */
const NOBODY_MS = 30_000;
const AGAIN = 'nothing is lost: run ./keytrail root rotate again to go on';

/** Has the root key rotated, from wherever an earlier rotation ended. Throws CommandError. */
export async function rotateRoot(operator: Operator, print: (line: string) => void): Promise<void> {
  const workers = await cryptoWorkers(operator);
  const prepared = await prepareRootRemotely(operator.nats);
  const { from, key } = prepared;
  await assertUsable(operator, workers, key);
  print(`root key: from epoch ${from} to epoch ${key.epoch} (${key.id})`);
  await followed(operator, prepared);
  print(`all material is wrapped under epoch ${key.epoch}; the root key of epoch ${from} is destroyed`);
  print('backups from before that have the old root key with them still open: erase those, or their root key');
}

/** Prints what each crypto-worker says. */
export async function showRoot(operator: Operator, print: (line: string) => void): Promise<void> {
  const workers = await cryptoWorkers(operator);
  for (const { instance, provider, epoch, root, progress, failure } of await statuses(operator, workers)) {
    print(`${nameOf(workers, instance)}: ${provider} root key, wraps under epoch ${epoch}; ${rootLine(root)}`);
    if (progress) print(`  rotates: ${progress.walked} of ${progress.copies} materials`);
    if (failure !== undefined) print(`  could not rotate: ${failure}`);
  }
}

const answering = async (operator: Operator): Promise<ServiceStatus[]> =>
  (await servicesOf(operator)).filter(({ parts }) => parts.includes('crypto-worker'));

async function cryptoWorkers(operator: Operator): Promise<ServiceStatus[]> {
  const workers = await answering(operator);
  if (workers.length === 0) throw new CommandError('no crypto-worker of Keytrail answers: start it with npm start');
  return workers;
}

/** Of every one of them: throws CommandError where one does not answer. */
async function statuses(
  operator: Operator,
  workers: readonly ServiceStatus[],
  key?: RootKeyRef,
): Promise<RootStatus[]> {
  const found = await rootStatusRemotely(operator.nats, workers.length, key);
  const silent = workers.find(({ instance }) => !found.some((one) => one.instance === instance));
  if (silent) throw new CommandError(`${nameOf(workers, silent.instance)} does not answer; see: ./keytrail status`);
  return found;
}

/** A crypto-worker without the new key could neither store nor load anything once it is in use. */
async function assertUsable(operator: Operator, workers: readonly ServiceStatus[], key: RootKeyRef): Promise<void> {
  for (const { instance, without } of await statuses(operator, workers, key)) {
    if (without === undefined) continue;
    throw new CommandError(
      `${nameOf(workers, instance)} cannot use the new root key (${without}): every crypto-worker needs the same root key file, in a folder that they share, or the same HSM. Nothing was begun`,
    );
  }
}

const nameOf = (workers: readonly ServiceStatus[], instance: string): string => {
  const worker = workers.find((one) => one.instance === instance);
  return `${worker?.service ?? 'crypto-worker'} ${worker ? `(pid ${worker.pid})` : instance.slice(0, 8)}`;
};

/** Resolves once the old key is destroyed. */
async function followed(operator: Operator, prepared: PreparedRoot): Promise<void> {
  const { from, key } = prepared;
  const bar = progressBar(1, 'materials', 1);
  bar?.start(1, 0);
  try {
    let heardAt = performance.now();
    for (let starts = 0; ; await pause(POLL_MS)) {
      const there = await answering(operator);
      if (there.length > 0) heardAt = performance.now();
      else if (performance.now() - heardAt < NOBODY_MS) continue;
      else throw new CommandError(`no crypto-worker answers any more; ${AGAIN}`);
      const workers = await rootStatusRemotely(operator.nats, there.length);
      if (workers.some(({ root }) => root.rootState === 'Rotated' && root.key.epoch === key.epoch)) return;
      const working = workers.filter(({ progress }) => progress !== undefined);
      for (const { progress } of working) {
        bar?.setTotal(Math.max(1, progress!.copies));
        bar?.update(progress!.walked);
      }
      if (working.length > 0) continue;
      // Each failure stands until the work is begun anew there.
      const failed = starts > 0 && workers.find(({ failure }) => failure !== undefined);
      if (failed) throw new CommandError(`the rotation is not complete: ${failed.failure}; ${AGAIN}`);
      if (++starts > MAX_STARTS) throw new CommandError(`the rotation from epoch ${from} makes no headway; ${AGAIN}`);
      await rotateRootRemotely(operator.nats, prepared);
    }
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError(`${(error as Error).message}; ${AGAIN}`);
  } finally {
    bar?.stop();
  }
}
