import type { HistoryStream } from './history-entry';

interface Waiter {
  stream: HistoryStream;
  position: number;
  done(): void;
}

export interface Wait {
  reached: Promise<void>;
  /** Has it not be told any more. */
  giveUp(): void;
}

/** How far each stream is folded in, and who waits for it to be further. */
export class FoldProgress {
  private readonly positions: Record<HistoryStream, number> = { records: 0, changes: 0 };
  private readonly waiters = new Set<Waiter>();
  /** Whether a model is open that these positions are of. */
  isOpen = false;

  /** `hurry` is told once somebody waits for a stream. */
  constructor(private readonly hurry: (stream: HistoryStream) => void) {}

  of(stream: HistoryStream): number {
    return this.positions[stream];
  }

  isAwaited(stream: HistoryStream): boolean {
    for (const waiter of this.waiters) if (waiter.stream === stream) return true;
    return false;
  }

  advance(stream: HistoryStream, position: number): void {
    this.positions[stream] = position;
    for (const waiter of this.waiters) {
      if (waiter.stream !== stream || waiter.position > position) continue;
      this.waiters.delete(waiter);
      waiter.done();
    }
  }

  /** The model is closed: another may begin with nothing. */
  close(): void {
    this.isOpen = false;
    this.positions.records = 0;
    this.positions.changes = 0;
  }

  until(stream: HistoryStream, position: number): Wait {
    const waiter: Waiter = { stream, position, done: () => {} };
    const reached = new Promise<void>((done) => {
      waiter.done = done;
    });
    if (this.isOpen && this.positions[stream] >= position) waiter.done();
    else {
      this.waiters.add(waiter);
      this.hurry(stream);
    }
    return { reached, giveUp: () => this.waiters.delete(waiter) };
  }
}
