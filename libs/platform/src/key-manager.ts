import { randomUUID } from 'node:crypto';
import { decideAlias, initialAlias } from '#domain/alias/alias';
import type { AliasEvent } from '#domain/alias/events';
import { keyArn } from '#domain/arn';
import { NO_HASH } from '#domain/commit';
import { isoDate } from '#domain/dates';
import type { KeyCommand } from '#domain/key/commands';
import { decideKey } from '#domain/key/decide';
import type { KeyEvent } from '#domain/key/events';
import { initialKey } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import type { EventStore } from '#event-store/event-store';
import { type CommandOrigin, type CommandResult, CommandRunner, type Loaded } from '#event-store/run-command';
import type { Call, ControlPorts } from '#operations/operation';
import type { Timer } from '#views/due-times';
import type { LiveView } from '#views/live-view';
import type { Folded } from '#views/projection';
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

/** Events after which some operation that was allowed no longer is. */
const REVOKING: ReadonlySet<string> = new Set(['KeyDisabled', 'KeyDeletionScheduled', 'KeyPolicyPut', 'KeyDeleted']);

/** Decides commands on keys and aliases, and fires their timers. */
export class KeyManager implements Pick<ControlPorts, 'newKeyId' | 'runKeyCommand' | 'runAliasCommand'> {
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

  runKeyCommand(ref: AggregateRef, command: KeyCommand, call: Call): Promise<CommandResult> {
    return this.keyCommand(ref, command, originOf(call));
  }

  runAliasCommand(ref: AggregateRef, command: Parameters<ControlPorts['runAliasCommand']>[1], call: Call) {
    return this.aliasCommand(ref, command, originOf(call));
  }

  /**
   * Does what a timer asks for. Each step is decided anew and harmless to repeat; a crash between steps leaves a
   * deleted key that is still due for clean-up. Whether anything changed.
   */
  async fire(timer: Timer): Promise<boolean> {
    const { kind, ref, deadline } = timer;
    const now = isoDate(this.ports.clock.now());
    const operation = kind === 'Rotation' ? 'AutomaticKeyRotation' : 'KeyDeletion';
    const origin: CommandOrigin = {
      principal: kind === 'Rotation' ? 'keytrail:rotation-scheduler' : 'keytrail:deletion-scheduler',
      requestId: randomUUID(),
      operation,
      now,
      dated: deadline,
    };
    if (kind === 'Rotation') return (await this.keyCommand(ref, { type: 'FireRotation', deadline }, origin)).changed;
    if (kind === 'Deletion') await this.keyCommand(ref, { type: 'FireDeletion', deadline }, origin);
    return this.cleanUp(ref, origin);
  }

  private async cleanUp(ref: AggregateRef, origin: CommandOrigin): Promise<boolean> {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (key?.keyState !== 'Deleted') return false;
    for (const name of [...this.projection.aliasNamesOf(ref)]) {
      const alias = { ...ref, aggregate: 'alias' as const, id: name };
      await this.aliasCommand(alias, { type: 'RemoveAliasOfDeletedKey', keyId: ref.id }, origin);
    }
    for (const materialId of key.materialIds) await this.ports.materials.destroy(ref, materialId);
    return (await this.keyCommand(ref, { type: 'RecordMaterialDestroyed' }, origin)).changed;
  }

  private async keyCommand(ref: AggregateRef, command: KeyCommand, origin: CommandOrigin): Promise<CommandResult> {
    const arn = keyArn(ref.region, ref.account, ref.id);
    let revoking = false;
    const result = await this.runner.run(
      {
        ref,
        load: () => loaded(this.projection.key(ref.region, ref.account, ref.id), initialKey),
        decide: (key, now) => decideKey(command, key, { keyArn: arn, now }),
        prepare: async (events) => {
          revoking = events.some((event) => REVOKING.has(event.type));
          await this.storeMaterial(arn, events);
        },
      },
      origin,
    );
    if (revoking && result.changed) await this.ports.workersApplied(result.position);
    return result;
  }

  private async aliasCommand(
    ref: AggregateRef,
    command: Parameters<typeof decideAlias>[0],
    origin: CommandOrigin,
  ): Promise<CommandResult> {
    const arn = `arn:aws:kms:${ref.region}:${ref.account}:alias/${ref.id}`;
    return this.runner.run<ReturnType<typeof loadedAlias>['state'], AliasEvent>(
      {
        ref,
        load: () => loadedAlias(this.projection.alias(ref.region, ref.account, ref.id)),
        decide: (alias) => decideAlias(command, alias, arn),
      },
      origin,
    );
  }

  private async storeMaterial(arn: string, events: readonly KeyEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type === 'KeyCreated' || event.type === 'KeyRotated')
        await this.ports.materials.create(arn, event.materialId);
    }
  }
}

const originOf = (call: Call): CommandOrigin => ({
  principal: call.caller.principalArn,
  requestId: call.requestId,
  operation: call.operation,
  now: call.now,
});

function loaded<S>(folded: Folded<S> | undefined, initial: S): Loaded<S> {
  return folded ?? { state: initial, version: 0, seq: 0, hash: NO_HASH, time: '' };
}

const loadedAlias = (folded: Parameters<typeof loaded<typeof initialAlias>>[0]) => loaded(folded, initialAlias);
