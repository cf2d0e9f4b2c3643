import { KmsError } from '#domain/errors';

/**
 * Pieces of slow work that a process has under way, waiting ones included. Far fewer than it has requests in flight
 * (libs/platform/src/http-server.ts): however many ask for slow work, there is room for what is quick.
 */
export const MOST_UNDER_WAY = 256;

/** Room for slow work of one kind. */
export class Lane {
  private underWay = 0;

  constructor(private readonly most: number) {}

  async run<T>(start: () => Promise<T>): Promise<T> {
    if (this.underWay >= this.most) {
      throw new KmsError('ThrottlingException', 'Too many slow operations are waiting; try again.');
    }
    this.underWay++;
    try {
      return await start();
    } finally {
      this.underWay--;
    }
  }
}

/** What this process works out itself. */
const own = new Lane(MOST_UNDER_WAY);

/** Not an error: what an operation needs must be worked out first, away from the event loop. */
export class WorkToDo extends Error {
  override readonly name = 'WorkToDo';

  constructor(
    readonly what: string,
    readonly start: () => Promise<unknown>,
    readonly lane: Lane,
  ) {
    super('work must be done first');
  }
}

type Outcome = { value: unknown } | { failure: unknown };

/**
 * Slow work of one operation. Where it needs the result of slow work it is broken off, the work is done, and it begins anew with
 * all its checks, so that what was taken away from its caller meanwhile is refused as if there had been no wait: a data operation
 * stays one synchronous step, and a control operation keeps no revoking write waiting meanwhile.
 */
export class OffLoop {
  private outcomes: Map<string, Outcome> | undefined;
  private opened: Uint8Array[] | undefined;

  /**
   * The result of `start`, the second time that it is asked for; what `start` rejects with is thrown then. `what` names the
   * work, with all that the result depends on and that may change meanwhile, such as the material it is done with. A result
   * that is bytes, or has bytes as members, is zeroised once the operation is over: to be encoded before. `lane`: what has room
   * for it, or ThrottlingException is thrown.
   */
  result<T>(what: string, start: () => Promise<T>, lane = own): T {
    const outcome = this.outcomes?.get(what);
    if (!outcome) throw new WorkToDo(what, start, lane);
    if ('failure' in outcome) throw outcome.failure;
    return outcome.value as T;
  }

  /**
   * Bytes that slow work may yet be done with, once the operation has been broken off: zeroised when it is over, not before.
   */
  wipeAtEnd(bytes: Uint8Array): void {
    this.opened ??= [];
    this.opened.push(bytes);
  }

  /** What stays the same however often the operation is begun anew: of `make` the first time. */
  once<T>(what: string, make: () => T): T {
    this.outcomes ??= new Map();
    const outcome = this.outcomes.get(what) ?? { value: make() };
    this.outcomes.set(what, outcome);
    return (outcome as { value: T }).value;
  }

  async do({ what, start, lane }: WorkToDo): Promise<void> {
    this.outcomes ??= new Map();
    this.outcomes.set(what, await outcomeOf(() => lane.run(start)));
  }

  wipe(): void {
    for (const bytes of this.opened ?? []) bytes.fill(0);
    this.opened = undefined;
    if (!this.outcomes) return;
    for (const outcome of this.outcomes.values()) if ('value' in outcome) wipeBytes(outcome.value);
    this.outcomes = undefined;
  }
}

/** As `OffLoop.result`, for an operation's call. */
export function workedOut<T>(
  { offLoop }: { offLoop?: OffLoop | undefined },
  what: string,
  start: () => Promise<T>,
  lane?: Lane,
): T {
  if (!offLoop) throw new Error(`${what}: nothing begins this call anew`);
  return offLoop.result(what, start, lane);
}

async function outcomeOf(start: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await start() };
  } catch (failure) {
    return { failure };
  }
}

function wipeBytes(value: unknown): void {
  if (value instanceof Uint8Array) value.fill(0);
  else if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) if (member instanceof Uint8Array) member.fill(0);
  }
}
