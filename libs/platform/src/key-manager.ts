import { randomBytes, randomUUID } from 'node:crypto';
import { type AggregateType, aggregateOf, type CommandOf, type EventOf, isRevoking } from '#domain/aggregates';
import { keyArn } from '#domain/arn';
import { type DomainEvent, NO_HASH } from '#domain/commit';
import { isReport } from '#domain/custom-key-store/decide';
import { KmsError } from '#domain/errors';
import { isAsymmetric } from '#domain/key/key-kinds';
import { materialOwner } from '#domain/key/material-owner';
import { isLiving } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import { ConflictError, type EventStore } from '#event-store/event-store';
import { type CommandOrigin, type CommandResult, CommandRunner } from '#event-store/run-command';
import { hsmLimit } from '#operations/clusters/hsm-limit';
import type { ClusterDirectory, StoreRef } from '#operations/custom-key-stores/key-store-ports';
import { storeLimits } from '#operations/custom-key-stores/store-limits';
import type { GrantTokenClaims } from '#operations/grants/grant-tokens';
import { Limits } from '#operations/limits';
import type { ManagedKey, MintingCause } from '#operations/managed-keys';
import type { OffLoop } from '#operations/off-loop';
import type { Call, ControlPorts, Serving, Tenure } from '#operations/operation';
import type { LastUses } from '#operations/usage/last-uses';
import type { LiveView } from '#views/live-view';
import type { Projection } from '#views/projection';
import type { FailPoint } from './fail-points';
import type { GrantTokenSigner } from './grant-tokens';
import { mintManagedKey } from './managed-keys';
import type { MaterialCustodian } from './material-custodian';
import { eraseReleased } from './released-material';
import { settleRelated } from './settle-related';

export interface KeyManagerPorts {
  store: EventStore;
  view: LiveView;
  serving: Serving;
  materials: MaterialCustodian;
  /** Resolves once no process can still complete an operation on the state before the position. */
  appliedEverywhere(position: number): Promise<void>;
  failPoint: FailPoint;
  signGrantToken: GrantTokenSigner;
  lastUses: LastUses;
  clusters: ClusterDirectory;
}

/** Decides commands on every aggregate, and appends what they cause. The only part that does. */
export class KeyManager implements ControlPorts {
  readonly limits = new Limits();
  private readonly runner: CommandRunner;

  /** Position of the newest commit that took something away. */
  private newestRevocation: number;

  constructor(private readonly ports: KeyManagerPorts) {
    // Any commit that was in the log before this process may have taken something away.
    this.newestRevocation = ports.view.position;
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

  get projection(): Projection {
    return this.ports.view.projection;
  }

  get clusters(): ClusterDirectory {
    return this.ports.clusters;
  }

  get lastUses(): LastUses {
    return this.ports.lastUses;
  }

  newKeyId(multiRegion: boolean): string {
    return multiRegion ? `mrk-${randomUUID().replaceAll('-', '')}` : randomUUID();
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

  revocationsSettled(): Promise<void> {
    return this.ports.appliedEverywhere(this.newestRevocation);
  }

  async mintManagedKey(which: ManagedKey, cause: MintingCause): Promise<void> {
    await mintManagedKey(this)(which, cause);
  }

  /** The change itself is made: no check of a caller's stands behind what follows from it. */
  async settleRelated(ref: AggregateRef<'key'>, { tenure, now, requestId }: Call): Promise<void> {
    tenure?.end();
    await settleRelated(this, ref, { now, requestId });
  }

  runCommand<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    call: Call,
  ): Promise<CommandResult<EventOf<T>>> {
    const { tenure, checks } = call;
    const stillAllowed = () => checks?.assertHold(this.newestRevocation, this.ports.view.position);
    const checked = tenure && { tenure, assertStillAllowed: stillAllowed };
    return this.run(ref, command, originOf(call), checked, call.offLoop);
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
    // What a worker reports of a custom key store rests on no caller's permissions.
    if (isReport(command)) return this.runUnchecked(ref, command, origin);
    let result: CommandResult<EventOf<T>>;
    const tenure = this.ports.serving.begin();
    try {
      const assertStillAllowed = (): void => {
        if (checkedAt !== undefined && this.newestRevocation > checkedAt) throw changedSince();
      };
      result = await this.withinLimits(ref, command, tenure, () =>
        this.run(ref, command, origin, { tenure, assertStillAllowed }),
      );
    } catch (error) {
      throw error instanceof ConflictError ? changedSince() : error;
    } finally {
      tenure.end();
    }
    await this.passOn(ref, origin);
    return { ...result, position: Math.max(result.position, this.ports.view.position) };
  }

  /** Runs it where nothing of another custom key store is in its way, and there is room for another HSM. */
  private withinLimits<R>(ref: AggregateRef, command: unknown, tenure: Tenure, run: () => Promise<R>): Promise<R> {
    if (ref.aggregate === 'cluster') {
      const wanted = command as CommandOf<'cluster'>;
      if (wanted.type !== 'CreateHsm') return run();
      return this.limits.within(hsmLimit(ref, this.projection), wanted.hsmId, { tenure }, run);
    }
    if (ref.aggregate !== 'customKeyStore') return run();
    const limits = storeLimits(ref as StoreRef, command as CommandOf<'customKeyStore'>, this.projection);
    const within = limits.reduce((make, limit) => () => this.limits.within(limit, ref.id, { tenure }, make), run);
    return within();
  }

  /** To related keys. The change is made: where this fails, a timer does it. */
  private async passOn(ref: AggregateRef, origin: CommandOrigin): Promise<void> {
    if (ref.aggregate !== 'key') return;
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    if (!key || !isLiving(key) || !key.multiRegion) return;
    await settleRelated(this, ref as AggregateRef<'key'>, origin).catch(() => {});
  }

  /** A command that rests on no caller's permissions: what comes due by itself. */
  runUnchecked<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    origin: CommandOrigin,
  ): Promise<CommandResult<EventOf<T>>> {
    return this.run(ref, command, origin);
  }

