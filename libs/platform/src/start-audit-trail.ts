import { serveKeyCalls } from './history/key-calls';
import { startHistory as openHistory, type StartedHistory } from './history/start-history';
import { serveLastUses } from './last-uses';
import { startRecording as openRecording, type StartedRecording } from './recording/start-recording';
import { isScheduler } from './schedulers';
import type { Surroundings } from './surroundings';
import { startTrailFiles } from './trail-files/start-trail-files';
import { TreeHeads } from './tree-heads/tree-heads';
import { serveTreeProofs, TreeProofs } from './tree-heads/tree-proofs';

/** The event history, of the process with the part `audit-projector`. */
export function startHistory(around: Surroundings): StartedHistory {
  const { settings, nats, store, view, clock, metrics, log, neighbours, served, health } = around;
  const started = openHistory({
    ...{ settings, nats, store, view, clock, metrics, log },
    sealingKeys: neighbours.sealingKeys(),
    digests: neighbours.digestSigner(),
  });
  serveLastUses(served, started.ports.lastUses, around.unanswered('last use'));
  around.onStop(() => started.stop());
  serveKeyCalls(served, started.ports.history, around.unanswered('key calls'));
  // Where there is more in the process, it serves without its event history too.
  if (around.parts.length === 1) health.add('event history', started.problem);
  return started;
}

/**
 * Tree heads and log files, of the same process. To be started before the recording, so that they stop after it: the last
 * head and log file hold every record.
 */
export function startTrees(around: Surroundings, { placeOf }: StartedHistory): TreeProofs {
  const { settings, clock, store, view, log, metrics, nats, neighbours } = around;
  const heads = new TreeHeads({
    ...{ settings, clock, log, metrics, nats },
    changes: store,
    signer: neighbours.treeHeadSigner(),
  });
  around.onStop(() => heads.stop());
  const proofs = new TreeProofs({
    ...{ nats, checkpointDir: settings.checkpointDir, placeOf },
    treeOf: (tree) => heads.treeOf(tree),
  });
  serveTreeProofs(around.served, proofs, around.unanswered('proof'));
  const stop = startTrailFiles({
    ...{ settings, clock, store, view, log, metrics, nats },
    sealingKeys: neighbours.sealingKeys(),
    signer: neighbours.digestSigner(),
  });
  if (stop) around.onStop(stop);
  return proofs;
}

/** Of every process that answers calls, unless none are to be kept. */
export function startRecording(around: Surroundings): StartedRecording | undefined {
  const { settings, nats, clock, metrics, log, observe, neighbours } = around;
  if (!settings.records) {
    log.warn('KEYTRAIL_RECORDS=off: calls are answered that no record is kept of');
    return undefined;
  }
  if (around.parts.every(isScheduler)) return undefined;
  const sealingKeys = neighbours.sealingKeys();
  const started = openRecording({ settings, nats, clock, metrics, log, sealingKeys, observe });
  around.onStop(() => started.stop());
  return started;
}
