import { randomUUID } from 'node:crypto';
import { type AliasCommand, decideAlias, initialAlias } from '#domain/alias/alias';
import type { AliasEvent } from '#domain/alias/events';
import { aliasArn, keyArn } from '#domain/arn';
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
export class KeyManager implements Omit<ControlPorts, 'projection'> {
  private readonly runner: CommandRunner;

  constructor(private readonly ports: KeyManagerPorts) {
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

  wasBehind(): Promise<boolean> {
    return this.runner.wasBehind();
  }

  runKeyCommand(ref: AggregateRef, command: KeyCommand, call: Call): Promise<CommandResult<KeyEvent>> {
    return this.keyCommand(ref, command, originOf(call));
  }

  runAliasCommand(ref: AggregateRef, command: AliasCommand, call: Call): Promise<CommandResult<AliasEvent>> {
    return this.aliasCommand(ref, command, originOf(call));
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
      const { events } = await this.keyCommand(ref, { type: 'FireRotation', deadline }, origin(deadline));
      return events.length > 0;
    }
    if (kind === 'Deletion') await this.keyCommand(ref, { type: 'FireDeletion', deadline }, origin(deadline));
    return this.cleanUp(ref, origin);
  }

  private async cleanUp(ref: AggregateRef, origin: () => CommandOrigin): Promise<boolean> {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (key?.keyState !== 'Deleted') return false;
    for (const name of [...this.projection.aliasNamesOf(ref)]) {
      const alias = { ...ref, aggregate: 'alias' as const, id: name };
      await this.aliasCommand(alias, { type: 'RemoveAliasOfDeletedKey', keyId: ref.id }, origin());
    }
    for (const materialId of key.materialIds) await this.ports.materials.destroy(ref, materialId);
    return (await this.keyCommand(ref, { type: 'RecordMaterialDestroyed' }, origin())).events.length > 0;
  }

  private async keyCommand(
    ref: AggregateRef,
    command: KeyCommand,
    origin: CommandOrigin,
  ): Promise<CommandResult<KeyEvent>> {
    const arn = keyArn(ref.region, ref.account, ref.id);
    const result = await this.runner.run(
      {
        ref,
        load: () => loaded(this.projection.key(ref.region, ref.account, ref.id), initialKey),
        decide: (key, now) => decideKey(command, key, { keyArn: arn, now }),
        prepare: (events) => this.storeMaterial(arn, events),
      },
      origin,
    );
    // With nothing to change, an earlier call may have revoked, and be waiting still or have timed out.
    if (result.events.length === 0 || result.events.some((event) => REVOKING.has(event.type))) {
      await this.ports.workersApplied(result.position);
    }
    return result;
  }

  private async aliasCommand(
    ref: AggregateRef,
    command: AliasCommand,
    origin: CommandOrigin,
  ): Promise<CommandResult<AliasEvent>> {
    const arn = aliasArn(ref.region, ref.account, `alias/${ref.id}`);
    return this.runner.run(
      {
        ref,
        load: () => loaded(this.projection.alias(ref.region, ref.account, ref.id), initialAlias),
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
