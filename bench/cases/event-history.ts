import { historyEntry, placeOf } from '#platform/history/history-entry';
import type { SqlHistory } from '#platform/history/sql-history';
import { benchRecord, LOOKUPS } from '../audit-records';
import type { Measure, Scenario } from '../case';
import { type BenchDatabase, type DatabaseName, openDatabase } from '../history-databases';
import { Latencies, type Measured } from '../measured';

const RECORDS = 1_000_000;
const BATCH = 500;
const PAGE = 51;

/** The read model alone: a million records folded in as the projector does it, then pages of it. */
function eventHistoryOn(name: DatabaseName): Scenario {
  const fold = `audit: event history, fold records in, ${name}`;
  const lookUpName = (what: string): string => `audit: event history, look up ${what} in 1,000,000 records, ${name}`;
  return {
    cases: [fold, ...Object.keys(LOOKUPS).map(lookUpName)].map((one) => ({ name: one, connections: 1 })),
    onlyByName: true,
    async open(processes) {
      const opened = await openDatabase(name, processes);
      if (!opened) return undefined;
      let filled: Promise<Measured> | undefined;
      const fill = (): Promise<Measured> => {
        filled ??= foldAll(opened);
        return filled;
      };
      const measures: Record<string, Measure> = { [fold]: fill };
      for (const [what, lookup] of Object.entries(LOOKUPS)) {
        measures[lookUpName(what)] = async (_, seconds) => {
          await fill();
          return using(opened, (history) => lookUp(history, lookup, seconds));
        };
      }
      return measures;
    },
  };
}

export const eventHistory = eventHistoryOn('PGlite');
export const eventHistoryOnPostgres = eventHistoryOn('PostgreSQL');

async function using<T>({ database }: BenchDatabase, use: (history: SqlHistory) => Promise<T>): Promise<T> {
  const history = await database.open();
  try {
    return await use(history);
  } finally {
    await history.close();
  }
}

function foldAll(opened: BenchDatabase): Promise<Measured> {
  return using(opened, async (history) => {
    const latencies = new Latencies();
    const cpuBefore = opened.cpuMs();
    const started = performance.now();
    for (let first = 0; first < RECORDS; first += BATCH) {
      const before = performance.now();
      const position = first / BATCH + 1;
      const entries = Array.from({ length: BATCH }, (_, at) =>
        historyEntry(benchRecord(first + at), placeOf('records', position, at)),
      );
      await history.fold('records', entries, { position, hash: '' }, position - 1);
      latencies.add((performance.now() - before) / BATCH);
    }
    const cpuUs = ((opened.cpuMs() - cpuBefore) * 1000) / RECORDS;
    return { perSecond: (RECORDS * 1000) / (performance.now() - started), ...latencies.percentiles, cpuUs };
  });
}

/** Two pages of each lookup, the second by where the first ended; each counts for itself. */
async function lookUp(history: SqlHistory, lookup: (typeof LOOKUPS)[string], seconds: number): Promise<Measured> {
  const latencies = new Latencies();
  const started = performance.now();
  let count = 0;
  let nth = 0;
  do {
    const query = lookup(nth++, RECORDS);
    let after: Awaited<ReturnType<SqlHistory['find']>>[number] | undefined;
    do {
      const before = performance.now();
      const found = await history.find({ ...query, limit: PAGE, ...(after && { after }) });
      latencies.add(performance.now() - before);
      count++;
      if (found.length === 0) throw new Error(`nothing was found of ${JSON.stringify(query)}`);
      after = after || found.length < PAGE ? undefined : found.at(-1);
    } while (after);
  } while (performance.now() < started + seconds * 1000);
  return { perSecond: (count * 1000) / (performance.now() - started), ...latencies.percentiles };
}
