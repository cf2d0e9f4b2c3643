import { headers, type NatsConnection } from 'nats';
import { isoDate } from '#domain/dates';
import { ERRORS, type ErrorCode, isErrorCode } from '#domain/errors';
import { HEADER_AFTER, HEADER_ERROR, HEADER_POSITION, HEADER_REQUEST_ID, requestSubject } from '#domain/subjects';
import type { Caller, Operation, PlanePorts } from '#operations/operation';
import type { Quotas } from '#operations/quotas/quotas';
import { type ErrorObserver, errorReply, type OperationReply, runOperation } from '#operations/run-operation';
import type { Clock } from './clock';
import { requestReply } from './nats-request';

/** Where an authenticated request goes. Two adapters: in this process, and over NATS. Never throws or rejects. */
export interface Dispatcher {
  dispatch(
    operation: Operation,
    body: Uint8Array,
    caller: Caller,
    requestId: string,
  ): OperationReply | Promise<OperationReply>;
}

/**
 * Runs the operation in this process: no hop on the hot path. A plane that is not served here is an internal error. The
 * one place where request quotas are enforced.
 */
export class LocalDispatcher implements Dispatcher {
  constructor(
    private readonly ports: PlanePorts,
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
    const call = { caller, requestId, operation: operation.name, now: isoDate(this.clock.now()) };
    return runOperation(operation, body, call, this.ports, this.observe);
  }
}

const REPLY_TIMEOUT_MS = 30_000;
/** A data operation changes nothing: one that its worker died over, or whose reply was lost, is asked of another. */
const DATA_ATTEMPT_MS = 5_000;

/** Sends the request to whichever service serves it, with the newest log position that this gateway has seen. */
export class NatsDispatcher implements Dispatcher {
  /** `newestPosition`: of the log at the start, so that what a gateway before this one acknowledged is seen through it. */
  constructor(
    private readonly nats: NatsConnection,
    private newestPosition: number,
    private readonly observe: ErrorObserver,
  ) {}

  async dispatch(operation: Operation, body: Uint8Array, caller: Caller, requestId: string): Promise<OperationReply> {
    try {
      const subject = requestSubject(caller.region, caller.account, caller.principalId, operation.name);
      const sent = headers();
      sent.set(HEADER_AFTER, String(this.newestPosition));
      sent.set(HEADER_REQUEST_ID, requestId);
      const reply = await requestReply(this.nats, subject, body, {
        headers: sent,
        timeoutMs: REPLY_TIMEOUT_MS,
        ...(operation.plane === 'data' && { attemptMs: DATA_ATTEMPT_MS }),
      });
      const position = Number(reply.headers?.get(HEADER_POSITION));
      if (position > this.newestPosition) this.newestPosition = position;
      const error = reply.headers?.get(HEADER_ERROR);
      if (!error) return { body: reply.data, status: 200 };
      const code: ErrorCode = isErrorCode(error) ? error : 'KMSInternalException';
      return { body: reply.data, error: code, status: ERRORS[code].status };
    } catch (error) {
      return errorReply(error, { operation: operation.name, requestId }, this.observe);
    }
  }
}
