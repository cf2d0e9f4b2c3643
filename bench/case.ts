import type { Measured } from './measured';
import type { Processes } from './processes';

/** One measured case, as one row of the table shows it. */
export interface Case {
  name: string;
  /** Connections, or requests in flight on one connection. */
  connections: number;
  /** Name of the case that it is held against, which has the same number of connections. */
  floor?: string;
}

/** Measures a case for about `seconds`. */
export type Measure = (connections: number, seconds: number) => Promise<Measured>;

/** Cases that share what has to be started for them. */
export interface Scenario {
  /** In the order in which they run; a floor comes before what is held against it. */
  cases: readonly Case[];
  /** Whether it is left out unless `--only` names it: for what takes long to set up. */
  onlyByName?: boolean;
  /** Starts it, and says how each case is measured, by name. Undefined where what it needs is not on this machine. */
  open(processes: Processes): Promise<Record<string, Measure> | undefined>;
}

/** The cases whose name contains `text`, whatever the case of its letters, and the floors that they are held against. */
export function chosenCases(cases: readonly Case[], text: string): Case[] {
  const chosen = cases.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()));
  const isFloorOfOne = ({ name, connections }: Case): boolean =>
    chosen.some((other) => other.floor === name && other.connections === connections);
  return cases.filter((one) => chosen.includes(one) || isFloorOfOne(one));
}

/** The same cases for one connection, then for many. */
export const onOneAndMany = (cases: readonly Omit<Case, 'connections'>[]): Case[] =>
  [1, 32].flatMap((connections) => cases.map((one) => ({ ...one, connections })));
