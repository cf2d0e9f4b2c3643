import { HsmUnavailableError } from '../hsm-provider';
import { StoreError } from '../key-store/store-connection';
import type { AskedOf, GivenBy } from '../pkcs11/token-calls';
import { TokenRefusedError, TokenUnavailableError } from '../pkcs11/token-client';
import { WRITING_MS } from './caretaker';
import { codeOf, type Member } from './member';

/** Calls that may be made in several members at once, and more than once. */
export type SpreadCall = 'encrypt' | 'decrypt' | 'random';

export interface SpreadPorts {
  members(): readonly Member[];
  /** A member could not answer, or does not let anybody in. */
  lost(member: Member, error: unknown): void;
  /** As only the members can open it; undefined where nothing is kept of it. Never rejects. */
  masked(key: string): Promise<Uint8Array | undefined>;
  /** A member does not have a key that it should have; resolves with whether it does now. Never rejects. */
  missing(member: Member, key: string): Promise<boolean>;
}

/** Calls over the members of a cluster: each in one, and in the next where that one cannot, or takes its time. */
export class Spread {
  private turn = 0;

  constructor(
    private readonly ports: SpreadPorts,
    /** After how many ms a call is made in another member as well. */
    private readonly patienceMs: number,
  ) {}

  /** Rejects with StoreError. `key`: that which the call uses. */
  async ask<C extends SpreadCall>(name: C, asked: AskedOf<C>, key?: string): Promise<GivenBy<C>> {
    const first = await this.round(name, asked, key, true);
    if ('given' in first) return first.given;
    // Every member that could be asked lacks the key: those that have it by now are asked once more.
    const caughtUp = await Promise.all(first.lacking.map((member) => this.ports.missing(member, key!)));
    if (!caughtUp.includes(true)) throw first.failure;
    // What is masked may be what was changed: then what the members have is all that there is.
    const second = await this.round(name, asked, key, false);
    if ('given' in second) return second.given;
    throw second.failure;
  }

  /** One for a new key: any that is in. */
  pick(not: ReadonlySet<Member> = new Set()): Member | undefined {
    let best: Member | undefined;
    const members = this.ports.members();
    this.turn = (this.turn + 1) % Math.max(members.length, 1);
    for (let nth = 0; nth < members.length; nth++) {
      const member = members[(this.turn + nth) % members.length]!;
      if (member.state !== 'in' || not.has(member)) continue;
      if (!best || isBetter(member, best)) best = member;
    }
    return best;
  }

  /** A key of a member whose bytes were changed is put right before it is used: what it encrypts nobody could decrypt. */
  private async call<C extends SpreadCall>(
    member: Member,
    name: C,
    asked: AskedOf<C>,
    key: string | undefined,
  ): Promise<GivenBy<C>> {
    if (key === undefined) return member.call(name, asked);
    try {
      return await member.call(name, { ...asked, checked: true });
    } catch (error) {
      if (!(error instanceof TokenRefusedError) || error.failure !== 'unchecked') throw error;
      const masked = await this.ports.masked(key);
      if (masked) await member.call('check', { id: key, masked }, WRITING_MS);
      return member.call(name, asked);
    }
  }

  private round<C extends SpreadCall>(
    name: C,
    asked: AskedOf<C>,
    key: string | undefined,
    checked: boolean,
  ): Promise<{ given: GivenBy<C> } | { failure: StoreError; lacking: Member[] }> {
    return new Promise((settle) => {
      const tried = new Set<Member>();
      const lacking: Member[] = [];
      let underWay = 0;
      // What kept a member out, where there is none to ask.
      let why: unknown = this.ports.members().find(({ state }) => state === 'refused')?.failure;
      const next = (): void => {
        const member = this.pick(tried);
        if (!member) {
          if (underWay === 0) settle({ failure: failureOf(lacking.length > 0, why), lacking });
          return;
        }
        tried.add(member);
        underWay++;
        let slow = false;
        const patience = setTimeout(() => {
          slow = true;
          member.slow++;
          next();
        }, this.patienceMs);
        const done = (): void => {
          underWay--;
          clearTimeout(patience);
          if (slow) member.slow = Math.max(0, member.slow - 1);
        };
        this.call(member, name, asked, checked ? key : undefined).then(
          (given) => {
            done();
            settle({ given });
          },
          (error: unknown) => {
            done();
            why = error;
            if (error instanceof TokenRefusedError && error.failure === 'altered') {
              settle({ failure: new StoreError('invalid-ciphertext', 'altered, or of another key'), lacking: [] });
              return;
            }
            if (error instanceof TokenRefusedError && error.failure === 'no-key') {
              lacking.push(member);
              // It may be behind, or gone: nobody waits for that as long as another member has the key.
              if (key) void this.ports.missing(member, key);
            } else this.ports.lost(member, error);
            next();
          },
        );
      };
      next();
    });
  }
}

const isBetter = (one: Member, other: Member): boolean =>
  one.slow === 0 && other.slow > 0 ? true : one.slow > 0 && other.slow === 0 ? false : one.underWay < other.underWay;

function failureOf(lacking: boolean, cause: unknown): StoreError {
  if (lacking) return new StoreError('key-not-found', 'no HSM of the cluster has this key');
  if (cause instanceof TokenRefusedError) {
    return new StoreError('authentication', 'no HSM of the cluster lets its user in', { cause });
  }
  if (codeOf(cause) === 'BUSY') return new StoreError('throttled', 'too many calls wait for the cluster', { cause });
  if (cause instanceof TokenUnavailableError && cause.timedOut) {
    return new StoreError('timeout', 'no HSM of the cluster answered in time', { cause });
  }
  if (cause === undefined || cause instanceof HsmUnavailableError) {
    return new StoreError('unreachable', 'no HSM of the cluster can be reached', { cause });
  }
  return new StoreError('internal', 'an HSM of the cluster failed', { cause });
}
