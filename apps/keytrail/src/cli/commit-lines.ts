import type { Commit } from '#domain/commit';

/** A commit as the history of its aggregate shows it. */
export type HistoryEntry = Pick<
  Commit,
  'version' | 'time' | 'recordedAt' | 'principal' | 'operation' | 'requestId' | 'events'
>;

export const historyEntry = ({
  version,
  time,
  recordedAt,
  principal,
  operation,
  requestId,
  events,
}: Commit): HistoryEntry => ({
  version,
  time,
  ...(recordedAt === undefined ? {} : { recordedAt }),
  principal,
  operation,
  requestId,
  events,
});

/** When it took effect; of what was recorded at another time, when that was. */
export const when = ({ time, recordedAt }: Pick<Commit, 'time' | 'recordedAt'>): string =>
  recordedAt === undefined ? time : `${time} (recorded ${recordedAt})`;

/** An event in one line, long values cut. */
export function describeEvent(event: Commit['events'][number]): string {
  const { type, v: _v, ...members } = event;
  const shown = Object.entries(members).map(([name, value]) => `${name}=${short(value)}`);
  return [type, ...shown].join(' ');
}

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replace(/\s+/g, ' ');
  return line.length > 80 ? `${line.slice(0, 77)}...` : line;
}
