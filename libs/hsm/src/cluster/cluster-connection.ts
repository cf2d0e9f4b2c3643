import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { type ClusterConnection, ConnectError, StoreError } from '../key-store/store-connection';
import type { TokenLimits } from '../pkcs11/token-client';
import { Caretaker, type Upkeep, WRITING_MS } from './caretaker';
import { tokenOfUser } from './cluster-users';
import { connectErrorOf } from './connect-errors';
import { type MaskedKey, MaskedKeys } from './masked-keys';
import { type Login, Member, type MemberPlace, type MemberStatus, type ObservedCall } from './member';
import { Spread } from './spread';

const IV_BYTES = 12;
const TAG_BYTES = 16;
const SESSIONS = 4;
const PATIENCE_MS = 250;
const CALL_MS = 2_000;
/** How long a connection that could be used waits for members that have not answered yet. */
const OTHERS_MS = 1_000;

export interface ClusterOptions extends Omit<Login, 'sessions'> {
  members: readonly MemberPlace[];
  /** Has `masked/` and `destroyed/`; that which the members' folders are in, where it is not given. */
  folder?: string;
  /** Keys that the caller keeps a masked copy of, for members that have to be caught up: beside what is in `masked/`. */
  maskedKeys?: () => Promise<Iterable<MaskedKey>>;
  /** In each member. */
  sessions?: number;
  observe?: (call: ObservedCall) => void;
  /** After how many ms a call is made in another member as well. */
  patienceMs?: number;
  limits?: Partial<TokenLimits>;
  upkeep?: Partial<Upkeep>;
}

/** Of an AWS CloudHSM cluster whose members are folders on this machine. */
export interface FolderCluster extends ClusterConnection {
  /** The members from now on: those that are new are let in, those that are not among them any more are let go. */
  members(places: readonly MemberPlace[]): void;
  status(): MemberStatus[];
  /** Of the process that drives a member, while one runs. */
  pidOf(hsmId: string): number | undefined;
}

