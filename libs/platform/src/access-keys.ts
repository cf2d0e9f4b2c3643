import type { NatsConnection } from 'nats';
import type { CommandOf } from '#domain/aggregates';
import { accessKeyMaterialId } from '#domain/principal/access-key-material-id';
import { type AggregateRef, INTERNAL, QUEUE } from '#domain/subjects';
import type { CommandOrigin } from '#event-store/run-command';
import type { MaterialVault } from '#hsm/material-vault';
import type { AccessKeyPorts, Call } from '#operations/operation';
import type { LiveView } from '#views/live-view';
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
) => Promise<{ position: number }>;

const ALLOWED: readonly string[] = [
  'CreateAccount',
  'CreateAccessKey',
  'DeleteAccessKey',
] satisfies AccessKeyCommand['type'][];

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
    return this.append(ref, command, originOf(call));
  }

  /** Returns once it is in this process's view. */
  async append(ref: AggregateRef<'principal'>, command: AccessKeyCommand, origin: CommandOrigin): Promise<void> {
    const { position } = await this.appendElsewhere(ref, command, origin);
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
}

/** Asks a key-manager over NATS. Never twice: a deletion that was made would be refused then. */
export const appendRemotely =
  (nats: NatsConnection): AppendAccessKey =>
  (ref, command, origin) =>
    ask(nats, INTERNAL.principalCommand, { ref, command, origin } satisfies Question);

/** Serves appendRemotely. No other command of principals comes from a crypto-worker. */
export function serveAccessKeyCommands(
  served: ServedRequests,
  append: AppendAccessKey,
  onError: (error: unknown) => void,
): void {
  answer<Question, { position: number }>(
    served,
    INTERNAL.principalCommand,
    QUEUE.control,
    async ({ ref, command, origin }) => {
      if (!ALLOWED.includes(command.type)) throw new Error('not a command of access keys');
      const { position } = await append(ref, command, origin);
      return { position };
    },
    onError,
  );
}
