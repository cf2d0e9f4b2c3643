import { createHash } from 'node:crypto';

/** `account` and `region` of whose files they are. */
export interface TrailPair {
  account: string;
  region: string;
}

/** One trail gives all files, as if it had been made in `home`. */
export const TRAIL_NAME = 'keytrail';

export const trailArn = (home: string, account: string): string =>
  `arn:aws:cloudtrail:${home}:${account}:trail/${TRAIL_NAME}`;

/** Whole seconds, as in records and digests: `2026-11-25T04:05:06Z`. */
export const trailTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/**
 * The key of a log file; `at`: when it was delivered, ms. The 16 characters follow from `about`. Source: AWS CloudTrail User
 * Guide, "CloudTrail log file name format".
 */
export function logFileKey({ account, region }: TrailPair, at: number, about: string): string {
  const minute = `${compact(at).slice(0, 'yyyymmddThhmm'.length)}Z`;
  const name = `${account}_CloudTrail_${region}_${minute}_${uniqueString(`${account} ${region} ${about}`)}.json.gz`;
  return `AWSLogs/${account}/CloudTrail/${region}/${dayFolder(at)}/${name}`;
}

/** The key of a digest that ends at `end`, ms. Source: as trail-digest.ts. */
export const digestKey = ({ account, region }: TrailPair, home: string, end: number): string =>
  `AWSLogs/${account}/CloudTrail-Digest/${region}/${dayFolder(end)}/${account}_CloudTrail-Digest_${region}_${TRAIL_NAME}_${home}_${compact(end)}.json.gz`;

/** `2026/11/25` */
export const dayFolder = (ms: number): string => new Date(ms).toISOString().slice(0, 10).replaceAll('-', '/');

/** `20261125T040506Z` */
const compact = (ms: number): string => trailTime(ms).replace(/[-:]/g, '');

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const UNIQUE_LENGTH = 16;

/** Of 62 characters each, 95 bits. */
function uniqueString(about: string): string {
  let rest = BigInt(`0x${createHash('sha256').update(about).digest('hex')}`);
  let text = '';
  while (text.length < UNIQUE_LENGTH) {
    text += LETTERS[Number(rest % BigInt(LETTERS.length))];
    rest /= BigInt(LETTERS.length);
  }
  return text;
}
