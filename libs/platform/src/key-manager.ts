import { randomUUID } from 'node:crypto';
import { type AggregateType, aggregateOf, type CommandOf, type EventOf, isRevoking } from '#domain/aggregates';
import { keyArn } from '#domain/arn';
import { type DomainEvent, NO_HASH } from '#domain/commit';
import type { AggregateRef } from '#domain/subjects';
import type { EventStore } from '#event-store/event-store';
import { type CommandOrigin, type CommandResult, CommandRunner } from '#event-store/run-command';
import type { Call, ControlPorts } from '#operations/operation';
import type { Timer } from '#views/due-times';
import type { LiveView } from '#views/live-view';
import type { Clock } from './clock';
import type { FailPoint } from './fail-points';

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
  materials: MaterialCustodian;
  /** Resolves once every live crypto-worker has applied the position, or its lease has run out. */
  workersApplied(position: number): Promise<void>;
  failPoint: FailPoint;
}

/** Decides commands on every aggregate, and fires the timers of keys. */
export class KeyManager implements Pick<ControlPorts, 'newKeyId' | 'runCommand'> {
  private readonly runner: CommandRunner;

  constructor(private readonly ports: KeyManagerPorts) {
    this.runner = new CommandRunner({
      store: ports.store,
      applied: (commit) => ports.view.offer(commit),
      reached: (position) => ports.view.waitFor(position),
      failPoint: ports.failPoint,
    });
  }

  get projection() {
    return this.ports.view.projection;
  }

  newKeyId(): string {
    return randomUUID();
  }

  runCommand<T extends AggregateType>(ref: AggregateRef<T>, command: CommandOf<T>, call: Call): Promise<CommandResult> {
    return this.run(ref, command, originOf(call));
  }

  /**
   * Does what a timer asks for. Each step is decided anew and harmless to repeat; a crash between steps leaves a
   * deleted key that is still due for clean-up.
   */
  async fire(timer: Timer): Promise<void> {
    const { kind, ref, deadline } = timer;
    const now = new Date(this.ports.clock.now()).toISOString();
    const operation = kind === 'Rotation' ? 'AutomaticKeyRotation' : 'KeyDeletion';
    const origin: CommandOrigin = {
      principal: kind === 'Rotation' ? 'keytrail:rotation-scheduler' : 'keytrail:deletion-scheduler',
      requestId: randomUUID(),
      operation,
      now,
      dated: deadline,
    };
    if (kind === 'Rotation') await this.run(ref, { type: 'FireRotation', deadline }, origin);
    if (kind === 'Deletion') await this.run(ref, { type: 'FireDeletion', deadline }, origin);
    if (kind !== 'Rotation') await this.cleanUp(ref, origin);
  }

  private async cleanUp(ref: AggregateRef<'key'>, origin: CommandOrigin): Promise<void> {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (key?.keyState !== 'Deleted') return;
    for (const name of [...this.projection.aliasNamesOf(ref)]) {
      const alias = { ...ref, aggregate: 'alias' as const, id: name };
      await this.run(alias, { type: 'RemoveAliasOfDeletedKey', keyId: ref.id }, origin);
    }
    for (const materialId of key.materialIds) await this.ports.materials.destroy(ref, materialId);
    await this.run(ref, { type: 'RecordMaterialDestroyed' }, origin);
  }

  private async run<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    origin: CommandOrigin,
  ): Promise<CommandResult> {
    const { region, account, aggregate, id } = ref;
    const { initial, decide } = aggregateOf(aggregate);
    let revoking = false;
    const result = await this.runner.run<typeof initial, EventOf<T>>(
      {
        ref,
        load: () => this.projection.folded(ref) ?? { state: initial, version: 0, seq: 0, hash: NO_HASH, time: '' },
        decide: (state, now) => decide(command, state, { region, account, id, now }),
        prepare: async (events) => {
          revoking = events.some((event) => isRevoking(aggregate, event));
          await this.storeMaterial(ref, events);
        },
      },
      origin,
    );
    // Nothing to change may mean that an earlier try changed it and did not wait to the end: this one does.
    if (revoking || !result.changed) await this.ports.workersApplied(result.position);
    return result;
  }

  private async storeMaterial(ref: AggregateRef, events: readonly DomainEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'KeyCreated' || event.type === 'KeyRotated')
        await this.ports.materials.create(keyArn(ref.region, ref.account, ref.id), event.materialId);
    }
  }
}

const originOf = (call: Call): CommandOrigin => ({
  principal: call.caller.principalArn,
  requestId: call.requestId,
  operation: call.operation,
  now: call.now,
});
