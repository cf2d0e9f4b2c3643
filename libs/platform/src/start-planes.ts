import type { PlanePorts } from '#operations/operation';
import { timedBarrier } from './figures';
import { GrantTokens } from './grant-tokens';
import type { KeyManager } from './key-manager';
import { LeasedServing } from './leased-serving';
import { observedEventStore } from './observed-event-store';
import type { RevocationBarrier } from './revocation-barrier';
import type { ServingLease } from './serving-lease';
import { startHistory } from './start-audit-trail';
import { type StartedCryptoWorker, startCryptoWorker } from './start-crypto-worker';
import { startKeyManager } from './start-key-manager';
import type { Surroundings } from './surroundings';

/** Starts the parts that complete operations, under one lease; resolves once it is held, where one is needed. */
export async function startPlanes(around: Surroundings): Promise<PlanePorts> {
  const { view, neighbours, health, metrics } = around;
  const leased = leasedServing(around);
  const { lease: serving, barrier } = leased;
  const worker = around.has('crypto-worker') ? await startWorker(around, serving) : undefined;
  neighbours.worker = worker;
  const control = barrier && startManager(around, barrier, serving);
  const grantTokens = new GrantTokens(view, neighbours.tokenKey());
  const history = around.has('audit-projector') ? startHistory(around) : undefined;
  neighbours.history = history;
  if (control || worker) {
    await leased.start(health);
    worker?.serve();
    worker?.connectStores();
    worker?.clusters.start();
    metrics.gauge('keytrail_lease_held', () => Number(serving.held));
  }
  return { control, data: worker?.worker, audit: history?.ports, grantTokens, serving };
}

function leasedServing(around: Surroundings): LeasedServing {
  const { instance: processId, store: log, view, alone } = around;
  const nats = alone ? undefined : around.nats;
  const { leaseMs } = around.settings;
  const leased = new LeasedServing({ processId, leaseMs, log, view, nats }, around.has('key-manager'));
  around.onStop(() => leased.stop());
  return leased;
}

async function startWorker(around: Surroundings, serving: ServingLease): Promise<StartedCryptoWorker> {
  const { settings, store, view, served, metrics, log, alone, clock, neighbours, instance } = around;
  const started = await startCryptoWorker({
    ...{ settings, store, view, served, serving, metrics, log, alone, clock, instance },
    callout: around.link.callout,
    besideGateway: around.has('gateway'),
    appendForWorker: neighbours.appendForWorker(),
    mintManagedKey: neighbours.mintManagedKey(),
    appendShredding: neighbours.appendShredding(),
  });
  around.onStop(started.stop);
  return started;
}

function startManager(around: Surroundings, barrier: RevocationBarrier, serving: ServingLease): KeyManager {
  const { settings, view, clock, served, neighbours, metrics } = around;
  const started = startKeyManager({
    ...{ settings, view, clock, served, serving },
    store: observedEventStore(around.store, metrics),
    barrier: timedBarrier(metrics, barrier),
    materials: neighbours.materials(),
    signGrantToken: neighbours.grantTokenSigner(),
    lastUses: neighbours.lastUses(),
    onError: around.unanswered,
  });
  neighbours.keyManager = started;
  return started.manager;
}
