import { KmsError } from '#domain/errors';
import { ConflictError } from '#event-store/event-store';
import { Attempt } from './attempt';
import { ManagedKeyToMint } from './managed-keys';
import { WorkToDo } from './off-loop';
import {
  type AuditOperation,
  type AuditPorts,
  type ControlOperation,
  type ControlPorts,
  type DataOperation,
  type DataPorts,
  isReadOnly,
  isWaiting,
  MaterialNotLoaded,
  type Operation,
  type PlanePorts,
  type Serving,
  type Tenure,
  type UnresolvedCall,
  type WaitingDataOperation,
} from './operation';
import { type ErrorObserver, errorReply, type OperationReply, succeeded } from './operation-reply';
import { LastUseNotKnown } from './usage/asked-uses';

/**
 * Finds the caller, decodes, runs, and shapes the reply. Answers at once, without a promise, when the operation does: a
 * promise would cost the hot path a turn of the event loop.
 */
export function runOperation(
  operation: Operation,
  body: Uint8Array,
  unresolved: UnresolvedCall,
  ports: PlanePorts,
  observe: ErrorObserver,
): OperationReply | Promise<OperationReply> {
  const failed = (error: unknown): OperationReply => errorReply(error, unresolved, observe);
  const attempt = new Attempt(operation, body, unresolved, ports.grantTokens);
  let waits = false;
  try {
    const result =
      operation.plane === 'control'
        ? runControl(operation, attempt, served(ports.control, operation), ports.serving)
        : isWaiting(operation)
          ? runWaiting(operation, attempt, served(ports.data, operation), ports.serving)
          : operation.plane === 'audit'
            ? runAudit(operation, attempt, served(ports.audit, operation))
            : runData(operation, attempt, served(ports.data, operation), ports.serving);
    if (!(result instanceof Promise)) return succeeded(result);
    waits = true;
    return result
      .then(succeeded)
      .catch(failed)
      .finally(() => attempt.wipe());
  } catch (error) {
    return failed(error);
  } finally {
    if (!waits) attempt.wipe();
  }
}

function served<P>(ports: P | undefined, { name, plane }: Operation): P {
  if (ports === undefined) throw new Error(`${name} is of the ${plane} plane, which this process does not serve`);
  return ports;
}

/** More rounds than this means that somebody else changes the same resource without pause. */
const MAX_ROUNDS = 50;

/**
 * Begins the operation anew, with all its checks, where somebody else's change came first. A refusal counts only once the
 * log's leader has said that it was not made on an outdated view. That what is to be taken away is not there may mean that an
 * earlier try, whose answer was lost, took it and did not wait to the end: the refusal waits for what that one waited for.
 */
async function runControl(
  operation: ControlOperation,
  attempt: Attempt,
  ports: ControlPorts,
  serving: Serving,
): Promise<unknown> {
  let outdatedOnce = false;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    let tenure: Tenure | undefined;
    let { position } = ports.projection;
    try {
      const following = attempt.follow();
      if (following) await following;
      tenure = serving.begin();
      ({ position } = ports.projection);
      const { request, call } = attempt.beginControl(tenure, position);
      return await operation.run(request, call, ports);
    } catch (failure) {
      tenure?.end();
      if (failure instanceof ConflictError) {
        attempt.uses.forget();
        continue;
      }
      if (failure instanceof LastUseNotKnown) {
        await attempt.uses.learn(failure, ports.lastUses);
        continue;
      }
      if (failure instanceof WorkToDo) {
        await attempt.offLoop.do(failure);
        continue;
      }
      if (failure instanceof ManagedKeyToMint) {
        await ports.mintManagedKey(failure.which, attempt.cause());
        continue;
      }
      if (!attempt.isDoubtful(failure)) throw failure;
      if (outdatedOnce || !(await ports.wasBehind(position))) {
        if (!isReadOnly(operation)) await ports.revocationsSettled();
        throw failure;
      }
      outdatedOnce = true;
    } finally {
      tenure?.end();
    }
  }
  throw new KmsError('KMSInternalException', 'Too many changes were made to this resource at once; try again.');
}

/**
 * ReEncrypt needs two backing keys and two pieces of work; more rounds than that mean that memory does not hold what is in
 * use, or that the key changes without pause.
 */
const MAX_WAITS = 8;

/**
 * At once, when all that the operation needs is in memory and quick. Otherwise it is loaded, or worked out, and the operation
 * begins anew with all its checks: what was allowed before the wait may not be after it. A refusal counts as one of a control operation does.
 */
function runData(
  operation: DataOperation,
  attempt: Attempt,
  ports: DataPorts,
  serving: Serving,
  waits = 0,
  outdatedOnce = false,
): unknown | Promise<unknown> {
  try {
    serving.assertHeld();
    const following = attempt.follow();
    if (following) return following.then(() => runData(operation, attempt, ports, serving, waits, outdatedOnce));
    const { request, call } = attempt.begin();
    const result = operation.run(request, call, ports);
    // This process may have been held up, or slow, since it asked: a revoking write waits for no longer than the lease.
    serving.assertHeld();
    return result;
  } catch (error) {
    if (waits < MAX_WAITS) {
      const waited = waitedFor(error, attempt, ports);
      if (waited) return waited.then(() => runData(operation, attempt, ports, serving, waits + 1, outdatedOnce));
    }
    if (outdatedOnce || !ports.wasBehind || !attempt.isDoubtful(error)) throw error;
    return ports.wasBehind(ports.projection.position).then((wasBehind) => {
      if (!wasBehind) throw error;
      return runData(operation, attempt, ports, serving, waits, true);
    });
  }
}

/** What the operation was broken off for, once it is there; undefined where it failed. */
function waitedFor(error: unknown, attempt: Attempt, ports: DataPorts): Promise<void> | undefined {
  if (error instanceof MaterialNotLoaded) return ports.loadBackingKey(error.keyArn, error.materialId);
  if (error instanceof WorkToDo) return attempt.offLoop.do(error);
  if (error instanceof ManagedKeyToMint) return ports.mintManagedKey(error.which, attempt.cause());
  return undefined;
}

/** More rounds than this mean that rights are taken away without pause. */
const MAX_CHECKS = 30;

/** Whoever appends refuses what was checked before a right was taken away; then it is checked, and begun, anew. */
async function runWaiting(
  operation: WaitingDataOperation,
  attempt: Attempt,
  ports: DataPorts,
  serving: Serving,
): Promise<unknown> {
  let outdatedOnce = false;
  for (let checks = 1; ; checks++) {
    let { position } = ports.projection;
    try {
      const following = attempt.follow();
      if (following) await following;
      serving.assertHeld();
      ({ position } = ports.projection);
      const { request, call } = attempt.begin();
      return await operation.runAsync(request, { ...call, checkedAt: position }, ports);
    } catch (failure) {
      if (checks === MAX_CHECKS) throw failure;
      if (failure instanceof KmsError && failure.code === 'ConcurrentModification') continue;
      if (outdatedOnce || !attempt.isDoubtful(failure) || !(await ports.wasBehind?.(position))) throw failure;
      outdatedOnce = true;
    }
  }
}

/** No lease is needed for what is asked of a view that has caught up first. */
async function runAudit(operation: AuditOperation, attempt: Attempt, ports: AuditPorts): Promise<unknown> {
  await ports.current();
  const { request, call } = attempt.begin();
  return operation.lookUp(request, call, ports);
}
