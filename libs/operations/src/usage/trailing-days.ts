import type { KnownUse } from './last-uses';

const DAY_MS = 86_400_000;

/**
 * Pure. From when on a use of the key would be on record, ms: the oldest record, or the key's creation if that is later.
 * Where nothing is on record yet, `now`.
 */
export function trackingStart({ trackedSince }: KnownUse, createdAt: string, now: string): number {
  const since = trackedSince === undefined ? Date.parse(now) : trackedSince * 1000;
  return Math.max(since, Date.parse(createdAt));
}

/**
 * Pure. kms:TrailingDaysWithoutKeyUsage: whole days since the last use, or since tracking began; never below 0. Source: AWS KMS
 * Developer Guide, "AWS KMS condition keys".
 */
export function trailingDays(known: KnownUse, createdAt: string, now: string): number {
  const from = known.last ? known.last.time * 1000 : trackingStart(known, createdAt, now);
  return Math.max(0, Math.floor((Date.parse(now) - from) / DAY_MS));
}
