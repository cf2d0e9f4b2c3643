import { headers, type NatsConnection, NatsError } from 'nats';
import { ERRORS, type ErrorCode, isErrorCode, KmsError } from '#domain/errors';
import { HEADER_AFTER, HEADER_ERROR, HEADER_POSITION, HEADER_REQUEST_ID, requestSubject } from '#domain/subjects';
import type { Caller, ControlPorts, DataPorts, Operation } from '#operations/operation';
import type { Quotas } from '#operations/quotas/quotas';
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

/** Runs the operation in this process: no hop on the hot path. The one place where request quotas are enforced. */
export class LocalDispatcher implements Dispatcher {
  constructor(
    private readonly ports: ControlPorts & DataPorts,
    private readonly clock: Clock,
    private readonly observe: ErrorObserver,
    private readonly quotas?: Quotas,
  ) {}

  dispatch(operation: Operation, body: Uint8Array, caller: Caller, requestId: string) {
    try {
      this.quotas?.charge(operation, caller, performance.now());
    } catch (error) {
      return errorReply(error, { operation: operation.name, requestId }, this.observe);
    }
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
/** With nobody to answer nothing was done, so asking again is safe. */
const NO_RESPONDERS_RETRIES = 40;
const NO_RESPONDERS_PAUSE_MS = 250;

/** Sends the request to whichever service serves it, with the newest log position that this gateway has seen. */
export class NatsDispatcher implements Dispatcher {
  private newestPosition = 0;

  constructor(
    private readonly nats: NatsConnection,
    private readonly observe: ErrorObserver,
  ) {}

  async dispatch(operation: Operation, body: Uint8Array, caller: Caller, requestId: string): Promise<OperationReply> {
    const subject = requestSubject(caller.region, caller.account, caller.principalId, operation.name);
    const sent = headers();
    sent.set(HEADER_AFTER, String(this.newestPosition));
    sent.set(HEADER_REQUEST_ID, requestId);
    for (let tries = 0; ; tries++) {
      try {
        const reply = await this.nats.request(subject, body, { headers: sent, timeout: REPLY_TIMEOUT_MS });
        const position = Number(reply.headers?.get(HEADER_POSITION));
        if (position > this.newestPosition) this.newestPosition = position;
        const error = reply.headers?.get(HEADER_ERROR);
        if (!error) return { body: reply.data, status: 200 };
        const code: ErrorCode = isErrorCode(error) ? error : 'KMSInternalException';
        return { body: reply.data, error: code, status: ERRORS[code].status };
      } catch (error) {
        if (error instanceof NatsError && error.code === '503' && tries < NO_RESPONDERS_RETRIES) {
          await new Promise((resolve) => setTimeout(resolve, NO_RESPONDERS_PAUSE_MS));
          continue;
        }
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
