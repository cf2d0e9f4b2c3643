import { headers, type NatsConnection, NatsError, ErrorCode as NatsErrorCode } from 'nats';
import { ERRORS, type ErrorCode, isErrorCode, KmsError } from '#domain/errors';
import { HEADER_AFTER, HEADER_ERROR, HEADER_POSITION, HEADER_REQUEST_ID, requestSubject } from '#domain/subjects';
import type { Caller, ControlPorts, DataPorts, Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply, runOperation } from '#operations/run-operation';
import type { Clock } from './clock';

/** Where an authenticated request goes. Two adapters: in this process, and over NATS. Never rejects. */
export interface Dispatcher {
  dispatch(
    operation: Operation,
    body: Uint8Array,
    caller: Caller,
    requestId: string,
  ): OperationReply | Promise<OperationReply>;
}

/** Runs the operation in this process: no hop on the hot path. */
export class LocalDispatcher implements Dispatcher {
  constructor(
    private readonly ports: ControlPorts & DataPorts,
    private readonly clock: Clock,
    private readonly observe: ErrorObserver,
  ) {}

  dispatch(operation: Operation, body: Uint8Array, caller: Caller, requestId: string) {
    const now = new Date(this.clock.now()).toISOString();
    return runOperation(
      operation,
      body,
      { caller, requestId, operation: operation.name, now },
      this.ports,
      this.observe,
    );
  }
}

const REPLY_TIMEOUT_MS = 30_000;
/** A data operation changes nothing: one that its worker died over, or whose reply was lost, is asked of another. */
const DATA_TIMEOUT_MS = 5_000;
/** With nobody to answer nothing was done, so asking again is safe. */
const NO_RESPONDERS_RETRIES = 40;
const NO_RESPONDERS_PAUSE_MS = 250;

/** Sends the request to whichever service serves it, with the newest log position that this gateway has seen. */
export class NatsDispatcher implements Dispatcher {
  /** `newestPosition`: of the log at the start, so that what a gateway before this one acknowledged is seen through it. */
  constructor(
    private readonly nats: NatsConnection,
    private newestPosition: number,
    private readonly observe: ErrorObserver,
  ) {}

  async dispatch(operation: Operation, body: Uint8Array, caller: Caller, requestId: string): Promise<OperationReply> {
    const subject = requestSubject(caller.region, caller.account, caller.principalId, operation.name);
    const sent = headers();
    sent.set(HEADER_AFTER, String(this.newestPosition));
    sent.set(HEADER_REQUEST_ID, requestId);
    const attemptMs = operation.plane === 'data' ? DATA_TIMEOUT_MS : REPLY_TIMEOUT_MS;
    const deadline = performance.now() + REPLY_TIMEOUT_MS;
    for (let unserved = 0; ; ) {
      try {
        const reply = await this.nats.request(subject, body, { headers: sent, timeout: attemptMs });
        const position = Number(reply.headers?.get(HEADER_POSITION));
        if (position > this.newestPosition) this.newestPosition = position;
        const error = reply.headers?.get(HEADER_ERROR);
        if (!error) return { body: reply.data, status: 200 };
        const code: ErrorCode = isErrorCode(error) ? error : 'KMSInternalException';
        return { body: reply.data, error: code, status: ERRORS[code].status };
      } catch (error) {
        const code = error instanceof NatsError ? error.code : undefined;
        if (code === NatsErrorCode.NoResponders && unserved++ < NO_RESPONDERS_RETRIES) {
          await new Promise((resolve) => setTimeout(resolve, NO_RESPONDERS_PAUSE_MS));
          continue;
        }
        if (code === NatsErrorCode.Timeout && performance.now() + attemptMs <= deadline) continue;
        const timeout = new KmsError(
          'DependencyTimeoutException',
          'The request was not answered in time; try again.',
          error,
        );
        return errorReply(timeout, { operation: operation.name, requestId }, this.observe);
      }
    }
  }
}
