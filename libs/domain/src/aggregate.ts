/** What an aggregate is made of: pure functions over its own state, events and commands. */
export interface Aggregate<S, E extends AnEvent, C> {
  /** The state before the first commit. */
  initial: S;
  isEvent(type: string): boolean;
  /** `time` is that of the commit the event is in. Throws EvolveError where the event cannot follow the state. */
  evolve(state: S, event: E, time: string): S;
  /** The events that a command causes; none where there is nothing to change. Throws KmsError to refuse. */
  decide(command: C, state: S, place: DecidePlace): E[];
  /**
   * For every event, whether something that was allowed before it may no longer be: such a write waits for all that hold a
   * lease, key-managers and crypto-workers.
   */
  revokes: Readonly<Record<E['type'], boolean>>;
}

/** What decide knows beside command and state: which aggregate it is, and when. */
export interface DecidePlace {
  region: string;
  account: string;
  id: string;
  /** ISO 8601, never before the aggregate's last commit. */
  now: string;
}

interface AnEvent {
  type: string;
}

/** Raised when an event cannot follow the state it meets: the log was altered, or this version is too old for it. */
export class EvolveError extends Error {
  override readonly name = 'EvolveError';
}

/** An aggregate's table of events. One that is not in it is an error, never skipped. */
export type Evolvers<S, E extends AnEvent> = {
  [T in E['type']]: (state: S, event: Extract<E, { type: T }>, time: string) => S;
};

export const isEventOf = (evolvers: object, type: string): boolean => Object.hasOwn(evolvers, type);

/** Folds one event by its aggregate's table. `what` names the aggregate in the error. */
export function evolveBy<S, E extends AnEvent>(
  what: string,
  evolvers: Evolvers<S, E>,
  state: S,
  event: E,
  time: string,
): S {
  const evolver = isEventOf(evolvers, event.type)
    ? (evolvers[event.type as E['type']] as unknown as (state: S, event: E, time: string) => S)
    : undefined;
  if (!evolver) throw new EvolveError(`unknown ${what} event ${JSON.stringify(event.type)}`);
  return evolver(state, event, time);
}
