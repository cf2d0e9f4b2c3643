import type { Scenario } from '../case';
import { startEmbedded } from '../embedded';
import { httpCases, httpMeasures } from './http-cases';

const PREFIX = 'HTTP';

/** One process that serves everything: the default. */
export const embeddedHttp: Scenario = {
  cases: httpCases(PREFIX),
  open: async (processes) => httpMeasures(PREFIX, await startEmbedded(processes), processes),
};
