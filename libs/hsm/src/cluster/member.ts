import { HsmUnavailableError } from '../hsm-provider';
import type { AskedOf, GivenBy, TokenCallName, TokenCode } from '../pkcs11/token-calls';
import { TokenClient, type TokenLimits, TokenRefusedError, TokenUnavailableError } from '../pkcs11/token-client';
import { environmentOf } from './member-folder';

/** One HSM of a cluster: where it is. */
export interface MemberPlace {
  hsmId: string;
  zone: string;
  /** Its own, below the cluster's. */
  folder: string;
}

/** Who logs in to each member. */
export interface Login {
  module: string;
  user: string;
  password: string;
  sessions: number;
}

/**
 * `in`: takes calls. `out`: does not, and is tried again. `refused`: it does not let this user in, and is asked no more, since
 * HSMs count.
 */
export type MemberState = 'in' | 'out' | 'refused';

export type Outcome = 'answered' | 'refused' | 'unavailable';

export interface ObservedCall {
  hsmId: string;
  zone: string;
  call: TokenCallName;
  outcome: Outcome;
  /** Whether its process was killed for not answering. */
  timedOut: boolean;
  ms: number;
}

export interface MemberStatus {
  hsmId: string;
  zone: string;
  state: MemberState;
  sessions: number;
  underWay: number;
  /** For how long it may not have had all keys, in ms; 0 where it has. */
  syncLagMs: number;
  /** Of the process that drives it, where one runs. */
  pid?: number;
  /** Why it is not in. */
  why?: string;
}

/** One HSM as a connection sees it. */
export class Member {
  state: MemberState = 'out';
  /** Calls that are made, not answered yet. */
  underWay = 0;
  /** Calls under way that take so long that they were made elsewhere, too. */
  slow = 0;
  /** One that it has, to see whether it works. */
  probeKey: string | undefined;
  /** Masked keys that it could not open although it works. */
  readonly unreadable = new Set<string>();
  /** Of those, the ones that it has: whether as they were, nobody knows. */
  readonly unsure = new Set<string>();
  /** What the last try to let it in failed with. */
  failure: unknown;
  /** By performance.now(); undefined while it has all keys. */
  behindSince: number | undefined = performance.now();
  /** Why it was left out, of several failures the first. */
  private why = '';
  private readonly client: TokenClient;

  constructor(
    readonly place: MemberPlace,
    private readonly login: Login,
    limits: Partial<TokenLimits>,
    private readonly observe: (call: ObservedCall) => void,
  ) {
    const { module, user, password, sessions } = login;
    this.client = new TokenClient(
      { module, label: user, pin: password, sessions, environment: environmentOf(place.folder) },
      // When it is tried again is decided by the connection.
      { ...limits, pauseMs: 0, maxPauseMs: 0 },
    );
  }

  get pid(): number | undefined {
    return this.client.pid;
  }

  get status(): MemberStatus {
    const { hsmId, zone } = this.place;
    return {
      ...{ hsmId, zone, state: this.state, underWay: this.underWay },
      sessions: this.state === 'in' ? this.login.sessions : 0,
      syncLagMs: this.behindSince === undefined ? 0 : performance.now() - this.behindSince,
      ...(this.pid === undefined ? {} : { pid: this.pid }),
      ...(this.state === 'in' ? {} : { why: this.why }),
    };
  }

  async call<C extends Exclude<TokenCallName, 'open'>>(name: C, asked: AskedOf<C>, ms?: number): Promise<GivenBy<C>> {
    const began = performance.now();
    this.underWay++;
    const { hsmId, zone } = this.place;
    const observe = (outcome: Outcome, timedOut = false): void =>
      this.observe({ hsmId, zone, call: name, outcome, timedOut, ms: performance.now() - began });
    try {
      const given = await this.client.call(name, asked, ms);
      observe('answered');
      return given;
    } catch (error) {
      const timedOut = error instanceof TokenUnavailableError && error.timedOut;
      observe(error instanceof HsmUnavailableError ? 'unavailable' : 'refused', timedOut);
      throw error;
    } finally {
      this.underWay--;
    }
  }

  /** Logs in, if it is not. */
  open(): Promise<unknown> {
    return this.client.info();
  }

  /** What it is then. Its process is ended, with all that is under way: a module in a bad state may not get out of it. */
  putOut(error: unknown): Exclude<MemberState, 'in'> {
    const refused = error instanceof TokenRefusedError && error.failure === 'refused';
    if (this.state !== 'out' || this.why === '') this.why = error instanceof Error ? error.message : 'it was lost';
    this.failure = error;
    this.behindSince ??= performance.now();
    this.client.restart(this.why);
    this.state = refused ? 'refused' : 'out';
    return this.state;
  }

  letIn(): void {
    this.state = 'in';
    this.slow = 0;
    this.failure = undefined;
    this.why = '';
    this.behindSince = undefined;
    this.unreadable.clear();
    this.unsure.clear();
  }

  close(): Promise<void> {
    return this.client.close();
  }
}

/** What the module said, where it did. */
export const codeOf = (error: unknown): TokenCode | undefined =>
  error instanceof TokenRefusedError || error instanceof TokenUnavailableError ? error.code : undefined;
