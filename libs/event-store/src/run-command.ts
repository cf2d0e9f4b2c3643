import { type Commit, commitHash, type DomainEvent, encodeCommit } from '#domain/commit';
import { laterOf } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import { ConflictError, type EventStore, type StoredCommit, StoreUnavailableError } from './event-store';
import { type BehindableView, newestPosition, wasBehind } from './was-behind';

/** The aggregate as this process knows it: the fold, and where its history ends. */
export interface Loaded<S> {
  state: S;
  version: number;
  seq: number;
  hash: string;
  time: string;
}

export interface CommandOrigin {
  principal: string;
  requestId: string;
  operation: string;
  /** ISO 8601, from the clock. */
  now: string;
  /** For a timer: the deadline by which the commit is dated. */
  dated?: string;
}

export interface CommandTarget<S, E extends DomainEvent> {
  ref: AggregateRef;
  load(): Loaded<S>;
  /** Pure; throws KmsError to refuse. `now` is never before the aggregate's last commit. */
  decide(state: S, now: string): E[];
  /**
   * Side effects that must be durable before the events are, and harmless to repeat: storing material. Returns the events
   * to append, with what came of that.
   */
  prepare?(events: E[]): Promise<E[]>;
  /**
   * The checks of a caller, where the command rests on any. Then it is whoever made them who begins anew on what others
   * changed meanwhile: `run` rejects with ConflictError, and does not doubt a refusal. Without them `run` decides again by
   * itself.
   */
  checks?: {
    /** Throws KmsError once nothing may be appended on those checks any more. */
    assertNotOver(): void;
    /** Throws KmsError where what this process has folded in since no longer lets the caller. */
    assertStillAllowed(): void;
  };
}

/** What run-command needs around it. */
export interface CommandPorts extends BehindableView {
  store: EventStore;
  /** Gives our own append to the view, so that a reply need not wait for the follower. */
  applied(commit: StoredCommit): void;
  failPoint(name: string): void;
}

export interface CommandResult<E extends DomainEvent = DomainEvent> {
  /** Position of the commit, or of the aggregate's newest one when there was nothing to change. */
  position: number;
  /** What was appended; empty when there was nothing to change. */
  events: E[];
}

/** More rounds than this means that somebody else appends to this aggregate without pause. */
const MAX_ROUNDS = 50;

/** Runs commands one at a time for each aggregate in this process; other processes are met by expected position. */
export class CommandRunner {
  private readonly tails = new Map<string, Promise<unknown>>();

  constructor(private readonly ports: CommandPorts) {}

  async run<S, E extends DomainEvent>(target: CommandTarget<S, E>, origin: CommandOrigin): Promise<CommandResult<E>> {
    const subject = eventSubject(target.ref);
    const before = this.tails.get(subject);
    const turn = (async () => {
      await before?.catch(() => {});
      return this.rounds(subject, target, origin);
    })();
    this.tails.set(subject, turn);
    try {
      return await turn;
    } finally {
      if (this.tails.get(subject) === turn) this.tails.delete(subject);
    }
  }

  /** Whether the log held more than the view did, now or at the position `held`; resolves once the view has it. */
  wasBehind(held?: number): Promise<boolean> {
    return wasBehind(this.ports, this.ports.store, held);
  }

  private async rounds<S, E extends DomainEvent>(
    subject: string,
    target: CommandTarget<S, E>,
    origin: CommandOrigin,
  ): Promise<CommandResult<E>> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      // 0. Whoever came before it on this aggregate may have shut its caller out.
      target.checks?.assertStillAllowed();
      // 1. Load: the view's fold. If it is behind, the append below conflicts and nothing is lost.
      const loaded = target.load();
      // 2. Decide. What is appended proves that the view was not behind; a refusal, or that there is nothing to change,
      // counts only once the log's leader has said so (of a refusal whoever made the checks asks, where there are any).
      let events: E[];
      try {
        events = target.decide(loaded.state, laterOf(origin.now, loaded.time));
      } catch (refusal) {
        if (!target.checks && (await this.wasBehind())) continue;
        throw refusal;
      }
      if (events.length === 0) {
        if (!(await this.wasBehind())) return { position: loaded.seq, events };
        if (target.checks) throw new ConflictError(`${subject}: the log had grown`);
        continue;
      }
      // 3. Prepare. A crash from here on leaves stored material that no event names: it is swept, or used by the retry.
      if (target.prepare) events = await target.prepare(events);
      // 4. Append.
      const bytes = encodeCommit(commitOf(target.ref, loaded, origin, events));
      const name = events[0]!.type;
      try {
        this.ports.failPoint(`before-append:${name}`);
        const seq = await this.ports.store.append({
          subject,
          bytes,
          expectedLastSeq: loaded.seq,
          appendId: commitHash(bytes),
          mayTry: eachTry(target),
        });
        // A crash here: the change is made and durable, only the caller does not know.
        this.ports.failPoint(`after-append:${name}`);
        this.ports.applied({ seq, subject, bytes });
        await this.ports.reached(seq);
        return { position: seq, events };
      } catch (error) {
        if (error instanceof StoreUnavailableError) {
          throw new KmsError('DependencyTimeoutException', 'The event log did not answer in time; try again.', error);
        }
        if (!(error instanceof ConflictError)) throw error;
        // 5. Somebody came first: decide again on what they made of it, or leave that to whoever made the checks.
        await this.ports.reached(await newestPosition(this.ports.store));
        if (target.checks) throw error;
      }
    }
    throw new KmsError('KMSInternalException', 'Too many changes were made to this resource at once; try again.');
  }
}

/** What a command's checks have to say to each try of its append, in one step with the sending. */
function eachTry<S, E extends DomainEvent>({ checks }: CommandTarget<S, E>): () => void {
  let tried = false;
  return () => {
    checks?.assertNotOver();
    try {
      checks?.assertStillAllowed();
    } catch (refusal) {
      if (!tried) throw refusal;
      throw new KmsError('DependencyTimeoutException', 'The event log did not answer in time; try again.', refusal);
    }
    tried = true;
  };
}

function commitOf<S, E extends DomainEvent>(
  ref: AggregateRef,
  loaded: Loaded<S>,
  origin: CommandOrigin,
  events: E[],
): Commit<E> {
  const time = laterOf(origin.dated ?? origin.now, loaded.time);
  return {
    schema: 1,
    region: ref.region,
    account: ref.account,
    aggregate: ref.aggregate,
    id: ref.id,
    version: loaded.version + 1,
    prevHash: loaded.hash,
    time,
    ...(time === origin.now ? {} : { recordedAt: origin.now }),
    principal: origin.principal,
    requestId: origin.requestId,
    operation: origin.operation,
    events,
  };
}
