import { randomUUID } from 'node:crypto';
import type { NatsConnection } from 'nats';
import { isoDate } from '#domain/dates';
import { type AggregateRef, eventSubject, INTERNAL, QUEUE } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import type { Timer } from '#views/due-times';
import { canDestroy } from '#views/key-store';
import type { Clock } from './clock';
import { timerOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import type { KeyManager } from './key-manager';
import type { MaterialCustodian } from './material-custodian';
import { eraseReleased } from './released-material';
import type { ServedRequests } from './served-requests';
import { settleRelated } from './settle-related';

export interface KeyTimersPorts {
  manager: Pick<KeyManager, 'projection' | 'runUnchecked'>;
  materials: MaterialCustodian;
  clock: Clock;
}

/**
 * Does what the timers of keys ask for, beside the key-manager. Everything is decided anew and harmless to repeat. Each
 * resolves with whether anything changed.
 */
export class KeyTimers {
  /** Under way, by key: one at a time, since a scheduler whose answer was lost, or takes long, asks again. */
  private readonly firing = new Map<string, Promise<boolean>>();

  constructor(private readonly ports: KeyTimersPorts) {}

  async fire(timer: Timer): Promise<boolean> {
    const key = eventSubject(timer.ref);
    const before = this.firing.get(key);
    const turn = (async () => {
      await before?.catch(() => {});
      return this.begin(timer);
    })();
    this.firing.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.firing.get(key) === turn) this.firing.delete(key);
    }
  }

  private begin({ kind, ref, deadline }: Timer): Promise<boolean> {
    switch (kind) {
      case 'Rotation':
        return this.rotate(ref, deadline);
      case 'Deletion':
        return this.deleteKey(ref, deadline);
      case 'Cleanup':
        return this.finishDeletion(ref, this.originsOfDeletion());
      case 'MaterialExpiry':
        return this.expire(ref, deadline);
      case 'MaterialErasure':
        return eraseReleased(this.ports, ref, this.originsOfExpiry()());
      case 'MultiRegion':
        return this.settleRelated(ref);
    }
  }

  private async rotate(ref: AggregateRef<'key'>, deadline: string): Promise<boolean> {
    const origin = this.origin('keytrail:rotation-scheduler', 'AutomaticKeyRotation')(deadline);
    const { events } = await this.ports.manager.runUnchecked(ref, { type: 'FireRotation', deadline }, origin);
    if (events.length > 0) await this.settleRelated(ref);
    return events.length > 0;
  }

  /** A crash after the first step leaves a deleted key that is due for clean-up. */
  private async deleteKey(ref: AggregateRef<'key'>, deadline: string): Promise<boolean> {
    const origin = this.originsOfDeletion();
    const { events } = await this.ports.manager.runUnchecked(ref, { type: 'FireDeletion', deadline }, origin(deadline));
    const finished = await this.finishDeletion(ref, origin);
    if (events.length > 0) await this.settleRelated(ref);
    return finished || events.length > 0;
  }

  /** Takes aliases and material away from a deleted key; a crash between leaves it due for clean-up. */
  private async finishDeletion(ref: AggregateRef<'key'>, origin: () => CommandOrigin): Promise<boolean> {
    const { manager, materials } = this.ports;
    const key = manager.projection.key(ref.region, ref.account, ref.id)?.state;
    if (key?.keyState !== 'Deleted') return false;
    let changed = false;
    for (const name of [...manager.projection.aliasNamesOf(ref)]) {
      const alias = { ...ref, aggregate: 'alias' as const, id: name };
      const command = { type: 'RemoveAliasOfDeletedKey', keyId: ref.id } as const;
      changed = (await manager.runUnchecked(alias, command, origin())).events.length > 0 || changed;
    }
    // In a store that is not connected the material waits: the timer is due again once it is.
    if (!canDestroy(manager.projection, ref, key)) return changed;
    // All at once: a key has dozens of versions, and each may take until the time-out.
    await Promise.all(key.materialIds.map((materialId) => materials.destroy(ref, materialId)));
    const { events } = await manager.runUnchecked(ref, { type: 'RecordMaterialDestroyed' }, origin());
    return changed || events.length > 0;
  }

  /** A crash after the first step leaves a copy of the material that is due to be erased. */
  private async expire(ref: AggregateRef<'key'>, deadline: string): Promise<boolean> {
    const origin = this.originsOfExpiry();
    const command = { type: 'FireMaterialExpiry', deadline } as const;
    const { events } = await this.ports.manager.runUnchecked(ref, command, origin(deadline));
    const erased = await eraseReleased(this.ports, ref, origin());
    return erased || events.length > 0;
  }

  private originsOfExpiry(): (dated?: string) => CommandOrigin {
    return this.origin('keytrail:deletion-scheduler', 'MaterialExpiry');
  }

  private settleRelated(ref: AggregateRef<'key'>): Promise<boolean> {
    const now = isoDate(this.ports.clock.now());
    return settleRelated(this.ports.manager, ref, { now, requestId: randomUUID() });
  }

  private originsOfDeletion(): (dated?: string) => CommandOrigin {
    return this.origin('keytrail:deletion-scheduler', 'KeyDeletion');
  }

  /** One request id for all steps; each has its own time: erasing may take a while, or follow hours after the deletion. */
  private origin(principal: string, operation: string): (dated?: string) => CommandOrigin {
    const requestId = randomUUID();
    return (dated) => ({
      principal,
      requestId,
      operation,
      now: isoDate(this.ports.clock.now()),
      ...(dated === undefined ? {} : { dated }),
    });
  }
}

/** For all that a firing may have to wait for: the view, appends, a barrier, material being erased. */
const FIRE_TIMEOUT_MS = 90_000;
/** Asked again after so long, and harmless to repeat: a key-manager that is still at it ends that first. */
const FIRE_ATTEMPT_MS = 20_000;

/** Fires a timer by way of a key-manager: whether it changed anything. */
export const fireRemotely = (nats: NatsConnection, timer: Timer, attemptMs = FIRE_ATTEMPT_MS): Promise<boolean> =>
  ask(nats, INTERNAL.timerFire, timer, { timeoutMs: FIRE_TIMEOUT_MS, attemptMs });

/** Serves fireRemotely. */
export function serveTimers(
  served: ServedRequests,
  fire: (timer: Timer) => Promise<boolean>,
  caughtUp: () => Promise<void>,
  onError: (error: unknown) => void,
): void {
  answer<unknown, boolean>(
    served,
    INTERNAL.timerFire,
    QUEUE.control,
    async (question) => {
      const timer = timerOf(question);
      await caughtUp();
      return fire(timer);
    },
    onError,
  );
}
