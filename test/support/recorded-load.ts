import type { NatsConnection } from 'nats';
import type { AuditRecord } from '#audit-log/record';
import { auditRecords } from './audit-records';

/** A call as its client saw it: undefined where the connection was lost over it, so that nothing is known. */
export interface Outcome {
  requestId: string;
  /** OK, or the code of the error. */
  code: string;
}
export type LoadedCall = () => Promise<Outcome | undefined>;

/** Replies that say so themselves are not on record. */
const NOT_ON_RECORD = ['DependencyTimeoutException', 'ThrottlingException'];

/** Of what is missing; a diff of thousands takes longer than the test. */
const SHOWN = 20;

/** A call of an SDK. */
export async function outcomeOf(call: Promise<{ $metadata: { requestId?: string } }>): Promise<Outcome | undefined> {
  const told = await call.then(
    ({ $metadata }) => ({ requestId: $metadata.requestId, code: 'OK' }),
    ({ name, $metadata }: Error & { $metadata?: { requestId?: string } }) => ({
      ...{ requestId: $metadata?.requestId, code: name },
    }),
  );
  return told.requestId === undefined ? undefined : { requestId: told.requestId, code: told.code };
}

/** Asks without pause, each call again once it is over, and notes every reply. */
export class RecordedLoad {
  /** What was answered, good or bad: by request id, the code that the client was told. */
  readonly answered = new Map<string, string>();
  private going = true;
  private ended: Promise<unknown> = Promise.resolve();

  get replies(): number {
    return this.answered.size;
  }

  start(calls: readonly LoadedCall[]): void {
    this.going = true;
    this.ended = Promise.all(calls.map((call) => this.repeat(call)));
  }

  /** Resolves once none is under way. */
  async stop(): Promise<void> {
    this.going = false;
    await this.ended;
  }

  /**
   * Fails where a reply has no record that says what its client was told, or where a request makes more than one event.
   * Gives the records by request.
   */
  async expectAllOnRecord(reader: NatsConnection): Promise<Map<string, AuditRecord[]>> {
    const told = [...this.answered];
    const byRequest = new Map<string, AuditRecord[]>();
    for (const record of await auditRecords(reader)) {
      byRequest.set(record.requestID!, [...(byRequest.get(record.requestID!) ?? []), record]);
    }
    const codesOf = (requestId: string) => byRequest.get(requestId)?.map(({ errorCode = 'OK' }) => errorCode) ?? [];
    const missing = told.filter(
      ([requestId, code]) => !NOT_ON_RECORD.includes(code) && !codesOf(requestId).includes(code),
    );
    expect(
      missing.slice(0, SHOWN).map(([requestId, code]) => ({ requestId, code, onRecord: codesOf(requestId) })),
    ).toEqual([]);
    const events = [...byRequest].map(([requestId, records]) => [
      requestId,
      new Set(records.map(({ eventID }) => eventID)).size,
    ]);
    expect(events.filter(([, count]) => count !== 1).slice(0, SHOWN)).toEqual([]);
    return byRequest;
  }

  private async repeat(call: LoadedCall): Promise<void> {
    while (this.going) {
      const outcome = await call();
      if (outcome) this.answered.set(outcome.requestId, outcome.code);
      // Whom nobody listens to, in a loop of its own, would let nothing else happen.
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
