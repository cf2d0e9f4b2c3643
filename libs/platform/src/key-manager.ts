import { randomBytes, randomUUID } from 'node:crypto';
import { type AggregateType, aggregateOf, type CommandOf, type EventOf, isRevoking } from '#domain/aggregates';
import { keyArn } from '#domain/arn';
import { type DomainEvent, NO_HASH } from '#domain/commit';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import type { AggregateRef } from '#domain/subjects';
import { ConflictError, type EventStore } from '#event-store/event-store';
import { type CommandOrigin, type CommandResult, CommandRunner } from '#event-store/run-command';
import type { GrantTokenClaims } from '#operations/grants/grant-tokens';
import { Limits } from '#operations/limits';
import type { Call, ControlPorts, Serving, Tenure } from '#operations/operation';
import type { Timer } from '#views/due-times';
import type { LiveView } from '#views/live-view';
import type { Clock } from './clock';
import type { FailPoint } from './fail-points';
import type { GrantTokenSigner } from './grant-tokens';

/** What the key-manager asks of whoever holds key material. */
export interface MaterialCustodian {
  /** Generates and durably stores; harmless to repeat. */
  create(keyArn: string, materialId: string): Promise<void>;
  /** Erases material of a deleted key for good; harmless to repeat. */
  destroy(ref: AggregateRef, materialId: string): Promise<void>;
}

export interface KeyManagerPorts {
  store: EventStore;
  view: LiveView;
  clock: Clock;
  serving: Serving;
  materials: MaterialCustodian;
  /** Resolves once no process can still complete an operation on the state before the position. */
  appliedEverywhere(position: number): Promise<void>;
  failPoint: FailPoint;
  signGrantToken: GrantTokenSigner;
}

/** Decides commands on every aggregate, and fires the timers of keys. */
export class KeyManager implements Omit<ControlPorts, 'projection'> {
  readonly limits = new Limits();
  private readonly runner: CommandRunner;

  /** Position of the newest commit that took something away. */
  private newestRevocation = 0;

  constructor(private readonly ports: KeyManagerPorts) {
    ports.view.onCommit(({ aggregate, events }, position) => {
      if (events.some((event) => isRevoking(aggregate, event as EventOf<typeof aggregate>))) {
        this.newestRevocation = position;
      }
    });
    this.runner = new CommandRunner({
      store: ports.store,
      applied: (commit) => ports.view.offer(commit),
      reached: (position) => ports.view.waitFor(position),
      position: () => ports.view.position,
      failPoint: ports.failPoint,
    });
  }

  get projection() {
    return this.ports.view.projection;
  }

  newKeyId(): string {
    return randomUUID();
  }

  grantToken(claims: GrantTokenClaims): Promise<string | undefined> {
    return this.ports.signGrantToken(claims);
  }

  random(length: number): Buffer {
    return randomBytes(length);
  }

  wasBehind(held?: number): Promise<boolean> {
    return this.runner.wasBehind(held);
  }

  runCommand<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    call: Call,
  ): Promise<CommandResult<EventOf<T>>> {
    const { tenure, checks } = call;
    const stillAllowed = () => checks?.assertHold(this.newestRevocation, this.ports.view.position);
    return this.run(ref, command, originOf(call), tenure && { tenure, assertStillAllowed: stillAllowed });
  }

  /**
   * A command that another service has checked the caller's permissions for, in a view that held `checkedAt`. Rejects with
   * ConcurrentModification, and nothing is appended, if something was taken away from somebody since.
   */
  async runFor<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    origin: CommandOrigin,
    checkedAt?: number,
  ): Promise<CommandResult<EventOf<T>>> {
    const tenure = this.ports.serving.begin();
    try {
      const assertStillAllowed = (): void => {
        if (checkedAt !== undefined && this.newestRevocation > checkedAt) throw changedSince();
      };
      return await this.run(ref, command, origin, { tenure, assertStillAllowed });
    } catch (error) {
      throw error instanceof ConflictError ? changedSince() : error;
    } finally {
      tenure.end();
    }
  }

  /**
   * Does what a timer asks for. Each step is decided anew and harmless to repeat; a crash between steps leaves a
   * deleted key that is still due for clean-up. Whether anything changed.
   */
  async fire(timer: Timer): Promise<boolean> {
    const { kind, ref, deadline } = timer;
    const requestId = randomUUID();
    const isRotation = kind === 'Rotation';
    // Each step has its own time: erasing may take a while, or follow hours after the deletion.
    const origin = (dated?: string): CommandOrigin => ({
      principal: isRotation ? 'keytrail:rotation-scheduler' : 'keytrail:deletion-scheduler',
      requestId,
      operation: isRotation ? 'AutomaticKeyRotation' : 'KeyDeletion',
      now: isoDate(this.ports.clock.now()),
      ...(dated === undefined ? {} : { dated }),
    });
    if (isRotation) {
      const { events } = await this.run(ref, { type: 'FireRotation', deadline }, origin(deadline));
      return events.length > 0;
    }
    if (kind === 'Deletion') await this.run(ref, { type: 'FireDeletion', deadline }, origin(deadline));
    return this.cleanUp(ref, origin);
  }

  private async cleanUp(ref: AggregateRef<'key'>, origin: () => CommandOrigin): Promise<boolean> {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (key?.keyState !== 'Deleted') return false;
    for (const name of [...this.projection.aliasNamesOf(ref)]) {
      const alias = { ...ref, aggregate: 'alias' as const, id: name };
      await this.run(alias, { type: 'RemoveAliasOfDeletedKey', keyId: ref.id }, origin());
    }
    for (const materialId of key.materialIds) await this.ports.materials.destroy(ref, materialId);
    return (await this.run(ref, { type: 'RecordMaterialDestroyed' }, origin())).events.length > 0;
  }

  private async run<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    origin: CommandOrigin,
    checked?: { tenure: Tenure; assertStillAllowed(): void },
  ): Promise<CommandResult<EventOf<T>>> {
    const { region, account, aggregate, id } = ref;
    const { initial, decide } = aggregateOf(aggregate);
    const result = await this.runner.run<typeof initial, EventOf<T>>(
      {
        ref,
        load: () => this.projection.folded(ref) ?? { state: initial, version: 0, seq: 0, hash: NO_HASH, time: '' },
        decide: (state, now) => decide(command, state, { region, account, id, now }),
        prepare: (events) => this.storeMaterial(ref, events),
        ...(checked && {
          checked: {
            assertNotOver: () => checked.tenure.assertNotOver(),
            assertStillAllowed: () => checked.assertStillAllowed(),
          },
        }),
      },
      origin,
    );
    // Two revoking writes of two key-managers would wait for each other otherwise.
    checked?.tenure.end();
    // Nothing to change may mean that an earlier try changed it and did not wait to the end: this one does.
    if (result.events.length === 0 || result.events.some((event) => isRevoking(aggregate, event))) {
      await this.ports.appliedEverywhere(result.position);
    }
    return result;
  }

  private async storeMaterial(ref: AggregateRef, events: readonly DomainEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'KeyCreated' || event.type === 'KeyRotated')
        await this.ports.materials.create(keyArn(ref.region, ref.account, ref.id), event.materialId);
    }
  }
}

export const originOf = (call: Call): CommandOrigin => ({
  principal: call.caller.principalArn,
  requestId: call.requestId,
  operation: call.operation,
  now: call.now,
});

const changedSince = (): KmsError =>
  new KmsError('ConcurrentModification', 'Permissions were changed at the same time; try again.');
