import { eventUuid } from '#audit-log/event-uuid';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import type { AnsweredCall } from '#operations/audit/call-record';
import type { Recorder } from '#operations/audit/recorder';
import type { CallerClaim } from '#operations/caller';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/operation-reply';
import type { Clock } from '../clock';
import { recordedReply } from './recorded-reply';

/** How many calls that nobody is known to have made go on record. */
export interface UnknownRate {
  perSecond: number;
  /** At once, after a quiet time. */
  burst: number;
}

/** Less than 1 GB a day, whatever comes. */
const UNKNOWN_RATE: UnknownRate = { perSecond: 10, burst: 1_000 };

/** A call that reached no operation. */
export type RefusedCall = Pick<AnsweredCall, 'operation' | 'requestId' | 'eventId'>;

/** Records of calls that reached no operation: a bad signature, no service there. */
export class EdgeRecords {
  private left: number;
  /** When `left` was counted, by performance.now(). */
  private countedAt = performance.now();

  /**
   * `home`: in whose trail a call goes that nobody is known to have made. `unrecorded` is told of one that is past the
   * rate at which those go on record: whoever has no account cannot fill the disk.
   */
  constructor(
    private readonly recorder: Recorder,
    private readonly clock: Clock,
    private readonly home: { account: string; region: string },
    private readonly observe: ErrorObserver,
    private readonly unrecorded: () => void,
    private readonly rate = UNKNOWN_RATE,
  ) {
    this.left = rate.burst;
  }

  /** The refusal, once it is on record. An account in `claim` is a proved one. */
  async refused(reply: OperationReply, call: RefusedCall, claim: Partial<CallerClaim>): Promise<OperationReply> {
    const { recorder, observe } = this;
    try {
      if (claim.account === undefined) this.chargeUnknown();
      recorder.admit();
    } catch (error) {
      return errorReply(error, { operation: call.operation.name, requestId: call.requestId }, observe);
    }
    const now = isoDate(this.clock.now());
    return recordedReply(recorder, { ...call, reply, now, claim: { ...this.home, ...claim } }, observe);
  }

  private chargeUnknown(): void {
    const { perSecond, burst } = this.rate;
    const now = performance.now();
    this.left = Math.min(burst, this.left + ((now - this.countedAt) / 1000) * perSecond);
    this.countedAt = now;
    if (this.left >= 1) {
      this.left--;
      return;
    }
    this.unrecorded();
    throw new KmsError('ThrottlingException', 'Too many calls of nobody known; try again.');
  }
}

/**
 * The id of a call's record, from a request id that Keytrail itself made: whoever records a call twice, since its worker
 * died over it, gives both records the same.
 */
export function eventIdOf(requestId: string): string {
  return eventUuid(`keytrail event ${requestId}`);
}
