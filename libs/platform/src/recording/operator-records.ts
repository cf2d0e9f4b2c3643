import { randomUUID } from 'node:crypto';
import { type AuditRecord, EVENT_VERSION } from '#audit-log/record';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { INTERNAL, QUEUE } from '#domain/subjects';
import type { Recorder } from '#operations/audit/recorder';
import type { Clock } from '../clock';
import { answer } from '../internal-requests';
import type { ServedRequests } from '../served-requests';

/** What the operator is about to do with a command, past all operations. */
export interface OperatorAct {
  /** `AdvanceClock` */
  eventName: string;
  readOnly: boolean;
  /** What the command was given. Holds no secret. */
  parameters: Readonly<Record<string, unknown>>;
}

export const OPERATOR_SOURCE = 'keytrail.local';

interface OperatorRecords {
  recorder: Recorder;
  clock: Clock;
  /** In whose trail it goes. */
  home: { account: string; region: string };
}

const MAX_PARAMETERS = 16_384;

/** The operator cannot write records itself: a worker makes them, so that they can say nothing but this. */
export function serveOperatorRecords(
  served: ServedRequests,
  records: OperatorRecords | undefined,
  onError: (error: unknown) => void,
): void {
  answer<unknown, { recorded: boolean }>(
    served,
    INTERNAL.operatorRecord,
    QUEUE.data,
    async (question) => {
      const act = actOf(question);
      if (!records) return { recorded: false };
      records.recorder.admit();
      await records.recorder.write(() => operatorRecord(act, records));
      return { recorded: true };
    },
    onError,
  );
}

const operatorRecord = (
  { eventName, readOnly, parameters }: OperatorAct,
  { clock, home: { account, region } }: OperatorRecords,
): AuditRecord => ({
  eventVersion: EVENT_VERSION,
  userIdentity: { type: 'AWSAccount', principalId: 'operator', accountId: account, invokedBy: OPERATOR_SOURCE },
  eventTime: `${isoDate(clock.now()).slice(0, 19)}Z`,
  eventSource: OPERATOR_SOURCE,
  eventName,
  awsRegion: region,
  eventID: randomUUID(),
  readOnly,
  eventType: 'AwsApiCall',
  managementEvent: true,
  recipientAccountId: account,
  eventCategory: 'Management',
  sourceIPAddress: 'nats',
  requestParameters: Object.keys(parameters).length === 0 ? null : parameters,
  responseElements: null,
});

function actOf(question: unknown): OperatorAct {
  const { eventName, readOnly, parameters } = (question ?? {}) as Partial<Record<keyof OperatorAct, unknown>>;
  if (
    typeof eventName !== 'string' ||
    !/^[A-Z][A-Za-z]{1,63}$/.test(eventName) ||
    typeof readOnly !== 'boolean' ||
    typeof parameters !== 'object' ||
    parameters === null ||
    JSON.stringify(parameters).length > MAX_PARAMETERS
  ) {
    throw new KmsError('ValidationException', 'expected eventName, readOnly and parameters');
  }
  return { eventName, readOnly, parameters: parameters as OperatorAct['parameters'] };
}
