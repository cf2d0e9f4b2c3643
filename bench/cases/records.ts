import { onOneAndMany, type Scenario } from '../case';
import { startEmbedded } from '../embedded';
import { type KmsRequest, kmsRequests } from '../kms-requests';
import { httpLoad, type Target, warmUp } from '../load';
import type { Measured } from '../measured';
import { ROOT } from '../processes';

const OFF = 'HTTP Encrypt without records';
const ON = 'HTTP Encrypt with records';
const ROUND_SECONDS = 0.5;

/**
 * What it costs that each call is on record before its reply: two servers that differ in KEYTRAIL_RECORDS alone, measured
 * in turn in short rounds, so that what else the machine does falls on both.
 */
export const records: Scenario = {
  cases: onOneAndMany([{ name: OFF }, { name: ON, floor: OFF }]),
  async open(processes) {
    const sides = {
      [OFF]: await startEmbedded(processes, ROOT, { KEYTRAIL_RECORDS: 'off' }),
      [ON]: await startEmbedded(processes, ROOT, { KEYTRAIL_RECORDS: 'on' }),
    };
    const requests: Record<string, KmsRequest> = {};
    for (const [name, target] of Object.entries(sides)) {
      requests[name] = (await kmsRequests(target.port))['Encrypt']!;
      await warmUp(target.port, requests[name]);
    }
    /** By connections, what was measured of both sides at once. */
    const measured = new Map<number, Record<string, Measured>>();
    const both = async (connections: number, seconds: number): Promise<Record<string, Measured>> => {
      const rounds: Record<string, Measured[]> = { [OFF]: [], [ON]: [] };
      const turns: [string, Target][] = Object.entries(sides);
      for (let round = 0; round < Math.ceil(seconds / ROUND_SECONDS); round++) {
        for (const [name, target] of turns) {
          rounds[name]!.push(await httpLoad(target, requests[name]!, connections, ROUND_SECONDS));
        }
        turns.reverse();
      }
      return { [OFF]: medians(rounds[OFF]!), [ON]: medians(rounds[ON]!) };
    };
    const side = (name: string) => async (connections: number, seconds: number) => {
      if (!measured.has(connections)) measured.set(connections, await both(connections, seconds));
      return measured.get(connections)![name]!;
    };
    return { [OFF]: side(OFF), [ON]: side(ON) };
  },
};

/** Of each figure the median of the rounds; CPU, which comes in steps, the mean. */
function medians(rounds: readonly Measured[]): Measured {
  const median = (of: (one: Measured) => number): number => {
    const sorted = rounds.map(of).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)]!;
  };
  return {
    perSecond: median(({ perSecond }) => perSecond),
    p50Ms: median(({ p50Ms = Number.NaN }) => p50Ms),
    p99Ms: median(({ p99Ms = Number.NaN }) => p99Ms),
    cpuUs: rounds.reduce((sum, { cpuUs = Number.NaN }) => sum + cpuUs, 0) / rounds.length,
  };
}
