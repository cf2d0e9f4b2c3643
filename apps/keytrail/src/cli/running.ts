import { isoDate } from '#domain/dates';
import { reportFailure } from '#platform/report-failure';
import { parseSettings, type Settings } from '#platform/settings';
import { type Operator, openOperator } from './operator';
import { putOnRecord } from './operator-record';
import { printable } from './printable';
import { timeNow } from './services';

export const print = (line: string): void => {
  process.stdout.write(`${printable(line)}\n`);
};

export const warn = (line: string): void => {
  process.stderr.write(`keytrail: ${printable(line)}\n`);
};

/** Runs a command, and turns what goes wrong into one message and exit code 1. */
export function running<A extends unknown[]>(command: (settings: Settings, ...args: A) => Promise<void>) {
  return async (...args: A): Promise<void> => {
    try {
      await command(parseSettings(process.env), ...args);
    } catch (error) {
      reportFailure('keytrail', error);
      process.exit(1);
    }
  };
}

/** Runs a command of the operator's. */
export const operating = <A extends unknown[]>(
  openStore: boolean,
  command: (operator: Operator, ...args: A) => Promise<void>,
) =>
  running(async (settings: Settings, ...args: A) => {
    const operator = await openOperator(settings, openStore);
    try {
      await command(operator, ...args);
    } finally {
      await operator.close();
    }
  });

/** What identifiers are relative to, where snapshots are, and the services' time. */
export async function around(operator: Operator) {
  const { accountId, region, dataDir, clock } = parseSettings(process.env);
  return { accountId, region, dataDir, warn, now: isoDate(await timeNow(operator, clock)) };
}

/** A command that is on record before it does anything. */
export const recorded =
  <A extends unknown[]>(eventName: string, command: (operator: Operator, ...args: A) => Promise<void>) =>
  async (operator: Operator, ...args: A): Promise<void> => {
    await putOnRecord(operator, eventName, args, warn);
    await command(operator, ...args);
  };

/** Runs a command that answers by its exit code: 0 or 1, and 2 for what cannot be asked or answered. On record before it does. */
export const answering =
  <O>(eventName: string, zero: boolean, ask: (operator: Operator, options: O) => Promise<boolean>, openStore = true) =>
  async (options: O): Promise<void> => {
    try {
      const operator = await openOperator(parseSettings(process.env), openStore);
      try {
        await putOnRecord(operator, eventName, [options], warn);
        process.exitCode = (await ask(operator, options)) === zero ? 0 : 1;
      } finally {
        await operator.close();
      }
    } catch (error) {
      reportFailure('keytrail', error);
      process.exit(2);
    }
  };

export const usageIsTwo = ({ exitCode }: { exitCode: number }): never => process.exit(exitCode === 0 ? 0 : 2);
