import { decodeCommit } from '#domain/commit-codec';
import { isoDate } from '#domain/dates';
import { EVENTS_STREAM } from '#domain/subjects';
import { storedMessage } from '#event-store/jetstream-api';
import { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { recordedTime } from '#views/moment';
import { isDuration, parseDuration } from './duration';
import { CommandError, type Operator } from './operator';

/** What every option that takes a moment says of it in --help. */
export const A_MOMENT =
  'ISO 8601, a duration before now such as 30d, a position of the log such as @42, or epoch seconds';

const EPOCH_SECONDS = /^\d+(\.\d+)?$/;
const POSITION = /^@(\d+)$/;
const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;
const WITHOUT_ZONE = /T[^Z+-]+$/;
/** 9999-12-31T23:59:59.999Z: moments compare as text, which a longer year does not. */
const LAST_MS = 253_402_300_799_999;
const TIMEOUT_MS = 5_000;

/**
 * ISO 8601 of a moment as the option gave it. A position stands for when its commit was recorded. `now`: of the services.
 * Throws CommandError naming the option and what it expects.
 */
export async function momentAt(operator: Operator, option: string, text: string, now: string): Promise<string> {
  const position = POSITION.exec(text);
  if (position) return recordedAt(operator, option, Number(position[1]));
  if (isDuration(text)) return isoDate(Date.parse(now) - parseDuration(text));
  if (ISO.test(text) && WITHOUT_ZONE.test(text)) {
    throw new CommandError(`${option} ${text}: a time without its zone; end it with Z for UTC, or with +01:00`);
  }
  const ms = EPOCH_SECONDS.test(text) ? Number(text) * 1_000 : ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new CommandError(`${option} ${text}: no moment; expected ${A_MOMENT}`);
  if (ms > LAST_MS) throw new CommandError(`${option} ${text}: expected a moment up to the year 9999`);
  return isoDate(ms);
}

async function recordedAt(operator: Operator, option: string, position: number): Promise<string> {
  const end = await new JetStreamEventStore(operator.nats).lastPosition();
  if (position < 1 || position > end) {
    const range = end === 0 ? 'the log is empty' : `the log has positions @1 to @${end}`;
    throw new CommandError(`${option} @${position}: ${range}`);
  }
  const held = await storedMessage(operator.nats, EVENTS_STREAM, { seq: position }, TIMEOUT_MS);
  if (!held) throw new CommandError(`${option} @${position}: the log has lost that position; see ./keytrail verify`);
  return recordedTime(decodeCommit(held.subject, Buffer.from(held.data ?? '', 'base64')));
}
