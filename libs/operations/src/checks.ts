import type { Call } from './operation';

type Check = (call: Call) => void;

/**
 * The checks that a control operation was allowed on. They hold for the view in which they were made: where rights were taken
 * away between them and the append, they are made anew, in place, so that the command keeps its turn and what it prepared.
 */
export class Checks {
  private readonly made: Check[] = [];

  /**
   * `position`: of the view, before the first check. `callNow`: the same call with its caller as the view has it then; throws
   * where that is nobody any more.
   */
  constructor(
    private position: number,
    private readonly callNow: () => Call,
  ) {}

  note(check: Check): void {
    this.made.push(check);
  }

  /** Throws what a check throws. `newestRevocation` and `position`: of the view that the checks are to hold for. */
  assertHold(newestRevocation: number, position: number): void {
    if (newestRevocation <= this.position) return;
    const call = this.callNow();
    for (const check of this.made) check(call);
    this.position = position;
  }
}

/**
 * Makes a check of what the call may do, which reads all that it rests on from the view: it may be made again, later, for
 * the same call. Checks within it count as parts of it.
 */
export function checked<T>(call: Call, check: (call: Call) => T): T {
  const { checks } = call;
  if (!checks) return check(call);
  const result = check({ ...call, checks: undefined });
  checks.note(check);
  return result;
}
