/** One part of a process that must work for it to be ready. */
export interface HealthPart {
  name: string;
  /** Why it is not ready, or undefined. */
  problem(): string | undefined;
}

export interface HealthReport {
  status: 'ready' | 'unready';
  parts: Record<string, string>;
}

/** Ready only when every part is. */
export class Health {
  private readonly parts: HealthPart[] = [];

  add(name: string, problem: () => string | undefined): void {
    this.parts.push({ name, problem });
  }

  report(): HealthReport {
    const parts: Record<string, string> = {};
    let ready = this.parts.length > 0;
    for (const { name, problem } of this.parts) {
      const found = problem();
      parts[name] = found ?? 'ready';
      if (found !== undefined) ready = false;
    }
    return { status: ready ? 'ready' : 'unready', parts };
  }
}
