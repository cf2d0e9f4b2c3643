import { everythingAt, partAt } from '../../apps/keytrail/src/cli/log-reader';
import { subjectsOfKey } from '../../apps/keytrail/src/cli/question';
import type { Scenario } from '../case';
import { ACCOUNT, REGION } from '../kms-requests';
import { Latencies, type Measured } from '../measured';
import { benchLog, fill } from './replay';

const ONE_KEY = 'time travel: a question about one key';
const EVERYTHING = 'time travel: a question about everything, without a snapshot';
const FROM_SNAPSHOT = 'time travel: a question about everything, from a snapshot';

const COMMITS = 100_000;
const KEY = { region: REGION, account: ACCOUNT, aggregate: 'key', id: '00000000-0000-4000-8000-000000000500' } as const;
/** Commits of that key: the log has 1,000 keys, and turns to each in the same order. */
const OF_KEY = COMMITS / 1_000;

/** Questions to a log of 100,000 commits, as `./keytrail replay` and `diff` ask them, one after the other. */
export const timeTravel: Scenario = {
  cases: [ONE_KEY, EVERYTHING, FROM_SNAPSHOT].map((name) => ({ name, connections: 1 })),
  async open(processes) {
    const nats = await processes.connect({ servers: (await processes.natsServer('2m')).url });
    await fill(nats, benchLog(COMMITS));
    const operator = { nats, services: false, close: async () => {} };
    const dataDir = processes.folder();
    const warn = (line: string): never => {
      throw new Error(line);
    };
    const everything = (snapshotEvery: number) => async () => {
      const { projection } = await everythingAt(operator, undefined, { dataDir, warn, snapshotEvery });
      if (projection.position !== COMMITS) throw new Error(`the log ended at ${projection.position}`);
    };
    return {
      [ONE_KEY]: (_, seconds) =>
        asked(seconds, async () => {
          const { projection } = await partAt(operator, subjectsOfKey(KEY), undefined);
          if (projection.folded(KEY)?.version !== OF_KEY) throw new Error('the key has another version');
        }),
      [EVERYTHING]: (_, seconds) => asked(seconds, everything(Number.POSITIVE_INFINITY)),
      // The first time it is asked leaves a snapshot at 90,000.
      [FROM_SNAPSHOT]: (_, seconds) => asked(seconds, everything(90_000)),
    };
  },
};

/** The first time does not count. */
async function asked(seconds: number, question: () => Promise<void>): Promise<Measured> {
  await question();
  const latencies = new Latencies();
  const started = performance.now();
  let count = 0;
  do {
    const from = performance.now();
    await question();
    latencies.add(performance.now() - from);
    count++;
  } while (performance.now() < started + seconds * 1000);
  return { perSecond: (count * 1000) / (performance.now() - started), ...latencies.percentiles };
}
