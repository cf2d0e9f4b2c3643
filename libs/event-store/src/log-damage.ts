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

/** Material is stored before the event that names it, at a position that the log had reached: it cannot be shorter now. */
export const shorterThanMaterial = (last: number, reached: number): LogDamagedError =>
  new LogDamagedError(
    `the event log ends at position ${last}, but key material was stored when it had reached ${reached}: commits were lost; restore log and material from one backup`,
  );

const olderOnPurpose = (path: string): string =>
  `restore the newest backup, whole. To go on with this log all the same, without what came later (revocations too), remove ${path}`;

/** `path` names the file that says how far the log had come. */
export const shorterThanWitness = (stream: string, last: number, reached: number, path: string): LogDamagedError =>
  new LogDamagedError(
    `${stream} ends at position ${last}, but ${path} says that it had reached ${reached}: commits were lost; ${olderOnPurpose(path)}`,
  );

export const replacedSinceWitness = (stream: string, seq: number, path: string): LogDamagedError =>
  new LogDamagedError(
    `position ${seq} of ${stream} is not the commit of which ${path} has the hash: the log was replaced or altered; ${olderOnPurpose(path)}`,
  );

export const replacedCommit = (stream: string, seq: number): LogDamagedError =>
  new LogDamagedError(
    `position ${seq} of ${stream} is not the commit that was read there before: the log was replaced`,
  );

export const goneStream = (stream: string): LogDamagedError =>
  new LogDamagedError(`${stream} does not exist: it was never made, or was deleted`);
