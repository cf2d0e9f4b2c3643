/** How often something may be done: `perSecond` on average, and one second's worth at once, but at least one. */
export interface TokenBucket {
  readonly perSecond: number;
  readonly tokens: number;
  /** When the tokens were counted, in ms on a clock that never goes back. */
  readonly at: number;
}

export interface Taken {
  allowed: boolean;
  bucket: TokenBucket;
}

const capacity = (perSecond: number): number => Math.max(1, perSecond);

export const fullBucket = (perSecond: number, now: number): TokenBucket => ({
  perSecond,
  tokens: capacity(perSecond),
  at: now,
});

/** Takes one token, if there is a whole one. A refusal takes nothing, so that repeating too early costs nothing. */
export function take({ perSecond, tokens, at }: TokenBucket, now: number): Taken {
  const later = Math.max(now, at);
  const filled = Math.min(capacity(perSecond), tokens + ((later - at) / 1000) * perSecond);
  if (filled < 1) return { allowed: false, bucket: { perSecond, tokens: filled, at: later } };
  return { allowed: true, bucket: { perSecond, tokens: filled - 1, at: later } };
}
