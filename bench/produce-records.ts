import { createSecretKey, randomBytes } from 'node:crypto';
import { connect } from 'nats';
import { batchEntry, batchHash, encodeBatch, NO_BATCH } from '#audit-log/batch';
import { splitRecord } from '#audit-log/record';
import { benchRecord } from './audit-records';

/**
 * A process that fills KMS_AUDIT as a busy worker does: `URL count perSecond`. Without a rate, as fast as it can. It seals
 * everything first, so that it needs little of the machine while it is measured beside.
 */

const WRITER = '00000000-0000-4000-8000-000000000000';
export const BENCH_SEALING_KEY = createSecretKey(Buffer.alloc(32, 7));
/** Records that wait while a batch is on its way, at some 1,000 batches a second. */
const BATCH = 5;
/** What is published at once, and then waited for. */
const TURN_MS = 20;
const IN_FLIGHT = 500;

function batches(count: number): Buffer[] {
  const made: Buffer[] = [];
  let prev = NO_BATCH;
  for (let first = 0; first < count; first += BATCH) {
    const entries = Array.from({ length: Math.min(BATCH, count - first) }, (_, at) => {
      const { open, sealed } = splitRecord(benchRecord(first + at));
      return batchEntry(open, sealed, randomBytes(16));
    });
    const bytes = encodeBatch({ writer: WRITER, batch: made.length + 1, prev }, entries, () => ({
      generation: 1,
      key: BENCH_SEALING_KEY,
    }));
    made.push(bytes);
    prev = batchHash(bytes);
  }
  return made;
}

async function produce(url: string, count: number, perSecond: number): Promise<void> {
  const made = batches(count);
  const nats = await connect({ servers: url });
  const js = nats.jetstream();
  const started = performance.now();
  for (let sent = 0; sent < made.length; ) {
    const due = Math.min(
      made.length,
      perSecond ? ((performance.now() - started) * perSecond) / 1000 / BATCH : Infinity,
    );
    const turn = made.slice(sent, Math.min(Math.floor(due), sent + IN_FLIGHT));
    await Promise.all(turn.map((bytes) => js.publish(`kms.aud.${WRITER}`, bytes)));
    sent += turn.length;
    if (perSecond) await new Promise((resolve) => setTimeout(resolve, TURN_MS));
  }
  await nats.close();
}

if (require.main === module) {
  const [url = '', count = '', perSecond = '0'] = process.argv.slice(2);
  produce(url, Number(count), Number(perSecond)).then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(1);
    },
  );
}
