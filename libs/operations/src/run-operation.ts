import { type ErrorCode, KmsError } from '#domain/errors';
import { followGrantTokens, type GrantTokenClaims, type GrantTokenReader } from './grants/grant-tokens';
import {
  type Call,
  type ControlOperation,
  type ControlPorts,
  type DataOperation,
  type DataPorts,
  isWaiting,
  MaterialNotLoaded,
  type Operation,
  type PlanePorts,
  type UnresolvedCall,
  type WaitingDataOperation,
} from './operation';
import { decodeRequest } from './wire/decode';

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
  try {
    const attempt = new Attempt(operation, body, unresolved, ports.grantTokens);
    const result =
      operation.plane === 'control'
        ? runControl(operation, attempt, served(ports.control, operation))
        : isWaiting(operation)
          ? runWaiting(operation, attempt, served(ports.data, operation))
          : runData(operation, attempt, served(ports.data, operation));
    return result instanceof Promise ? result.then(succeeded).catch(failed) : succeeded(result);
  } catch (error) {
    return failed(error);
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

/** What an operation is run with: the caller as it is at each try, and the request, decoded once. */
class Attempt {
  private request: object | undefined;
  private followed = false;
  private grantToken: GrantTokenClaims | undefined;
  private begun: Begun | undefined;

  constructor(
    private readonly operation: Operation,
    private readonly body: Uint8Array,
    private readonly unresolved: UnresolvedCall,
    private readonly grantTokens: GrantTokenReader,
  ) {}

  /** Before each `begin`: the wait until the view holds the grants that the request's tokens mean, if there is one. */
  follow(): Promise<void> | undefined {
    if (this.followed) return undefined;
    const begun = this.begin();
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

  /** Who is not known does not learn what is wrong with the request. */
  begin(): Begun {
    const { begun, grantToken } = this;
    this.begun = undefined;
    if (begun) return begun;
    const { requestId, operation, now } = this.unresolved;
    const call: Call = { caller: this.unresolved.resolveCaller(), requestId, operation, now, grantToken };
    this.request ??= decodeRequest(this.operation.request, this.body);
    return { request: this.request, call };
  }
}

/** A refusal counts only once the log's leader has said that it was not made on an outdated view. */
async function runControl(operation: ControlOperation, attempt: Attempt, ports: ControlPorts): Promise<unknown> {
  const run = async () => {
    const following = attempt.follow();
    if (following) await following;
    const { request, call } = attempt.begin();
    return operation.run(request, call, ports);
  };
  try {
    return await run();
  } catch (refusal) {
    if (!(refusal instanceof KmsError) || refusal.retryable || !(await ports.wasBehind())) throw refusal;
    return run();
  }
}

/** ReEncrypt needs two backing keys; more rounds than that mean that memory does not hold what is in use. */
const MAX_LOADS = 8;

/**
 * At once, when all that the operation needs is in memory. Otherwise that is loaded, and the operation begins anew with all its
 * checks: what was allowed before the wait may not be after it.
 */
function runData(operation: DataOperation, attempt: Attempt, ports: DataPorts, loads = 0): unknown | Promise<unknown> {
  ports.assertMayServe();
  const following = attempt.follow();
  if (following) return following.then(() => runData(operation, attempt, ports, loads));
  try {
    const { request, call } = attempt.begin();
    return operation.run(request, call, ports);
  } catch (error) {
    if (!(error instanceof MaterialNotLoaded) || loads >= MAX_LOADS) throw error;
    return ports
      .loadBackingKey(error.keyArn, error.materialId)
      .then(() => runData(operation, attempt, ports, loads + 1));
  }
}

async function runWaiting(operation: WaitingDataOperation, attempt: Attempt, ports: DataPorts): Promise<unknown> {
  const following = attempt.follow();
  if (following) await following;
  ports.assertMayServe();
  const { request, call } = attempt.begin();
  return operation.runAsync(request, call, ports);
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
