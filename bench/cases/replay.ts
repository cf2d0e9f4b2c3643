import type { NatsConnection } from 'nats';
import { encodeCommit, NO_HASH } from '#domain/commit';
import type { KeyEvent } from '#domain/key/events';
import { eventSubject } from '#domain/subjects';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureEventStream } from '#event-store/streams';
import { LiveView } from '#views/live-view';
import { type LogEntry, Projection } from '#views/projection';
import type { Scenario } from '../case';
import { ACCOUNT, REGION } from '../kms-requests';
import type { Measured } from '../measured';

const FOLD = 'replay: fold alone (commits)';
const READ = 'replay: read from JetStream, and fold (commits)';
const FOLLOW = 'replay: follow JetStream, and fold, as a start does (commits)';

const COMMITS = 50_000;
const KEYS = 1_000;
/** Publishes whose acknowledgements are awaited together. */
const BATCH = 1_000;

/** A log of 50,000 commits: 1,000 keys, each created and then described anew. The hash chain is checked. */
export const replay: Scenario = {
  cases: [FOLD, READ, FOLLOW].map((name) => ({ name, connections: 1 })),
  async open(processes) {
    const commits = benchLog();
    // Filling it is not measured, so it need not be durable.
    const nats = await processes.connect({ servers: (await processes.natsServer('2m')).url });
    await fill(nats, commits);
    const store = new JetStreamEventStore(nats);
    return {
      [FOLD]: (_, seconds) =>
        passes(seconds, async () => {
          const projection = new Projection();
          for (const commit of commits) projection.apply(commit);
          return projection.position;
        }),
      [READ]: (_, seconds) =>
        passes(seconds, async () => {
          const projection = new Projection();
          for await (const commit of store.read(1)) projection.apply(commit);
          return projection.position;
        }),
      [FOLLOW]: (_, seconds) =>
        passes(seconds, async () => {
          const view = new LiveView();
          await view.start(store);
          await view.stop();
          return view.position;
        }),
    };
  },
};

/** Replays the log at least twice, and until the time is over; the first pass, which warms up, does not count. */
async function passes(seconds: number, pass: () => Promise<number>): Promise<Measured> {
  await whole(pass);
  const started = performance.now();
  let count = 0;
  do {
    await whole(pass);
    count++;
  } while (performance.now() < started + seconds * 1000);
  return { perSecond: (count * COMMITS * 1000) / (performance.now() - started) };
}

async function whole(pass: () => Promise<number>): Promise<void> {
  const position = await pass();
  if (position !== COMMITS) throw new Error(`replay ended at position ${position}, not at ${COMMITS}`);
}

export async function fill(nats: NatsConnection, commits: readonly LogEntry[]): Promise<void> {
  await ensureEventStream(nats, { replicas: 1 });
  const js = nats.jetstream();
  for (let from = 0; from < commits.length; from += BATCH) {
    const batch = commits.slice(from, from + BATCH);
    await Promise.all(batch.map(({ subject, bytes }) => js.publish(subject, bytes)));
  }
}

/** Keys that are each created and then described anew, one commit a position. */
export function benchLog(commits = COMMITS): LogEntry[] {
  const log: LogEntry[] = [];
  const source = new Projection();
  for (let seq = 1; seq <= commits; seq++) {
    const id = `00000000-0000-4000-8000-${String(seq % KEYS).padStart(12, '0')}`;
    const ref = { region: REGION, account: ACCOUNT, aggregate: 'key' as const, id };
    const before = source.key(REGION, ACCOUNT, id);
    const bytes = encodeCommit({
      ...ref,
      schema: 1,
      version: (before?.version ?? 0) + 1,
      prevHash: before?.hash ?? NO_HASH,
      time: '2026-01-01T00:00:00.000Z',
      principal: `arn:aws:iam::${ACCOUNT}:root`,
      requestId: '00000000-0000-4000-8000-000000000000',
      operation: 'Bench',
      events: [before ? described(seq) : CREATED],
    });
    const entry = { seq, subject: eventSubject(ref), bytes };
    source.apply(entry);
    log.push(entry);
  }
  return log;
}

const CREATED: KeyEvent = {
  type: 'KeyCreated',
  v: 1,
  description: '',
  keyUsage: 'ENCRYPT_DECRYPT',
  keySpec: 'SYMMETRIC_DEFAULT',
  origin: 'AWS_KMS',
  multiRegion: false,
  policy: '{}',
  tags: [],
  materialId: NO_HASH,
};

const described = (seq: number): KeyEvent => ({
  type: 'KeyDescriptionUpdated',
  v: 1,
  description: `description ${seq}`,
});
