import { setImmediate } from 'node:timers/promises';
import type { TrailPair } from '#audit-log/trail-names';
import { cloudTrailRecord, type SeenRecord } from '#audit-log/trail-record';
import { accountsThatSee, seenBy } from '../history/seen-record';
import type { TimeRange } from './trail-state';

/** What one log file holds. */
export interface LogFileContents {
  pair: TrailPair;
  /** Each as JSON. */
  records: string[];
  newestEventTime: string;
  oldestEventTime: string;
}

/**
 * Regions of one account that get files of their own; what is of a further one is in those of the trail's own region. Each
 * has a digest every hour, for ever, and a caller may name any region.
 */
const MAX_REGIONS = 64;
const RECORDS_AT_ONCE = 200;

/**
 * The log files of a piece, in the order of their first records: a pure function, but that requests get their turn meanwhile. `open`: the accounts and regions that have files
 * already. Nobody unknown opens a region.
 */
export async function logFilesOf(
  records: readonly SeenRecord[],
  open: readonly TrailPair[],
  home: string,
  { since, until }: TimeRange,
): Promise<LogFileContents[]> {
  const regions = new Map<string, Set<string>>();
  for (const { account, region } of open) regionsOf(regions, account).add(region);
  const files = new Map<string, LogFileContents>();
  for (const [nth, record] of records.entries()) {
    if (nth % RECORDS_AT_ONCE === RECORDS_AT_ONCE - 1) await setImmediate();
    const { eventTime } = record;
    if ((since !== undefined && eventTime < since) || (until !== undefined && eventTime >= until)) continue;
    for (const account of accountsThatSee(record)) {
      const seen = seenBy(record, account);
      const pair = pairOf(account, seen, regionsOf(regions, account), home);
      const name = `${pair.account} ${pair.region}`;
      const file = files.get(name) ?? { pair, records: [], newestEventTime: eventTime, oldestEventTime: eventTime };
      file.records.push(JSON.stringify(cloudTrailRecord(seen)));
      if (eventTime > file.newestEventTime) file.newestEventTime = eventTime;
      if (eventTime < file.oldestEventTime) file.oldestEventTime = eventTime;
      files.set(name, file);
    }
  }
  return [...files.values()];
}

function pairOf(account: string, seen: SeenRecord, known: Set<string>, home: string): TrailPair {
  const { awsRegion: region } = seen;
  const opens = seen.userIdentity.type !== 'Unknown' && known.size < MAX_REGIONS;
  if (!known.has(region) && !opens) return { account, region: home };
  known.add(region);
  return { account, region };
}

function regionsOf(regions: Map<string, Set<string>>, account: string): Set<string> {
  const known = regions.get(account) ?? new Set<string>();
  regions.set(account, known);
  return known;
}
