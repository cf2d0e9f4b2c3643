import { randomUUID } from 'node:crypto';
import { isoDate } from '#domain/dates';
import type { Recorder } from '#operations/audit/recorder';
import { Trail } from '#operations/audit/trail';
import type { CallerClaim } from '#operations/caller';
import type { Operation, PlanePorts, UnresolvedCall } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/operation-reply';
import type { CountedCall, Quotas } from '#operations/quotas/quotas';
import { runOperation } from '#operations/run-operation';
import type { Callers } from './callers';
import type { Clock } from './clock';
import type { Dispatcher } from './dispatcher';
import { recordedReply } from './recording/recorded-reply';
import { traced } from './tracing';

/**
 * Runs the operation in this process: no hop on the hot path. Whether the claimed caller exists is asked of this
 * process's own view, so that a key that a gateway still holds opens nothing once the view has the revocation. The one
 * place where request quotas are enforced.
 */
export class LocalDispatcher implements Dispatcher {
  constructor(
    private readonly ports: PlanePorts,
    private readonly callers: Callers,
    private readonly clock: Clock,
    private readonly observe: ErrorObserver,
    private readonly quotas?: Quotas,
    private readonly recorder?: Recorder,
  ) {}

  dispatch(operation: Operation, body: Uint8Array, claim: CallerClaim, requestId: string) {
    const { recorder, observe } = this;
    if (!recorder) return this.run(operation, body, claim, requestId);
    try {
      recorder.admit();
    } catch (error) {
      return errorReply(error, { operation: operation.name, requestId }, observe);
    }
    const trail = new Trail();
    const now = isoDate(this.clock.now());
    const eventId = claim.eventId ?? randomUUID();
    const recorded = (reply: OperationReply): Promise<OperationReply> =>
      recordedReply(recorder, { operation, requestId, eventId, now, claim, trail, reply }, observe);
    // Whatever is thrown, the place in the queue is given back by a record.
    const refused = (error: unknown) => recorded(errorReply(error, { operation: operation.name, requestId }, observe));
    try {
      const reply = this.run(operation, body, claim, requestId, trail);
      return reply instanceof Promise ? reply.then(recorded, refused) : recorded(reply);
    } catch (error) {
      return refused(error);
    }
  }

  private run(
    operation: Operation,
    body: Uint8Array,
    claim: CallerClaim,
    requestId: string,
    trail?: Trail,
  ): OperationReply | Promise<OperationReply> {
    const failed = (error: unknown): OperationReply =>
      errorReply(error, { operation: operation.name, requestId }, this.observe);
    let counted: CountedCall | undefined;
    try {
      if (!claim.repeated) counted = this.quotas?.begin(operation, claim, performance.now());
    } catch (error) {
      return failed(error);
    }
    const { callers, clock } = this;
    const call: UnresolvedCall = {
      requestId,
      operation: operation.name,
      now: () => isoDate(clock.now()),
      trail,
      countAs: counted?.as,
      resolveCaller: () => callers.resolve(claim),
    };
    const run = () => traced('operation', {}, () => runOperation(operation, body, call, this.ports, this.observe));
    const waiting = callers.prepared(claim);
    const reply = waiting ? waiting.then(run).catch(failed) : run();
    if (!counted) return reply;
    const ended = (whole: OperationReply): OperationReply => {
      try {
        counted.end();
        return whole;
      } catch (error) {
        return failed(error);
      }
    };
    return reply instanceof Promise ? reply.then(ended) : ended(reply);
  }
}
