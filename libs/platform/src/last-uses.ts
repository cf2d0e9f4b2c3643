import type { NatsConnection } from 'nats';
import type { UsedKind } from '#audit-log/uses';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { KnownUse, LastUses } from '#operations/usage/last-uses';
import { usedOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import type { ServedRequests } from './served-requests';

/** With the wait for an audit-projector to be there, 10 s, less than a gateway waits for the reply. */
const TIMEOUT_MS = 10_000;

/** By way of an audit-projector. */
export class RemoteLastUses implements LastUses {
  constructor(
    private readonly nats: NatsConnection,
    private readonly timeoutMs = TIMEOUT_MS,
  ) {}

  async lastUse(kind: UsedKind, id: string): Promise<KnownUse> {
    try {
      return await ask<KnownUse>(this.nats, INTERNAL.lastUse, { kind, id }, { timeoutMs: this.timeoutMs });
    } catch (error) {
      if (!(error instanceof KmsError) || error.code !== 'DependencyTimeoutException') throw error;
      throw new KmsError('DependencyTimeoutException', `The last use cannot be told now: ${error.message}`, error);
    }
  }
}

/** Serves RemoteLastUses. */
export function serveLastUses(served: ServedRequests, lastUses: LastUses, onError: (error: unknown) => void): void {
  answer<unknown, KnownUse>(
    served,
    INTERNAL.lastUse,
    QUEUE.audit,
    (question) => {
      const { kind, id } = usedOf(question);
      return lastUses.lastUse(kind, id);
    },
    onError,
  );
}

/** Where no records are kept: what they said once is no answer. */
export const UNTRACKED: LastUses = {
  async lastUse() {
    throw new KmsError(
      'UnsupportedOperationException',
      'What is used is not tracked here: no records of calls are kept (KEYTRAIL_RECORDS=off).',
    );
  },
};
