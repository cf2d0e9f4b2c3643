import type { StoreReport } from '#domain/custom-key-store/decide';
import { type ConnectionErrorCode, isConnectionErrorCode } from '#domain/custom-key-store/events';
import type { CustomKeyStore, ExistingStore } from '#domain/custom-key-store/state';
import { KmsError } from '#domain/errors';
import { ConnectError, type StoreConnection, StoreError } from '#hsm/key-store/store-connection';

export interface StoreLinkPorts {
  /** The store as this process's view has it. */
  state(): CustomKeyStore | undefined;
  /** Rejects with ConnectError. */
  open(state: ExistingStore): Promise<StoreConnection>;
  /** Has a key-manager append it; returns once it is in this process's view. */
  report(report: StoreReport): Promise<void>;
  onError(error: unknown, what: string): void;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * One process's connection to one custom key store: there while the log says that the store is CONNECTED, or is to be. Whatever
 * fails is tried again, after a pause, as long as the log says so.
 */
export class StoreLink {
  private held: { of: string; connection: StoreConnection } | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private pauseMs = FIRST_PAUSE_MS;
  private endPause: (() => void) | undefined;
  private readonly closing = new Set<Promise<void>>();
  private readonly waiting = new Set<() => void>();

  constructor(private readonly ports: StoreLinkPorts) {}

  /** To be called after each commit of the store. What is not to be used any more is not used from here on. */
  follow(): void {
    if (this.stopped) return;
    if (this.held && this.held.of !== this.wanted()?.of) this.drop();
    this.again = true;
    this.pauseMs = FIRST_PAUSE_MS;
    this.endPause?.();
    this.running ??= this.settle();
  }

  get isOpen(): boolean {
    return this.held !== undefined;
  }

  /** The connection, which is waited for a while. Rejects with StoreError. */
  async connection(patienceMs: number): Promise<StoreConnection> {
    if (!this.held && this.wanted()) await this.opened(patienceMs);
    const held = this.held as { connection: StoreConnection } | undefined;
    if (held) return held.connection;
    throw new StoreError('unreachable', 'the custom key store is not connected');
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.endPause?.();
    this.drop();
    await this.running;
    await Promise.all(this.closing);
  }

  /** What is to be connected to; `of` sets apart each attempt, address and secret. */
  private wanted(): { of: string; state: ExistingStore } | undefined {
    const state = this.ports.state();
    if (state?.storeState !== 'Existing') return undefined;
    if (state.connection !== 'CONNECTING' && state.connection !== 'CONNECTED') return undefined;
    const { attempt, backing, secretId } = state;
    return { of: JSON.stringify([attempt, backing, secretId]), state };
  }

  /** Until there is nothing to do. */
  private async settle(): Promise<void> {
    while (this.again && !this.stopped) {
      this.again = false;
      try {
        await this.step();
        this.pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        this.ports.onError(error, 'a custom key store could not be connected; it is tried again');
        this.again = true;
        await this.pause();
      }
    }
    // In one step with the last look at `again`: who sets it later starts anew.
    this.running = undefined;
  }

  private async step(): Promise<void> {
    const state = this.ports.state();
    if (state?.storeState === 'Existing' && state.connection === 'DISCONNECTING') {
      // The key-manager sees to it that no other process uses its connection any more, and may yet have one to close.
      await Promise.all(this.closing);
      await this.ports.report({ type: 'RecordDisconnected', attempt: state.attempt });
      return;
    }
    const wanted = this.wanted();
    if (!wanted) return;
    if (!this.held && !(await this.open(wanted))) return;
    const now = this.wanted();
    if (now?.of === wanted.of && now.state.connection === 'CONNECTING') {
      await this.ports.report({ type: 'RecordConnected', attempt: now.state.attempt });
    }
  }

  /** Whether it is open. Throws where it is to be tried again. */
  private async open({ of, state }: { of: string; state: ExistingStore }): Promise<boolean> {
    let connection: StoreConnection;
    try {
      connection = await this.ports.open(state);
    } catch (error) {
      const now = this.wanted();
      if (now?.of !== of) return false;
      // That its secret cannot be fetched is no fault of the store.
      const isOurs = error instanceof KmsError && error.retryable;
      if (now.state.connection === 'CONNECTED' || isOurs) throw error;
      this.ports.onError(error, 'a custom key store could not be connected');
      await this.ports.report({ type: 'RecordConnectionFailed', attempt: now.state.attempt, code: codeOf(error) });
      return false;
    }
    if (this.stopped || this.wanted()?.of !== of) {
      this.close(connection);
      return false;
    }
    this.held = { of, connection };
    for (const release of this.waiting) release();
    return true;
  }

  private drop(): void {
    if (!this.held) return;
    this.close(this.held.connection);
    this.held = undefined;
  }

  private close(connection: StoreConnection): void {
    const closed = connection
      .close()
      .catch((error: unknown) => this.ports.onError(error, 'a custom key store could not be disconnected'))
      .finally(() => this.closing.delete(closed));
    this.closing.add(closed);
  }

  private opened(patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => release(), patienceMs);
      const release = () => {
        clearTimeout(timer);
        this.waiting.delete(release);
        resolve();
      };
      this.waiting.add(release);
    });
  }

  private pause(): Promise<void> {
    if (this.stopped) return Promise.resolve();
    const ms = this.pauseMs;
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.endPause?.(), ms);
      this.endPause = () => {
        clearTimeout(timer);
        this.endPause = undefined;
        resolve();
      };
    });
  }
}

const codeOf = (error: unknown): ConnectionErrorCode =>
  error instanceof ConnectError && isConnectionErrorCode(error.code) ? error.code : 'INTERNAL_ERROR';
