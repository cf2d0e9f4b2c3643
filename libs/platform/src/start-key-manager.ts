import type { EventStore } from '#event-store/event-store';
import type { LastUses } from '#operations/usage/last-uses';
import type { LiveView } from '#views/live-view';
import type { Clock } from './clock';
import { ClusterDirectory } from './clusters/cluster-directory';
import { failPoints } from './fail-points';
import type { GrantTokenSigner } from './grant-tokens';
import { KeyManager } from './key-manager';
import { KeyTimers, serveTimers } from './key-timers';
import { mintManagedKey, serveMinting } from './managed-keys';
import type { MaterialCustodian } from './material-custodian';
import { SHRED_RECORDS, serveTrailCommands } from './recording/shredding';
import type { RevocationBarrier } from './revocation-barrier';
import type { ServedRequests } from './served-requests';
import type { ServingLease } from './serving-lease';
import type { Settings } from './settings';
import { serveWorkerCommands } from './worker-commands';

export interface KeyManagerSurroundings {
  settings: Pick<Settings, 'failPoint'>;
  store: EventStore;
  view: LiveView;
  clock: Clock;
  served: ServedRequests;
  serving: Pick<ServingLease, 'assertHeld' | 'begin'>;
  barrier: Pick<RevocationBarrier, 'applied'>;
  materials: MaterialCustodian;
  signGrantToken: GrantTokenSigner;
  lastUses: LastUses;
  /** Told what could not be done of what other services asked for. */
  onError(what: string): (error: unknown) => void;
}

export interface StartedKeyManager {
  manager: KeyManager;
  timers: KeyTimers;
}

/** Makes the part that appends, and answers what other services ask of it. */
export function startKeyManager(around: KeyManagerSurroundings): StartedKeyManager {
  const { store, view, serving, barrier, materials, served, signGrantToken, lastUses, onError } = around;
  const manager = new KeyManager({
    ...{ store, view, serving, materials, signGrantToken, lastUses },
    clusters: new ClusterDirectory(view.projection),
    appliedEverywhere: (position) => barrier.applied(position),
    failPoint: failPoints(around.settings.failPoint),
  });
  const timers = new KeyTimers({ manager, materials, clock: around.clock });
  const caughtUp = (): Promise<void> => view.catchUp(store);
  serveTimers(served, (timer) => timers.fire(timer), caughtUp, onError('timer'));
  serveWorkerCommands(served, (...command) => manager.runFor(...command), onError('worker command'));
  serveMinting(served, mintManagedKey(manager), onError('managed key'));
  serveTrailCommands(served, (ref, origin) => manager.runUnchecked(ref, SHRED_RECORDS, origin), onError('shredding'));
  return { manager, timers };
}
