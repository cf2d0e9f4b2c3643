/** The log does not hold what it must hold: a position is missing, or commits that were read before are gone. */
export class LogDamagedError extends Error {
  override readonly name = 'LogDamagedError';
}

export const missingPosition = (stream: string, seq: number): LogDamagedError =>
  new LogDamagedError(`position ${seq} is missing from ${stream}: restore the stream from a backup`);

export const lostTail = (stream: string, last: number, expected: number): LogDamagedError =>
  new LogDamagedError(
    `${stream} ends at position ${last}, but position ${expected} was read before: commits were lost`,
  );

export const replacedCommit = (stream: string, seq: number): LogDamagedError =>
  new LogDamagedError(
    `position ${seq} of ${stream} is not the commit that was read there before: the log was replaced`,
  );

export const goneStream = (stream: string): LogDamagedError =>
  new LogDamagedError(`${stream} does not exist: it was never made, or was deleted`);