  private async run<T extends AggregateType>(
    ref: AggregateRef<T>,
    command: CommandOf<T>,
    origin: CommandOrigin,
    checked?: { tenure: Tenure; assertStillAllowed(): void },
    offLoop?: OffLoop,
  ): Promise<CommandResult<EventOf<T>>> {
    const { region, account, aggregate, id } = ref;
    const { initial, decide } = aggregateOf(aggregate);
    let result: CommandResult<EventOf<T>>;
    try {
      result = await this.runner.run<typeof initial, EventOf<T>>(
        {
          ref,
          load: () => this.projection.folded(ref) ?? { state: initial, version: 0, seq: 0, hash: NO_HASH, time: '' },
          decide: (state, now) => decide(command, state, { region, account, id, now }),
          prepare: (events) => this.withMaterial(ref, events, offLoop),
          ...(checked && {
            checks: {
              assertNotOver: () => checked.tenure.assertNotOver(),
              assertStillAllowed: () => checked.assertStillAllowed(),
            },
          }),
        },
        origin,
      );
    } catch (failure) {
      // A refusal, as that nothing is to change, may mean that an earlier try made the change and did not wait to the end.
      if (failure instanceof KmsError && !failure.retryable) await this.settledEverywhere(ref, checked?.tenure);
      throw failure;
    }
    if (result.events.length === 0) await this.settledEverywhere(ref, checked?.tenure);
    else if (result.events.some((event) => isRevoking(aggregate, event))) {
      await this.appliedEverywhere(result.position, checked?.tenure);
    }
    return result;
  }

  /** Whatever was taken away by what is in the aggregate's history is gone wherever operations are completed. */
  private async settledEverywhere(ref: AggregateRef, tenure: Tenure | undefined): Promise<void> {
    const newest = this.projection.folded(ref)?.seq;
    if (newest !== undefined) await this.appliedEverywhere(newest, tenure);
  }

  private appliedEverywhere(position: number, tenure: Tenure | undefined): Promise<void> {
    // Two revoking writes of two key-managers would wait for each other otherwise.
    tenure?.end();
    return this.ports.appliedEverywhere(position);
  }

  /** Rejects where the material cannot be erased now: its timer has it done then. */
  async eraseReleased(ref: AggregateRef<'key'>, call: Call): Promise<void> {
    await eraseReleased({ manager: this, materials: this.ports.materials }, ref, originOf(call));
  }

  private makesMaterial(ref: AggregateRef): boolean {
    const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
    return !key || !isLiving(key) || key.origin !== 'EXTERNAL';
  }

  /**
   * The events, once the material that they name is stored; of a new key pair the event tells the public half. A pair, or a key in
   * a custom key store, can take longer than a lease: a call that can be begun anew is broken off for it, so that no right to append is held meanwhile.
   */
  private async withMaterial<E extends DomainEvent>(
    ref: AggregateRef,
    events: readonly E[],
    offLoop: OffLoop | undefined,
  ): Promise<E[]> {
    const arn = keyArn(ref.region, ref.account, ref.id);
    const { materials } = this.ports;
    return Promise.all(
      events.map(async (event) => {
        if (event.type === 'KeyRotated' && this.makesMaterial(ref)) {
          const key = this.projection.key(ref.region, ref.account, ref.id)?.state;
          const owner = key && isLiving(key) ? materialOwner(arn, key) : arn;
          await materials.create(owner, event.materialId, 'SYMMETRIC_DEFAULT');
        }
        if (event.type === 'CustomKeyStoreDisconnected') {
          // Nobody uses it on the state before: then nobody has it open either.
          await this.settledEverywhere(ref, undefined);
          return event;
        }
        // What is imported has been stored before the command was given.
        if (event.type !== 'KeyCreated' || event.materialId === undefined) return event;
        const { materialId, keySpec, customKeyStoreId, xksKeyId } = event;
        const place = customKeyStoreId === undefined ? undefined : { customKeyStoreId, xksKeyId };
        const create = () => materials.create(materialOwner(arn, event), materialId, keySpec, place);
        const isSlow = isAsymmetric(keySpec) || place !== undefined;
        const publicKey = await (offLoop && isSlow ? offLoop.result(materialId, create) : create());
        return publicKey === undefined ? event : { ...event, publicKey };
      }),
    );
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
