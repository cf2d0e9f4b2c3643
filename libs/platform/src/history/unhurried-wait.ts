/** Waits that end as soon as somebody waits for what is held up by them. */
export class UnhurriedWait {
  private readonly ends = new Set<() => void>();

  /** `hurried`: whether somebody does. */
  constructor(private readonly hurried: () => boolean) {}

  /** Ends with the signal too. */
  async for(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted || this.hurried()) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        this.ends.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener('abort', end);
      this.ends.add(end);
    });
  }

  cutShort(): void {
    for (const end of this.ends) end();
  }
}
