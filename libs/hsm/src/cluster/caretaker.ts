import { randomBytes } from 'node:crypto';
import { HsmUnavailableError } from '../hsm-provider';
import { TokenRefusedError, TokenUnavailableError } from '../pkcs11/token-client';
import type { MaskedKeys } from './masked-keys';
import { codeOf, type Member } from './member';
import { copyTokens, isComplete, replaceToken, tokensIn } from './member-folder';

const PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
const WATCH_MS = 1_000;
/** What writes to a disk may take longer. */
export const WRITING_MS = 5_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());
/** SoftHSM does not always find at the first try what several processes open at once. */
const NOT_FOUND_TRIES = 3;
/** After so many tries in a row what a member has of its user is taken to be broken. */
const BROKEN_TRIES = 4;

export interface Upkeep {
  /** Between two tries to let a member in, doubled up to `maxPauseMs`. */
  pauseMs: number;
  maxPauseMs: number;
  /** How often members that are in are probed. */
  watchMs: number;
}

/** Lets members in once they have all keys and work, and back in after they were lost. */
export class Caretaker {
  private readonly timers = new Map<Member, NodeJS.Timeout>();
  private readonly joining = new Map<Member, Promise<void>>();
  /** Tries that failed since it was in, though it answered. */
  private readonly failed = new Map<Member, number>();
  private readonly upkeep: Upkeep;
  private watching: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(
    private readonly keys: MaskedKeys,
    private readonly members: () => readonly Member[],
    upkeep: Partial<Upkeep> = {},
    /** The folder of the user's token, by its name; the same in all members. */
    private readonly token: () => Promise<string | undefined> = async () => undefined,
  ) {
    this.upkeep = { pauseMs: PAUSE_MS, maxPauseMs: MAX_PAUSE_MS, watchMs: WATCH_MS, ...upkeep };
  }

  /** Tries once, and from then on until it is in, is refused, or no member any more. Resolves after the first try. */
  admit(member: Member, pauseMs = this.upkeep.pauseMs): Promise<void> {
    const under = this.joining.get(member);
    if (under) return under;
    clearTimeout(this.timers.get(member));
    if (member.state !== 'out') return Promise.resolve();
    const joining = this.join(member)
      .then(
        () => {
          this.failed.delete(member);
          if (this.isWatched(member)) member.letIn();
        },
        async (error: unknown) => {
          if (member.putOut(error) !== 'out') return;
          await this.renew(member, error).catch(() => {});
          this.later(member, pauseMs);
        },
      )
      .finally(() => this.joining.delete(member));
    this.joining.set(member, joining);
    return joining;
  }

  lost(member: Member, error: unknown): void {
    if (member.state !== 'in' || codeOf(error) === 'BUSY') return;
    if (member.putOut(error) === 'out') this.later(member, 0);
  }

  /** Resolves once every member is in that can be, or after `ms`: whoever needs all of them waits for those that were just lost. */
  async whole(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    const out = (): Member[] => this.members().filter(({ state }) => state === 'out');
    while (out().length > 0 && performance.now() < deadline && !this.closed) {
      const left = deadline - performance.now();
      const tried = Promise.all(out().map((member) => this.admit(member)));
      await Promise.race([tried.then(() => pause(Math.min(this.upkeep.pauseMs, left))), pause(left)]);
    }
  }

  /** Whether a member that lacked this key, or could not open what is masked of it, may be asked for it now. */
  async missing(member: Member, key: string): Promise<boolean> {
    if (member.unsure.has(key)) return true;
    if (member.unreadable.has(key)) return false;
    const masked = await this.keys.read(key).catch(() => undefined);
    if (!masked || member.state !== 'in') return false;
    let isThere = false;
    try {
      await member.call('unmask', { id: key, masked }, WRITING_MS);
      isThere = true;
      await member.call('check', { id: key, masked }, WRITING_MS);
      member.probeKey ??= key;
      return true;
    } catch (error) {
      // Its folder may be gone, and its masking key with it; or what is masked cannot be opened by anybody.
      const works = await this.probe(member).then(
        () => true,
        () => false,
      );
      if (!works || (await this.isBroken(member, key, masked))) {
        this.lost(member, error);
        return false;
      }
      (isThere ? member.unsure : member.unreadable).add(key);
      return isThere;
    }
  }

  /**
   * Whether it had another masking key than the rest: what it has of its user is replaced then. Another member opens what it does
   * not, and it opens nothing: of the two, that one may be the broken one, which made this key.
   */
  private async isBroken(member: Member, key: string, masked: Buffer): Promise<boolean> {
    const opens = (asked: Member, id: string, bytes: Buffer): Promise<boolean> =>
      asked.call('check', { id, masked: bytes }, WRITING_MS).then(
        () => true,
        () => false,
      );
    for (const other of this.members()) {
      if (other === member || other.state !== 'in' || !(await opens(other, key, masked))) continue;
      for (const id of await this.keys.living()) {
        const bytes = await this.keys.read(id);
        if (bytes && (await opens(member, id, bytes))) return false;
      }
      if (member.state !== 'in') return false;
      await this.replace(member, other);
      return true;
    }
    return false;
  }

