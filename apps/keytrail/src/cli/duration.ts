import { isoDate } from '#domain/dates';
import { CommandError } from './operator';

const UNIT_MS: Record<string, number> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** ms of a duration such as `8d`, `6d23h` or `2y` (365 days each). Throws CommandError. */
export function parseDuration(text: string): number {
  const whole = /^(?:\d+[smhdwy])+$/.test(text);
  if (!whole)
    throw new CommandError(
      `${JSON.stringify(text)} is no duration: expected numbers with s, m, h, d, w or y, such as 8d or 6d23h`,
    );
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdwy])/g)) ms += Number(count) * UNIT_MS[unit!]!;
  if (!Number.isSafeInteger(ms) || ms > 100 * UNIT_MS['y']!) throw new CommandError(`${text} is longer than 100 years`);
  return ms;
}

/** ISO 8601 of a moment given as ISO 8601 or epoch seconds. Throws CommandError. */
export function parseMoment(text: string): string {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(ms))
    throw new CommandError(`${JSON.stringify(text)} is no moment: expected ISO 8601, such as 2026-11-24T12:00:00Z`);
  return isoDate(ms);
}
