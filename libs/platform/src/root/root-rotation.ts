import { randomUUID } from 'node:crypto';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { ROOT_REF, type Root, type RootCommand, type RootKeyRef } from '#domain/root/root';
import type { HsmProvider } from '#hsm/hsm-provider';
import type { MaterialVault } from '#hsm/material-vault';
import type { RewrapReport } from '#hsm/rewrap';
import { RootKeyError } from '#hsm/root-key-error';
import type { LiveView } from '#views/live-view';
import type { Clock } from '../clock';
import type { WorkerCommands } from '../worker-commands';

export interface RootRotationPorts {
  /** By which the operator tells processes apart. */
  instance: string;
  provider: HsmProvider;
  vault: Pick<MaterialVault, 'rewrap'>;
  view: Pick<LiveView, 'projection'>;
  commands: Pick<WorkerCommands, 'append'>;
  /** Resolves once the view holds what the log held when it was asked. */
  caughtUp(): Promise<void>;
  /** Erases what the log says is to be erased, moved or not. */
  sweep(): Promise<void>;
  clock: Clock;
  failPoint(name: string): void;
}

/** The next root key, or that of the rotation that is under way. */
export interface PreparedRoot {
  from: number;
  key: RootKeyRef;
}

/** What a crypto-worker says of the root key. */
export interface RootStatus {
  instance: string;
  /** `software`, `pkcs11` */
  provider: string;
  /** Which epoch it wraps under. */
  epoch: number;
  root: Root;
  /** Of the key that it was asked about: why it cannot use it; absent where it can. */
  without?: string;
  /** Of this process's own work on a rotation: copies met, of how many. Absent where it does none. */
  progress?: { walked: number; copies: number };
  /** Why its work on a rotation ended, if it did before the rotation's end. */
  failure?: string;
}

/** More rounds than this means that somebody goes on storing under the old epoch. */
const MAX_ROUNDS = 10;
const MAX_NAMED = 20;

/** Replaces the root key, at the operator's word: docs/hsm.md, "Root epochs", numbers the steps. Any crypto-worker can go on with it. */
export class RootRotation {
  private running: Promise<void> | undefined;
  private readonly stopping = new AbortController();
  private progress: { walked: number; copies: number } | undefined;
  private failure: string | undefined;

  constructor(private readonly ports: RootRotationPorts) {}

  stop(): void {
    this.stopping.abort();
  }

  /** Step 1. Throws ValidationException where this root key cannot be rotated. */
  async prepare(): Promise<PreparedRoot> {
    const { provider, caughtUp, failPoint } = this.ports;
    await caughtUp();
    const { root } = this;
    if ('from' in root) return { from: root.from, key: root.key };
    const from = await provider.currentEpoch();
    try {
      failPoint('before-make:root-epoch');
      const key = await provider.makeEpoch(from + 1);
      // A crash here leaves a key that nothing is wrapped under; the next try takes it.
      failPoint('after-make:root-epoch');
      return { from, key };
    } catch (error) {
      if (error instanceof RootKeyError) throw new KmsError('ValidationException', error.message, error);
      throw error;
    }
  }

  /** Begins with the other steps, or goes on with them, unless this process is at it, or there is nothing left to do for this epoch. */
  go({ from, key }: PreparedRoot): void {
    if (this.running) return;
    this.failure = undefined;
    this.running = this.run(from, key)
      .catch((error: unknown) => {
        this.failure = error instanceof Error ? error.message : 'an internal error occurred';
        if (!this.stopping.signal.aborted) this.onFailure(error);
      })
      .finally(() => {
        this.running = undefined;
        this.progress = undefined;
      });
  }

  /** Told why the work ended before the rotation's end. */
  onFailure: (error: unknown) => void = () => {};

  async status(key?: RootKeyRef): Promise<RootStatus> {
    const { instance, provider } = this.ports;
    const status: RootStatus = {
      instance,
      provider: provider.name,
      epoch: await provider.currentEpoch(),
      root: this.root,
      ...(this.progress && { progress: this.progress }),
      ...(this.failure === undefined ? {} : { failure: this.failure }),
    };
    if (!key) return status;
    try {
      await provider.check(key);
      return status;
    } catch (error) {
      return { ...status, without: (error as Error).message };
    }
  }

  private get root(): Root {
    return this.ports.view.projection.root;
  }

  private async run(from: number, key: RootKeyRef): Promise<void> {
    const { provider, failPoint, caughtUp, sweep } = this.ports;
    this.progress = { walked: 0, copies: 0 };
    await caughtUp();
    if (this.isOver(from)) return;
    // Step 2; where it was done before, this waits all the same until every crypto-worker has applied it.
    await this.append({ type: 'BeginRootRotation', from, keyId: key.id });
    // Step 3.
    await this.pass(from, key.epoch);
    await this.rewrap(from, key.epoch);
    await sweep();
    // Step 4.
    await this.append({ type: 'RetireRootEpoch', epoch: from });
    // Of a crypto-worker that was still starting when the rotation was begun, and had no lease that it waited for.
    await this.rewrap(from, key.epoch);
    // Step 5. A crash from here on leaves an epoch that nothing needs, recorded as destroyed or not.
    failPoint('before-destroy:root-epoch');
    await provider.destroyEpoch(from);
    failPoint('after-destroy:root-epoch');
    await this.append({ type: 'RecordRootEpochDestroyed', epoch: from });
  }

  private isOver(from: number): boolean {
    const { root } = this;
    return root.rootState === 'Rotated' && root.key.epoch > from;
  }

  /** Until nothing of epoch `from` is left. */
  private async rewrap(from: number, to: number): Promise<void> {
    const { signal } = this.stopping;
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      if ((await this.ports.vault.rewrap(from, to).left(signal)) === 0) return;
      await this.pass(from, to);
    }
    throw new KmsError('KMSInternalException', `materials of epoch ${from} are still being stored`);
  }

  private async pass(from: number, to: number): Promise<void> {
    const rewrap = this.ports.vault.rewrap(from, to);
    const copies = await rewrap.count();
    this.progress = {
      get walked() {
        return Math.min(rewrap.walked, copies);
      },
      copies,
    };
    refuseUnusable(await rewrap.pass(this.stopping.signal));
  }

  private append(command: RootCommand): Promise<void> {
    const now = isoDate(this.ports.clock.now());
    const origin = { principal: 'keytrail:operator', requestId: randomUUID(), operation: 'RotateRootKey', now };
    return this.ports.commands.append(ROOT_REF, command, origin);
  }
}

function refuseUnusable({ unusable }: RewrapReport): void {
  if (unusable.length === 0) return;
  const more = unusable.length > MAX_NAMED ? [`and ${unusable.length - MAX_NAMED} more`] : [];
  throw new KmsError('KMSInternalException', [...unusable.slice(0, MAX_NAMED), ...more].join('\n'));
}