  /** Probes members that are in, so that one that is lost is found before it is asked. */
  watch(): void {
    this.watching = setTimeout(async () => {
      const members = this.members().filter(({ state }) => state === 'in');
      await Promise.all(members.map((member) => this.probe(member).catch((error) => this.lost(member, error))));
      if (!this.closed) this.watch();
    }, this.upkeep.watchMs).unref();
  }

  /** No member any more. */
  dismiss(member: Member): Promise<void> {
    clearTimeout(this.timers.get(member));
    this.timers.delete(member);
    this.failed.delete(member);
    return member.close();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.watching);
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  /** Once it is closed, and the members are: resolves when it writes to no folder any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.joining.values());
  }

  private later(member: Member, pauseMs: number): void {
    if (!this.isWatched(member)) return;
    const next = Math.min(Math.max(pauseMs * 2, this.upkeep.pauseMs), this.upkeep.maxPauseMs);
    clearTimeout(this.timers.get(member));
    this.timers.set(member, setTimeout(() => void this.admit(member, next), pauseMs).unref());
  }

  private isWatched(member: Member): boolean {
    return !this.closed && this.members().includes(member);
  }

  private async join(member: Member): Promise<void> {
    await this.restore(member);
    for (let nth = 1; ; nth++) {
      try {
        await member.open();
        break;
      } catch (error) {
        if (nth === NOT_FOUND_TRIES || error instanceof TokenRefusedError) throw error;
      }
    }
    await this.catchUp(member);
    await this.probe(member);
  }

  /** A folder that is gone, or lacks a user, gets what it lacks from another member. */
  private async restore({ place: { folder } }: Member): Promise<void> {
    const source = await this.sourceFor(folder);
    if (source && !(await isComplete(folder, source))) await copyTokens(source, folder);
  }

  /**
   * What its module cannot read, or ends of, does not get better by itself: the user's token is taken from a member that works. Its keys
   * are all masked, so that it is caught up with those that the other one may lack.
   */
  private async renew(member: Member, error: unknown): Promise<void> {
    if (error instanceof TokenUnavailableError && error.timedOut) return;
    const failed = (this.failed.get(member) ?? 0) + 1;
    this.failed.set(member, failed);
    const source = this.members().find(({ state }) => state === 'in');
    if (failed < BROKEN_TRIES || !source || !this.isWatched(member)) return;
    this.failed.delete(member);
    await this.replace(member, source);
  }

  private async replace(member: Member, source: Member): Promise<void> {
    const token = await this.token();
    if (token && (await tokensIn(member.place.folder)).includes(token)) {
      await replaceToken(source.place.folder, member.place.folder, token);
    }
  }

  private async sourceFor(folder: string): Promise<string | undefined> {
    const others = this.members().filter(({ place }) => place.folder !== folder);
    // Those that work before those that may not.
    for (const { place } of [...others].sort((a, b) => Number(b.state === 'in') - Number(a.state === 'in'))) {
      // What is wrong with the folder of another member is that one's affair.
      const tokens = await tokensIn(place.folder).catch(() => []);
      if (tokens.length > 0) return place.folder;
    }
    return undefined;
  }

  /** A masked key that no member could open must not keep this one out: it does without it. */
  private async catchUp(member: Member): Promise<void> {
    const has = new Set((await member.call('keys', { labelPrefix: '' }, WRITING_MS)).map(({ id }) => id));
    for (const key of await this.keys.gone()) {
      if (!has.has(key)) continue;
      await member.call('destroyKey', { id: key }, WRITING_MS);
      has.delete(key);
    }
    for (const key of await this.keys.living()) {
      const masked = has.has(key) ? undefined : await this.keys.read(key);
      if (masked && (await this.unmasked(member, key, masked))) has.add(key);
    }
    member.probeKey = (await this.keys.living()).find((key) => has.has(key));
  }

  private async unmasked(member: Member, key: string, masked: Buffer): Promise<boolean> {
    try {
      await member.call('unmask', { id: key, masked }, WRITING_MS);
      return true;
    } catch (error) {
      if (error instanceof TokenUnavailableError && error.code) return false;
      throw error;
    }
  }

  /** What a token that was taken away still says of itself is not believed: it has to make something, and to use a key. */
  private async probe(member: Member): Promise<void> {
    if ((await tokensIn(member.place.folder)).length === 0) throw new HsmUnavailableError('its folder is gone');
    await member.call('makeMasked', {});
    const { probeKey: id } = member;
    if (!id || (await this.keys.wasDestroyed(id))) return;
    const [iv, data, aad] = [randomBytes(12), randomBytes(16), Buffer.alloc(0)];
    const sealed = await member.call('encrypt', { id, iv, aad, data });
    const opened = await member.call('decrypt', { id, iv, aad, data: sealed });
    if (!data.equals(opened)) throw new HsmUnavailableError('it does not decrypt what it encrypted');
  }
}
