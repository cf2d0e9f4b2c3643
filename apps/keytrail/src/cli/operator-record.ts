import { INTERNAL } from '#domain/subjects';
import type { OperatorAct } from '#platform/recording/operator-records';
import { CommandError, type Operator } from './operator';

/** Which commands change something. */
const CHANGES = ['AdvanceClock', 'CreateAccount', 'RotateRootKey', 'ShredRecords'];
const WAIT_MS = 12_000;

/**
 * Puts on record what the operator is about to do. What changes something is not done without; what only reads the log
 * goes on, with a warning, where no service is there to keep the record: then it is needed most.
 */
export async function putOnRecord(
  { nats, services }: Operator,
  eventName: string,
  args: readonly unknown[],
  warn: (line: string) => void,
): Promise<void> {
  const readOnly = !CHANGES.includes(eventName);
  if (!services && readOnly) return;
  const act: OperatorAct = { eventName, readOnly, parameters: parametersOf(args) };
  try {
    const reply = await nats.request(INTERNAL.operatorRecord, JSON.stringify(act), { timeout: WAIT_MS });
    const { error } = reply.json<{ error?: { message: string } }>();
    if (error) throw new Error(error.message);
  } catch (error) {
    const why = `${eventName} could not be put on record: ${(error as Error).message}`;
    if (!readOnly) throw new CommandError(`${why}; nothing was done`);
    warn(`${why}; it goes on`);
  }
}

/** Arguments and options, as the command line gave them. */
function parametersOf(args: readonly unknown[]): Record<string, unknown> {
  const parameters: Record<string, unknown> = {};
  for (const given of args) {
    if (typeof given === 'string') parameters['argument'] = given;
    else if (typeof given === 'object' && given !== null && Object.getPrototypeOf(given) === Object.prototype) {
      Object.assign(parameters, given);
    }
  }
  return parameters;
}
