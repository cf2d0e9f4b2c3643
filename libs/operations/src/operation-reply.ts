import { type ErrorCode, KmsError } from '#domain/errors';

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

export const succeeded = (result: unknown): OperationReply => ({
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
