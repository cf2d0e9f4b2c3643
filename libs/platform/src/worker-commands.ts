import type { NatsConnection } from 'nats';
import { KmsError } from '#domain/errors';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import type { Call, WorkerCommand, WorkerCommandAggregate } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import { clusterCommandOf } from './clusters/cluster-command';
import { importCommandOf } from './import-command';
import { commandOriginOf, membersOf, positionOf, refOf, tokenOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import { originOf } from './key-manager';
import { storeCommandOf } from './key-stores/store-command';
import { rootCommandOf } from './root/serve-root';
import type { ServedRequests } from './served-requests';

/** Has a key-manager decide and append; the position then. */
export type AppendForWorker = <T extends WorkerCommandAggregate>(
  ref: AggregateRef<T>,
  command: WorkerCommand<T>,
  origin: CommandOrigin,
  /** Position of the view in which the caller was checked, where there is one. */
  checkedAt?: number,
) => Promise<{ position: number }>;

/** What a crypto-worker has appended: it alone holds the secrets that it is about, and may append nothing itself. */
export class WorkerCommands {
  constructor(
    private readonly view: LiveView,
    private readonly appendElsewhere: AppendForWorker,
  ) {}

  run<T extends WorkerCommandAggregate>(ref: AggregateRef<T>, command: WorkerCommand<T>, call: Call): Promise<void> {
    return this.append(ref, command, originOf(call), call.checkedAt);
  }

  /** Returns once it is in this process's view. */
  async append<T extends WorkerCommandAggregate>(
    ref: AggregateRef<T>,
    command: WorkerCommand<T>,
    origin: CommandOrigin,
    checkedAt?: number,
  ): Promise<void> {
    const { position } = await this.appendElsewhere(ref, command, origin, checkedAt);
    await this.view.waitFor(position);
  }
}

interface Question {
  ref: AggregateRef<WorkerCommandAggregate>;
  command: WorkerCommand<WorkerCommandAggregate>;
  origin: CommandOrigin;
  checkedAt?: number | undefined;
}

/** Asks a key-manager over NATS. Never twice: a deletion that was made would be refused then. */
export const appendRemotely =
  (nats: NatsConnection): AppendForWorker =>
  (ref, command, origin, checkedAt) =>
    ask(nats, INTERNAL.workerCommand, { ref, command, origin, checkedAt } satisfies Question);

/** Serves appendRemotely. */
export function serveWorkerCommands(
  served: ServedRequests,
  append: AppendForWorker,
  onError: (error: unknown) => void,
): void {
  answer<unknown, { position: number }>(
    served,
    INTERNAL.workerCommand,
    QUEUE.control,
    async (question) => {
      const { ref, command, origin, checkedAt } = questionOf(question);
      const { position } = await append(ref, command, origin, checkedAt);
      return { position };
    },
    onError,
  );
}

function questionOf(value: unknown): Question {
  const question = membersOf(value);
  const aggregate = aggregateOf(membersOf(question['ref'], 'ref')['aggregate']);
  return {
    ref: refOf(question['ref'], aggregate),
    command: READERS[aggregate](membersOf(question['command'], 'command')),
    origin: commandOriginOf(question['origin']),
    ...(question['checkedAt'] === undefined ? {} : { checkedAt: positionOf(question, 'checkedAt') }),
  };
}

type Readers = { [T in WorkerCommandAggregate]: (command: Record<string, unknown>) => WorkerCommand<T> };

/** THE table of what a crypto-worker may have appended, by what it is about: no other command comes from one. */
const READERS: Readers = {
  key: importCommandOf,
  customKeyStore: storeCommandOf,
  cluster: clusterCommandOf,
  root: rootCommandOf,
  principal: (command) => {
    const { type } = command;
    switch (type) {
      case 'CreateAccount':
        return { type };
      case 'CreateAccessKey':
      case 'DeleteAccessKey':
        return { type, accessKeyId: tokenOf(command, 'accessKeyId') };
      default:
        throw new KmsError('ValidationException', 'type: expected a command of access keys');
    }
  },
};

function aggregateOf(value: unknown): WorkerCommandAggregate {
  if (typeof value === 'string' && Object.hasOwn(READERS, value)) return value as WorkerCommandAggregate;
  throw new KmsError('ValidationException', `aggregate: expected one of ${Object.keys(READERS).join(', ')}`);
}
