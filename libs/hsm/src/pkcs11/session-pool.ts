import * as pkcs11 from 'pkcs11js';
import { CKR, ckrOf, inWords } from './token-errors';

/** How often, and after what pause, a token is looked for that was there a moment ago. A PIN that is refused is not tried again. */
const RESTART_TRIES = 20;
const RESTART_PAUSE_MS = 25;

type Handle = pkcs11.Handle;

/** Logged-in sessions of one token, each with one call under way at most: what a session has begun, only it can end. */
export class SessionPool {
  private free: Handle[] = [];
  private readonly waiting: ((session: Handle) => void)[] = [];
  /** Of the sessions that are good; one of an older generation is not given out again. */
  generation = 0;
  /** Whether new sessions could not be opened: then only a new process may help. */
  broken = true;

  /** Throws the module's error; what it says of the PIN must not be tried again. */
  constructor(
    private readonly module: pkcs11.PKCS11,
    private slot: Handle,
    private readonly pin: string,
    private readonly size: number,
  ) {
    this.openAll();
  }

  /**
   * Throws the module's error. Calls that are under way end on their old sessions, with or without success. `lost`: the
   * generation whose sessions were; another call may have been first.
   */
  reopen(lost: number): void {
    if (lost !== this.generation) return;
    this.generation++;
    this.free = [];
    try {
      this.module.C_CloseAllSessions(this.slot);
    } catch {
      // They are gone already.
    }
    this.openAll();
  }

  /**
   * Waits until no call is under way, has the module begin anew, and opens sessions with the slot that `begun` gives. Throws
   * the module's error; calls that wait are served by what is opened after that.
   */
  async restart(begun: () => Handle): Promise<void> {
    const { generation } = this;
    const idle = await Promise.all(Array.from({ length: this.size }, () => this.take()));
    if (generation !== this.generation) {
      for (const session of idle) this.give(session);
      return;
    }
    this.generation++;
    this.broken = true;
    for (let tries = 1; ; tries++) {
      try {
        this.slot = begun();
        return this.openAll();
      } catch (error) {
        if (tries === RESTART_TRIES || inWords('restart', error).failure === 'refused') throw error;
        // SoftHSM does not always find a token that another process is writing to. Nothing else goes on in this process.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RESTART_PAUSE_MS);
      }
    }
  }

  async with<T>(work: (session: Handle) => T | Promise<T>): Promise<T> {
    const session = await this.take();
    const { generation } = this;
    try {
      return await work(session);
    } finally {
      if (generation === this.generation) this.give(session);
    }
  }

  private take(): Promise<Handle> {
    const session = this.free.pop();
    return session ? Promise.resolve(session) : new Promise((taken) => this.waiting.push(taken));
  }

  private openAll(): void {
    this.broken = true;
    const flags = pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION;
    const opened = Array.from({ length: this.size }, () => this.module.C_OpenSession(this.slot, flags));
    try {
      // Of one session, and so of all of the token.
      this.module.C_Login(opened[0]!, pkcs11.CKU_USER, this.pin);
    } catch (error) {
      if (ckrOf(error) !== CKR.USER_ALREADY_LOGGED_IN) throw error;
    }
    this.broken = false;
    for (const session of opened) this.give(session);
  }

  private give(session: Handle): void {
    const next = this.waiting.shift();
    if (next) next(session);
    else this.free.push(session);
  }
}
