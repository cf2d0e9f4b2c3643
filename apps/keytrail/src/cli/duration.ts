import { CommandError } from './operator';

const UNIT_MS: Record<string, number> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

const DURATION = /^(?:\d+[smhdwy])+$/;

export const isDuration = (text: string): boolean => DURATION.test(text);

/** ms of a duration such as `8d`, `6d23h` or `2y` (365 days each). Throws CommandError. */
export function parseDuration(text: string): number {
  if (!isDuration(text))
    throw new CommandError(
      `${JSON.stringify(text)} is no duration: expected numbers with s, m, h, d, w or y, such as 8d or 6d23h`,
    );
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)([smhdwy])/g)) ms += Number(count) * UNIT_MS[unit!]!;
  if (!Number.isSafeInteger(ms) || ms > 100 * UNIT_MS['y']!) throw new CommandError(`${text} is longer than 100 years`);
  return ms;
}
