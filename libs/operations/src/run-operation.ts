import { type ErrorCode, KmsError } from '#domain/errors';
import type { Call, Operation, PlanePorts } from './operation';
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
 * Decodes, runs, and shapes the reply. Answers at once, without a promise, when the operation does: a promise would
 * cost the hot path a turn of the event loop.
 */
export function runOperation(
  operation: Operation,
  body: Uint8Array,
  call: Call,
  ports: PlanePorts,
  observe: ErrorObserver,
): OperationReply | Promise<OperationReply> {
  const failed = (error: unknown): OperationReply => errorReply(error, call, observe);
  try {
    const request = decodeRequest(operation.request, body);
    const result =
      operation.plane === 'control'
        ? operation.run(request, call, served(ports.control, operation))
        : operation.run(request, call, served(ports.data, operation));
    return result instanceof Promise ? result.then(succeeded).catch(failed) : succeeded(result);
  } catch (error) {
    return failed(error);
  }
}

function served<P>(ports: P | undefined, { name, plane }: Operation): P {
  if (ports === undefined) throw new Error(`${name} is of the ${plane} plane, which this process does not serve`);
  return ports;
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