/** Resolves once at least one member is in; rejects with ConnectError. */
export async function connectCluster(options: ClusterOptions): Promise<FolderCluster> {
  const [first] = options.members;
  if (!first) throw new ConnectError('INSUFFICIENT_CLOUDHSM_HSMS', 'the cluster has no active HSM');
  const folder = options.folder ?? dirname(first.folder);
  const keys = new MaskedKeys(folder);
  for (const each of (await options.maskedKeys?.()) ?? []) {
    const isKnown = (await keys.read(each.key)) !== undefined || (await keys.wasDestroyed(each.key));
    if (!isKnown) await keys.keep(each);
  }
  const connection = new Connection(options, keys, folder);
  try {
    await connection.begin();
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class Connection implements FolderCluster {
  private all: Member[];
  private readonly spread: Spread;
  private readonly caretaker: Caretaker;

  constructor(
    private readonly options: ClusterOptions,
    private readonly keys: MaskedKeys,
    private readonly folder: string,
  ) {
    this.all = options.members.map((place) => this.member(place));
    const token = () => tokenOfUser(this.folder, options.user).catch(() => undefined);
    this.caretaker = new Caretaker(keys, () => this.all, options.upkeep, token);
    this.spread = new Spread(
      {
        members: () => this.all,
        lost: (member, error) => this.caretaker.lost(member, error),
        masked: (key) => this.keys.read(key).catch(() => undefined),
        missing: (member, key) => this.caretaker.missing(member, key),
      },
      options.patienceMs ?? PATIENCE_MS,
    );
  }

  async begin(): Promise<void> {
    const tries = this.all.map(async (member) => {
      await this.caretaker.admit(member);
      if (member.state !== 'in') throw member.failure;
    });
    // One that hangs is not waited for as long as its first call may take.
    await Promise.any(tries).catch(() => {});
    if (this.membersIn.length === 0) throw await connectErrorOf(this.all);
    await this.caretaker.whole(OTHERS_MS);
    this.caretaker.watch();
  }

  async encrypt(key: string, plaintext: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    const iv = randomBytes(IV_BYTES);
    const sealed = await this.spread.ask('encrypt', { id: known(key), iv, aad, data: plaintext }, key);
    return Buffer.concat([iv, sealed]);
  }

  async decrypt(key: string, sealed: Uint8Array, aad: Uint8Array): Promise<Buffer> {
    if (sealed.length < IV_BYTES + TAG_BYTES) throw new StoreError('invalid-ciphertext', 'too short for a ciphertext');
    const iv = sealed.subarray(0, IV_BYTES);
    const data = sealed.subarray(IV_BYTES);
    return Buffer.from(await this.spread.ask('decrypt', { id: known(key), iv, aad, data }, key));
  }

  async random(length: number): Promise<Buffer> {
    if (!Number.isInteger(length) || length < 1 || length > 1024) {
      throw new RangeError(`random gives 1 to 1024 bytes, not ${length}`);
    }
    return Buffer.from(await this.spread.ask('random', { length }));
  }

  async makeKey(key: string): Promise<Buffer> {
    if (await this.keys.wasDestroyed(known(key))) throw new StoreError('key-not-found', 'this key was destroyed');
    await this.assertSufficient();
    // A crash before it is kept leaves nothing; after that, a key which the next call, or catch-up, has all members get.
    const masked = (await this.keys.read(key)) ?? (await this.keys.keep({ key, masked: await this.newKey() }));
    const unmasked = () => this.inAll((member) => member.call('unmask', { id: key, masked }, WRITING_MS));
    if (zonesOf(await unmasked()) >= 2) return masked;
    // One that was lost over it is let in again without a key that it cannot open.
    await this.assertSufficient();
    if (zonesOf(await unmasked()) < 2) throw insufficient();
    return masked;
  }

  async destroyKey(key: string): Promise<void> {
    await this.keys.forget(known(key));
    await this.inAll((member) => member.call('destroyKey', { id: key }, WRITING_MS));
  }

  members(places: readonly MemberPlace[]): void {
    const stays = (member: Member): boolean => places.some(({ hsmId }) => hsmId === member.place.hsmId);
    const gone = this.all.filter((member) => !stays(member));
    const there = new Set(this.all.map(({ place }) => place.hsmId));
    const added = places.filter(({ hsmId }) => !there.has(hsmId)).map((place) => this.member(place));
    this.all = [...this.all.filter(stays), ...added];
    for (const member of gone) void this.caretaker.dismiss(member);
    for (const member of added) void this.caretaker.admit(member);
  }

  status(): MemberStatus[] {
    return this.all.map(({ status }) => status);
  }

  pidOf(hsmId: string): number | undefined {
    return this.all.find(({ place }) => place.hsmId === hsmId)?.pid;
  }

  async close(): Promise<void> {
    this.caretaker.close();
    await Promise.all(this.all.map((member) => member.close()));
    await this.caretaker.settled();
  }

  /** Made by any member that is in; as it keeps nothing of it, another one may be asked again. */
  private async newKey(): Promise<Uint8Array> {
    const tried = new Set<Member>();
    for (;;) {
      const member = this.spread.pick(tried);
      if (!member) throw new StoreError('unreachable', 'no HSM of the cluster can be reached');
      tried.add(member);
      try {
        return await member.call('makeMasked', {});
      } catch (error) {
        this.caretaker.lost(member, error);
      }
    }
  }

  /** The members that it succeeds in; one that it fails in is caught up before it is in again. */
  private async inAll(work: (member: Member) => Promise<unknown>): Promise<Member[]> {
    const done: Member[] = [];
    await Promise.all(
      this.membersIn.map((member) =>
        work(member).then(
          () => done.push(member),
          (error: unknown) => this.caretaker.lost(member, error),
        ),
      ),
    );
    return done;
  }

  /** A member whose process was just lost is back in a moment. */
  private async assertSufficient(): Promise<void> {
    if (zonesOf(this.membersIn) < 2) await this.caretaker.whole(OTHERS_MS);
    if (zonesOf(this.membersIn) < 2) throw insufficient();
  }

  private get membersIn(): Member[] {
    return this.all.filter(({ state }) => state === 'in');
  }

  private member(place: MemberPlace): Member {
    const { module, user, password, sessions = SESSIONS, observe = () => {}, limits } = this.options;
    return new Member(place, { module, user, password, sessions }, { callMs: CALL_MS, ...limits }, observe);
  }
}

const zonesOf = (members: readonly Member[]): number => new Set(members.map(({ place }) => place.zone)).size;

const insufficient = (): StoreError =>
  new StoreError('insufficient-hsms', 'the cluster has fewer than two active HSMs in different availability zones');

/** No other string ever names a key; nor does it become part of a path. */
function known(key: string): string {
  if (!/^[0-9a-f]{64}$/.test(key)) throw new StoreError('key-not-found', 'no such key');
  return key;
}
