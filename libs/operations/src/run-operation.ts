import { type ErrorCode, KmsError } from '#domain/errors';
import {
  type Call,
  type ControlOperation,
  type ControlPorts,
  type DataOperation,
  type DataPorts,
  MaterialNotLoaded,
  type Operation,
  type PlanePorts,
  type UnresolvedCall,
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
    const attempt = new Attempt(operation, body, unresolved);
    const result =
      operation.plane === 'data'
        ? runData(operation, attempt, served(ports.data, operation))
        : runControl(operation, attempt, served(ports.control, operation));
    return result instanceof Promise ? result.then(succeeded).catch(failed) : succeeded(result);
  } catch (error) {
    return failed(error);
  }
}

function served<P>(ports: P | undefined, { name, plane }: Operation): P {
  if (ports === undefined) throw new Error(`${name} is of the ${plane} plane, which this process does not serve`);
  return ports;
}

/** What an operation is run with: the caller as it is at each try, and the request, decoded once. */
class Attempt {
  private request: object | undefined;

  constructor(
    private readonly operation: Operation,
    private readonly body: Uint8Array,
    private readonly unresolved: UnresolvedCall,
  ) {}

  /** Who is not known does not learn what is wrong with the request. */
  begin(): { request: object; call: Call } {
    const { requestId, operation, now } = this.unresolved;
    const call: Call = { caller: this.unresolved.resolveCaller(), requestId, operation, now };
    this.request ??= decodeRequest(this.operation.request, this.body);
    return { request: this.request, call };
  }
}

/** A refusal counts only once the log's leader has said that it was not made on an outdated view. */
async function runControl(operation: ControlOperation, attempt: Attempt, ports: ControlPorts): Promise<unknown> {
  const run = () => {
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
