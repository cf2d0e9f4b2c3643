import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { NatsConnection } from 'nats';
import type { SealingScope } from '#audit-log/batch';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import { trailRef } from '#domain/trail/trail';
import type { CommandOrigin } from '#event-store/run-command';
import type { OwnSecrets } from '#hsm/own-secrets';
import type { LiveView } from '#views/live-view';
import type { Clock } from '../clock';
import { commandOriginOf, membersOf, refOf } from '../internal-questions';
import { answer, ask } from '../internal-requests';
import type { ServedRequests } from '../served-requests';
import { SEALING_KEY_MS, type Shredded } from './sealing-keys';

/** Has a key-manager append that the records of a trail are shredded; the position then. */
export type AppendShredding = (ref: AggregateRef<'trail'>, origin: CommandOrigin) => Promise<{ position: number }>;

export const SHRED_RECORDS = { type: 'ShredRecords' } as const;

/** What is to be shredded: the records of an account, of one month or of all. */
export interface ToShred {
  account: string;
  month?: string;
  /** Only says which months there are. */
  asked?: true;
}

export interface ShreddingPorts {
  secrets: Pick<OwnSecrets, 'auditKeys' | 'destroyAuditKey'>;
  view: Pick<LiveView, 'projection' | 'waitFor'>;
  append: AppendShredding;
  clock: Clock;
  /** How long a key may still be sealed with that was given out before. Default a second more than SEALING_KEY_MS. */
  graceMs?: number;
}

/** Makes what the records of an account keep sealed unreadable for ever. Runs where key material is, at the operator's word. */
export class Shredding {
  constructor(private readonly ports: ShreddingPorts) {}

  /**
   * The months, ascending. First the log says so, from which on nobody is given the keys; once nobody can have them any
   * more they are erased. A crash between leaves keys that no start gives out, and the next one, or the same command, erases.
   */
  async shred({ account, month, asked }: ToShred): Promise<string[]> {
    const { secrets, view, append, clock, graceMs = SEALING_KEY_MS + 1_000 } = this.ports;
    const found = (await secrets.auditKeys()).filter((key) => key.account === account);
    const months = [...new Set(found.map((key) => key.month))]
      .filter((one) => month === undefined || one === month)
      .sort();
    if (asked || months.length === 0) return months;
    const origin = { principal: 'keytrail:operator', requestId: randomUUID(), operation: 'ShredRecords' };
    for (const one of months) {
      const { position } = await append(trailRef(account, one), { ...origin, now: isoDate(clock.now()) });
      await view.waitFor(position);
    }
    await pause(graceMs);
    await this.eraseShredded();
    return months;
  }

  /** Erases what the log says is shredded: what a crash left, or a backup brought back. How many there were. */
  async eraseShredded(): Promise<number> {
    const { secrets, view } = this.ports;
    const left = (await secrets.auditKeys()).filter(
      ({ account, month, generation }) => view.projection.shredded(account, month) >= generation,
    );
    for (const key of left) await secrets.destroyAuditKey(key);
    return left.length;
  }
}

/** By the whole log: `caughtUp` rejects where that is out of reach. */
export const shreddedBy =
  (view: Pick<LiveView, 'projection'>, caughtUp: () => Promise<void>): Shredded =>
  async ({ account, month }: SealingScope) => {
    try {
      await caughtUp();
    } catch (cause) {
      throw new KmsError('DependencyTimeoutException', 'The log is out of reach; try again.', cause);
    }
    return view.projection.shredded(account, month);
  };

const TIMEOUT_MS = 120_000;

/** The operator's request. Never sent twice: the second would shred what was sealed since. */
export const shredRemotely = (nats: NatsConnection, question: ToShred): Promise<string[]> =>
  ask(nats, INTERNAL.shred, question, { timeoutMs: TIMEOUT_MS });

export const serveShredding = (
  served: ServedRequests,
  shredding: Pick<Shredding, 'shred'>,
  onError: (error: unknown) => void,
): void =>
  answer<unknown, string[]>(
    served,
    INTERNAL.shred,
    QUEUE.data,
    (question) => shredding.shred(toShred(question)),
    onError,
  );

function toShred(question: unknown): ToShred {
  const { account, month, asked } = membersOf(question);
  if (typeof account !== 'string' || !/^\d{12}$/.test(account)) {
    throw new KmsError('ValidationException', 'account: expected 12 digits');
  }
  if (month !== undefined && (typeof month !== 'string' || !/^\d{4,6}-\d{2}$/.test(month))) {
    throw new KmsError('ValidationException', 'month: expected one such as 2026-11');
  }
  return { account, ...(month === undefined ? {} : { month }), ...(asked === true ? { asked } : {}) };
}

/** Asks a key-manager over NATS. Never twice: it would be two shreddings. */
export const appendShreddingRemotely =
  (nats: NatsConnection): AppendShredding =>
  (ref, origin) =>
    ask(nats, INTERNAL.trailCommand, { ref, origin });

/** Serves appendShreddingRemotely. */
export function serveTrailCommands(
  served: ServedRequests,
  append: AppendShredding,
  onError: (error: unknown) => void,
): void {
  answer<unknown, { position: number }>(
    served,
    INTERNAL.trailCommand,
    QUEUE.control,
    async (question) => {
      const { ref, origin } = membersOf(question);
      const { position } = await append(refOf(ref, 'trail'), commandOriginOf(origin));
      return { position };
    },
    onError,
  );
}
