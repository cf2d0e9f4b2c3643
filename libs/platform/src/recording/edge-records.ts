import { eventUuid } from '#audit-log/event-uuid';
import { isoDate } from '#domain/dates';
import type { Recorder } from '#operations/audit/recorder';
import type { CallerClaim } from '#operations/caller';
import type { Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/run-operation';
import type { Clock } from '../clock';
import { recordedReply } from './recorded-reply';

/** Records of calls that reached no operation: a bad signature, no service there. */
export class EdgeRecords {
  /** `home`: in whose trail a call goes that nobody is known to have made. */
  constructor(
    private readonly recorder: Recorder,
    private readonly clock: Clock,
    private readonly home: { account: string; region: string },
    private readonly observe: ErrorObserver,
  ) {}

  /** The refusal, once it is on record. */
  async refused(
    reply: OperationReply,
    operation: Pick<Operation, 'name' | 'service' | 'plane'>,
    requestId: string,
    claim: Partial<CallerClaim>,
  ): Promise<OperationReply> {
    const { recorder, observe } = this;
    try {
      recorder.admit();
    } catch (error) {
      return errorReply(error, { operation: operation.name, requestId }, observe);
    }
    const call = {
      ...{ operation, requestId, reply },
      eventId: claim.eventId ?? eventIdOf(requestId),
      now: isoDate(this.clock.now()),
      claim: { ...this.home, ...claim },
    };
    return recordedReply(recorder, call, observe);
  }
}

/**
 * The id of a call's record, from a request id that Keytrail itself made: whoever records a call twice, since its worker
 * died over it, gives both records the same.
 */
export function eventIdOf(requestId: string): string {
  return eventUuid(`keytrail event ${requestId}`);
}
