import { type Measure, onOneAndMany, type Scenario } from '../case';
import { startEmbedded } from '../embedded';
import { BY_ROOT, encryptRequests, USER_CASES } from '../encrypt-callers';
import { httpLoad, warmUp } from '../load';

/** What a decision costs: who needs no policy, beside who is let in by one, or by a grant. */
export const byPolicy: Scenario = {
  cases: onOneAndMany([{ name: BY_ROOT }, ...USER_CASES.map((name) => ({ name, floor: BY_ROOT }))]),
  async open(processes) {
    const target = await startEmbedded(processes);
    const measures: Record<string, Measure> = {};
    for (const [name, request] of Object.entries(await encryptRequests(target.port))) {
      await warmUp(target.port, request);
      measures[name] = (connections, seconds) => httpLoad(target, request, connections, seconds);
    }
    return measures;
  },
};
