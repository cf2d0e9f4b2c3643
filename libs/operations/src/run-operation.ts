import { type ErrorCode, KmsError, RequestFault } from '#domain/errors';
import { ConflictError } from '#event-store/event-store';
import { Checks } from './checks';
import { followGrantTokens, type GrantTokenClaims, type GrantTokenReader } from './grants/grant-tokens';
import { ManagedKeyToMint, type MintingCause } from './managed-keys';
import { OffLoop, WorkToDo } from './off-loop';
import {
  type AuditOperation,
  type AuditPorts,
  type Call,
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
import { AskedUses, LastUseNotKnown } from './usage/asked-uses';
import { decodeRequest } from './wire/decode';
import { wipe } from './wire/wipe';

export interface OperationReply {
  /** The JSON body, of a success or of an error. Bytes where it came over NATS and is passed on as it is. */
  body: string | Uint8Array;
  error?: ErrorCode | undefined;
  status: number;
}

/** Told about what never reaches the caller: the cause of an internal error. */
export type ErrorObserver = (error: unknown, operation: string, requestId: string) => void;

/** AWS answers some operations with an empty body, which SDKs read as an empty structure. */
const EMPTY_BODY = '{}';

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

interface Begun {
  request: object;
  call: Call;
}

/**
 * What an operation is run with: the caller as it is at each try, and the request, decoded once. The order of checks, at each
 * try: who calls, the request's form, its grant tokens (which may be waited for), the right to serve, who calls again, then the
 * operation's own.
 */
class Attempt {
  private request: object | undefined;
  private malformed: unknown;
  private followed = false;
  private grantToken: GrantTokenClaims | undefined;
  private begun: Begun | undefined;
  /** Of a control operation. */
  readonly uses = new AskedUses();
  readonly offLoop = new OffLoop();

  constructor(
    private readonly operation: Operation,
    private readonly body: Uint8Array,
    private readonly unresolved: UnresolvedCall,
    private readonly grantTokens: GrantTokenReader,
  ) {}

  cause(): MintingCause {
    return { requestId: this.unresolved.requestId, now: this.unresolved.now() };
  }

  /** Before each `begin`: the wait until the view holds the grants that the request's tokens mean, if there is one. */
  follow(): Promise<void> | undefined {
    if (this.followed) return undefined;
    const begun = this.resolved();
    const following = followGrantTokens(begun.request, this.grantTokens);
    if (following) {
      return following.then((grantToken) => {
        this.followed = true;
        this.grantToken = grantToken;
      });
    }
    this.followed = true;
    this.begun = begun;
    return undefined;
  }

  begin(): Begun {
    const begun = this.begun ?? this.resolved();
    this.begun = undefined;
    return begun;
  }

  /** Of an operation that appends: `position` is that of the view. */
  beginControl(tenure: Tenure, position: number): Begun {
    const begun = this.begin();
    const { uses } = this;
    begun.call.uses = uses;
    begun.call.tenure = tenure;
    begun.call.checks = new Checks(position, () => ({ ...this.resolved().call, uses }));
    return begun;
  }

  /** Once it is over, whatever came of it. */
  wipe(): void {
    if (this.request) wipe(this.request);
    this.offLoop.wipe();
  }

  /**
   * Whether it is a refusal that may have been made on an outdated view. What is wrong with the request itself stays so, and a
   * dry run that has passed is refused nothing.
   */
  isDoubtful(failure: unknown): boolean {
    if (failure === this.malformed || !(failure instanceof KmsError) || failure.retryable) return false;
    return !(failure instanceof RequestFault) && failure.code !== 'DryRunOperationException';
  }

  private decoded(): object {
    try {
      return decodeRequest(this.operation.request, this.body);
    } catch (malformed) {
      this.malformed = malformed;
      throw malformed;
    }
  }

  /** Who is not known does not learn what is wrong with the request. */
  private resolved(): Begun {
    const { grantToken } = this;
    const { requestId, operation, trail, countAs } = this.unresolved;
    const now = this.unresolved.now();
    const caller = this.unresolved.resolveCaller();
    trail?.begin(caller);
    const call: Call = {
      caller,
      requestId,
      operation,
      now,
      grantToken,
      tenure: undefined,
      checks: undefined,
      uses: undefined,
      trail,
      offLoop: this.offLoop,
      countAs,
    };
    this.request ??= this.decoded();
    if (trail) {
      trail.request = this.request;
      trail.grantToken = grantToken;
    }
    return { request: this.request, call };
  }
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
  let refused = false;
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
      if (refused || !(await ports.wasBehind(position))) {
        if (!isReadOnly(operation)) await ports.revocationsSettled();
        throw failure;
      }
      refused = true;
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
  refused = false,
): unknown | Promise<unknown> {
  try {
    serving.assertHeld();
    const following = attempt.follow();
    if (following) return following.then(() => runData(operation, attempt, ports, serving, waits, refused));
    const { request, call } = attempt.begin();
    const result = operation.run(request, call, ports);
    // This process may have been held up, or slow, since it asked: a revoking write waits for no longer than the lease.
    serving.assertHeld();
    return result;
  } catch (error) {
    if (waits < MAX_WAITS) {
      const waited = waitedFor(error, attempt, ports);
      if (waited) return waited.then(() => runData(operation, attempt, ports, serving, waits + 1, refused));
    }
    if (refused || !ports.wasBehind || !attempt.isDoubtful(error)) throw error;
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
  let refused = false;
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
      if (refused || !attempt.isDoubtful(failure) || !(await ports.wasBehind?.(position))) throw failure;
      refused = true;
    }
  }
}

/** No lease is needed for what is asked of a view that has caught up first. */
async function runAudit(operation: AuditOperation, attempt: Attempt, ports: AuditPorts): Promise<unknown> {
  await ports.current();
  const { request, call } = attempt.begin();
  return operation.lookUp(request, call, ports);
}

const succeeded = (result: unknown): OperationReply => ({
  body: result === undefined ? EMPTY_BODY : JSON.stringify(result),
  status: 200,
});

export function errorReply(
  error: unknown,
  call: { operation: string; requestId: string },
  observe: ErrorObserver,
): OperationReply {
  const known =
    error instanceof KmsError ? error : new KmsError('KMSInternalException', 'An internal error occurred.', error);
  if (known.status >= 500) observe(error, call.operation, call.requestId);
  return { body: errorBody(known.code, known.message), error: known.code, status: known.status };
}

/** AWS leaves the message out where it has none. */
export const errorBody = (code: ErrorCode, message: string): string =>
  JSON.stringify(message === '' ? { __type: code } : { __type: code, message });
