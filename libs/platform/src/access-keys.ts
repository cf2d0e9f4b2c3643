import type { NatsConnection } from 'nats';
import type { CommandOf } from '#domain/aggregates';
import { KmsError } from '#domain/errors';
import { accessKeyMaterialId } from '#domain/principal/access-key-material-id';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import type { MaterialVault } from '#hsm/material-vault';
import type { AccessKeyPorts, Call } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import { commandOriginOf, membersOf, positionOf, refOf, tokenOf } from './internal-questions';
import { answer, ask } from './internal-requests';
import { originOf } from './key-manager';
import type { ServedRequests } from './served-requests';

export type AccessKeyCommand = Extract<
  CommandOf<'principal'>,
  { type: 'CreateAccount' | 'CreateAccessKey' | 'DeleteAccessKey' }
>;

/** Has a key-manager decide and append; the position then. */
export type AppendAccessKey = (
  ref: AggregateRef<'principal'>,
  command: AccessKeyCommand,
  origin: CommandOrigin,
  /** Position of the view in which the caller was checked, where there is one. */
  checkedAt?: number,
) => Promise<{ position: number }>;

/** AWS's: 40 characters of base64. */
const SECRET_BYTES = 30;

/** Makes and erases the secrets of access keys; what becomes of the access keys, a key-manager decides. */
export class AccessKeys implements AccessKeyPorts {
  constructor(
    private readonly vault: MaterialVault,
    private readonly view: LiveView,
    private readonly appendElsewhere: AppendAccessKey,
  ) {}

  async create(ownerArn: string, accessKeyId: string): Promise<string> {
    const secret = await this.vault.createAccessKey(ownerArn, accessKeyMaterialId(accessKeyId), SECRET_BYTES);
    try {
      return secret.toString('base64');
    } finally {
      secret.fill(0);
    }
  }

  runCommand(ref: AggregateRef<'principal'>, command: AccessKeyCommand, call: Call): Promise<void> {
    return this.append(ref, command, originOf(call), call.checkedAt);
  }

  /** Returns once it is in this process's view. */
  async append(
    ref: AggregateRef<'principal'>,
    command: AccessKeyCommand,
    origin: CommandOrigin,
    checkedAt?: number,
  ): Promise<void> {
    const { position } = await this.appendElsewhere(ref, command, origin, checkedAt);
    await this.view.waitFor(position);
  }

  erase(accessKeyId: string): Promise<void> {
    return this.vault.destroy(accessKeyMaterialId(accessKeyId));
  }
}

interface Question {
  ref: AggregateRef<'principal'>;
  command: AccessKeyCommand;
  origin: CommandOrigin;
  checkedAt?: number | undefined;
}

/** Asks a key-manager over NATS. Never twice: a deletion that was made would be refused then. */
export const appendRemotely =
  (nats: NatsConnection): AppendAccessKey =>
  (ref, command, origin, checkedAt) =>
    ask(nats, INTERNAL.principalCommand, { ref, command, origin, checkedAt } satisfies Question);

/** Serves appendRemotely. */
export function serveAccessKeyCommands(
  served: ServedRequests,
  append: AppendAccessKey,
  onError: (error: unknown) => void,
): void {
  answer<unknown, { position: number }>(
    served,
    INTERNAL.principalCommand,
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
  return {
    ref: refOf(question['ref'], 'principal'),
    command: commandOf(question['command']),
    origin: commandOriginOf(question['origin']),
    ...(question['checkedAt'] === undefined ? {} : { checkedAt: positionOf(question, 'checkedAt') }),
  };
}

/** No other command of principals comes from a crypto-worker. */
function commandOf(value: unknown): AccessKeyCommand {
  const command = membersOf(value, 'command');
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
}
