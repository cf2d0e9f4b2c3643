import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HsmUnavailableError } from '../hsm-provider';
import type {
  AskedOf,
  GivenBy,
  OpenToken,
  TokenCallName,
  TokenCode,
  TokenFailure,
  TokenInfo,
  TokenReply,
  TokenRequest,
} from './token-calls';

export interface TokenLimits {
  /** How long a call may take before its process is killed, in ms. */
  callMs: number;
  /** The same for loading the module, finding the token and logging in. */
  openMs: number;
  /** Calls under way or waiting; beyond that they are refused at once. */
  waiting: number;
  /** Between two starts of a process that ended, doubled up to `maxPauseMs`. */
  pauseMs: number;
  maxPauseMs: number;
}

const DEFAULTS: TokenLimits = { callMs: 2_000, openMs: 10_000, waiting: 1_000, pauseMs: 100, maxPauseMs: 5_000 };

/** The HSM answers, and says no. */
export class TokenRefusedError extends Error {
  override readonly name = 'TokenRefusedError';

  constructor(
    readonly failure: Exclude<TokenFailure, 'unavailable'>,
    message: string,
    readonly code?: TokenCode,
  ) {
    super(message);
  }
}

/** `code`: what the module answered; undefined where it did not, or with nothing that is known. */
export class TokenUnavailableError extends HsmUnavailableError {
  constructor(
    readonly why: string,
    readonly code?: TokenCode,
    /** Its process was killed for not answering. */
    readonly timedOut = false,
  ) {
    super(`the HSM is not available: ${why}`);
  }
}

const isOfThePin = (code: TokenCode | undefined): boolean => code !== undefined && /^(USER_)?PIN_/.test(code);

interface Pending {
  resolve(given: unknown): void;
  reject(error: Error): void;
  /** By performance.now(). */
  dueAt: number;
}

/** Beside this file where it is built; in tests, which run the sources, where the build has put it. */
function processFile(): string {
  const built = join(__dirname, 'token-process.js');
  return existsSync(built) ? built : join(__dirname, '../../../../dist/libs/hsm/src/pkcs11/token-process.js');
}

/** A vendor's library finds its settings there; Keytrail's own, with its secrets, are none of its business. */
const environment = (own: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('KEYTRAIL_'))),
  ...own,
});

/**
 * One HSM, behind a process of its own: started by the first call, killed by one that is not answered in time, and started
 * anew, after a pause, by the next one after that. Every call rejects with HsmUnavailableError where the HSM, or the way to
 * it, is gone, and with TokenRefusedError where it says no. A PIN that was refused is not tried again: HSMs count.
 */
export class TokenClient {
  readonly limits: TokenLimits;
  private child: ChildProcess | undefined;
  private opening: Promise<TokenInfo> | undefined;
  private readonly pending = new Map<number, Pending>();
  private nth = 0;
  private watchdog: NodeJS.Timeout | undefined;
  private watchedAt = Number.POSITIVE_INFINITY;
  private refused: TokenRefusedError | undefined;
  private closed = false;
  private pauseMs: number;
  private notBefore = 0;
  /** Why it was lost the last time. */
  private why = '';

  constructor(
    private readonly place: OpenToken,
    limits: Partial<TokenLimits> = {},
  ) {
    this.limits = { ...DEFAULTS, ...limits };
    this.pauseMs = this.limits.pauseMs;
  }

  /** Of the process that drives it; undefined where none runs. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  async info(): Promise<TokenInfo> {
    return this.open();
  }

  /** `ms`: how long it may take, where that is not as long as any call. */
  async call<C extends Exclude<TokenCallName, 'open'>>(
    name: C,
    asked: AskedOf<C>,
    ms = this.limits.callMs,
  ): Promise<GivenBy<C>> {
    await this.open();
    return (await this.send(name, asked, ms)) as GivenBy<C>;
  }

  /** Ends its process, and with it what is under way; the next call starts another one. */
  restart(why: string): void {
    if (this.child) this.end(why);
  }

  /** What is under way is given up. Harmless to repeat. */
  async close(): Promise<void> {
    this.closed = true;
    this.end('the HSM was let go of');
  }

