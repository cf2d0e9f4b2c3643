/** The two date forms a signed request may carry: ISO 8601 basic (`yyyymmddThhmmssZ`) and RFC 9110 section 5.6.7. */

/** `yyyymmddThhmmssZ` of a time in milliseconds, cut to the second. */
export function formatAmzDate(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
}

/** Milliseconds of a `yyyymmddThhmmssZ`, or undefined where the text is not one or names no real moment. */
export function parseAmzDate(text: string): number | undefined {
  if (text.length !== 16 || text[8] !== 'T' || text[15] !== 'Z') return undefined;
  const day = digits(text, 6, 8);
  const hour = digits(text, 9, 11);
  const minute = digits(text, 11, 13);
  const second = digits(text, 13, 15);
  const date = new Date(0);
  // Unlike Date.UTC this takes the years 0 to 99 as they are.
  const ms = date.setUTCFullYear(digits(text, 0, 4), digits(text, 4, 6) - 1, day);
  // 30 February and a thirteenth month roll over into another day; 24:00:00 and leap seconds are not moments here.
  const isReal = date.getUTCDate() === day && date.getUTCMonth() + 1 === digits(text, 4, 6);
  if (!isReal || !(hour < 24 && minute < 60 && second < 60)) return undefined;
  return ms + ((hour * 60 + minute) * 60 + second) * 1000;
}

const HTTP_DATE =
  /^[A-Z][a-z]{2}, ([0-9]{2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) (?:GMT|UTC|[+-]0000)$/;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';
const LONGEST_HTTP_DATE = 31;

/** A `Date` header as `yyyymmddThhmmssZ`, or undefined. The weekday is not checked: it adds nothing to the moment. */
export function amzDateOfHttpDate(text: string): string | undefined {
  if (text.length > LONGEST_HTTP_DATE) return undefined;
  const match = HTTP_DATE.exec(text);
  if (!match) return undefined;
  const [, day, monthName, year, hour, minute, second] = match;
  const month = String(MONTHS.indexOf(monthName!) / 3 + 1).padStart(2, '0');
  const amzDate = `${year}${month}${day}T${hour}${minute}${second}Z`;
  return parseAmzDate(amzDate) === undefined ? undefined : amzDate;
}

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}
