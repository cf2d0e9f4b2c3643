/** Dates in events and state are ISO 8601 in UTC with milliseconds, so that they compare as text. */

const MS_PER_DAY = 86_400_000;

export const isoDate = (ms: number): string => new Date(ms).toISOString();

export const plusDays = (iso: string, days: number): string => isoDate(Date.parse(iso) + days * MS_PER_DAY);

export const laterOf = (a: string, b: string): string => (a > b ? a : b);