  private open(): Promise<TokenInfo> {
    if (this.closed) return Promise.reject(unavailable('the HSM was let go of'));
    if (this.refused) return Promise.reject(this.refused);
    if (this.opening) return this.opening;
    if (performance.now() < this.notBefore) return Promise.reject(unavailable(this.why));
    this.start();
    const { module, label, pin, sessions, create } = this.place;
    const opening = this.send(
      'open',
      { module, label, pin, sessions, create },
      this.limits.openMs,
    ) as Promise<TokenInfo>;
    this.opening = opening;
    opening.then(
      () => {
        this.pauseMs = this.limits.pauseMs;
      },
      (error: unknown) => {
        if (error instanceof TokenRefusedError && error.failure === 'refused') this.refused = error;
        this.end(error instanceof TokenUnavailableError ? error.why : 'it could not be opened');
      },
    );
    return opening;
  }

  private start(): void {
    const child = fork(processFile(), [], {
      env: environment(this.place.environment),
      execArgv: [],
      // Of what a vendor's library prints nothing is known.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      serialization: 'advanced',
    });
    this.child = child;
    child.on('message', (reply: TokenReply) => this.settle(reply));
    child.once('error', () => this.lost(child));
    child.once('exit', () => this.lost(child));
    // Whoever has nothing else to do may end.
    child.unref();
    child.channel?.unref();
  }

  private send(name: TokenCallName, asked: unknown, ms: number): Promise<unknown> {
    const { child } = this;
    if (!child?.connected) return Promise.reject(unavailable('its process has ended'));
    if (this.pending.size >= this.limits.waiting)
      return Promise.reject(unavailable('too many calls wait for it', 'BUSY'));
    return new Promise((resolve, reject) => {
      const nth = this.nth++;
      this.pending.set(nth, { resolve, reject, dueAt: performance.now() + ms });
      this.watch(ms);
      child.channel?.ref();
      const request: TokenRequest = { nth, name, asked };
      child.send(request, (error) => {
        if (error) this.lost(child);
      });
    });
  }

  private settle(reply: TokenReply): void {
    const waiting = this.pending.get(reply.nth);
    if (!waiting) return;
    this.forget(reply.nth);
    if (!('failure' in reply)) waiting.resolve(reply.given);
    else if (reply.failure === 'unavailable') waiting.reject(unavailable(reply.what, reply.code));
    else {
      const refusal = new TokenRefusedError(reply.failure, reply.what, reply.code);
      // Said by the login of new sessions, too, after the old ones were lost.
      if (isOfThePin(reply.code)) this.refused = refusal;
      waiting.reject(refusal);
    }
  }

  private forget(nth: number): void {
    this.pending.delete(nth);
    if (this.pending.size === 0) this.child?.channel?.unref();
  }

  /** One timer for all, which is set anew only for what is due before it. */
  private watch(ms: number): void {
    const dueAt = performance.now() + ms;
    if (dueAt >= this.watchedAt) return;
    clearTimeout(this.watchdog);
    this.watchedAt = dueAt;
    this.watchdog = setTimeout(() => {
      this.watchedAt = Number.POSITIVE_INFINITY;
      const soonest = Math.min(...[...this.pending.values()].map((each) => each.dueAt));
      const now = performance.now();
      if (soonest <= now) this.end(IN_TIME);
      else if (soonest !== Number.POSITIVE_INFINITY) this.watch(Math.ceil(soonest - now));
    }, ms).unref();
  }

  private lost(child: ChildProcess): void {
    if (child === this.child) this.end('its process has ended');
  }

  /** Kills the process, which a hung library would not let end otherwise. */
  private end(why: string): void {
    const { child } = this;
    this.why = why;
    this.child = undefined;
    this.opening = undefined;
    if (child) {
      this.notBefore = performance.now() + this.pauseMs;
      this.pauseMs = Math.min(this.pauseMs * 2, this.limits.maxPauseMs);
      child.kill('SIGKILL');
    }
    for (const [nth, { reject }] of this.pending) {
      this.pending.delete(nth);
      reject(new TokenUnavailableError(why, undefined, why === IN_TIME));
    }
  }
}

const unavailable = (why: string, code?: TokenCode): HsmUnavailableError => new TokenUnavailableError(why, code);
const IN_TIME = 'it did not answer in time';
