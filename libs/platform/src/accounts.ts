import { randomBytes, randomUUID } from 'node:crypto';
import type { NatsConnection } from 'nats';
import { rootArn } from '#domain/arn';
import { isoDate } from '#domain/dates';
import { KmsError } from '#domain/errors';
import { accountRef } from '#domain/principal/principal-id';
import { INTERNAL, QUEUE } from '#domain/subjects';
import { ID_BYTES, uniqueId } from '#operations/iam/unique-ids';
import type { Projection } from '#views/projection';
import type { AccessKeys } from './access-keys';
import type { Clock } from './clock';
import { answer, ask } from './internal-requests';
import type { RootCredentials } from './root-credentials';
import type { ServedRequests } from './served-requests';
import type { WorkerCommands } from './worker-commands';

export const isAccountId = (text: string): boolean => /^\d{12}$/.test(text);

/** Makes further accounts. Runs where secrets are made, at the operator's word. */
export class Accounts {
  constructor(
    /** That of the settings, which exists without an event. */
    private readonly own: string,
    private readonly projection: Projection,
    private readonly accessKeys: Pick<AccessKeys, 'create'>,
    private readonly commands: Pick<WorkerCommands, 'append'>,
    private readonly clock: Clock,
  ) {}

  /**
   * Makes the account and its root access key, whose secret is told here and never again. Throws EntityAlreadyExists. A
   * crash between leaves an account that nobody can use; the same command then finishes it.
   */
  async create(account: string): Promise<RootCredentials> {
    if (!isAccountId(account)) throw new KmsError('ValidationException', 'account: expected 12 digits');
    const ref = accountRef(account);
    const known = this.projection.account(account)?.state;
    const begun = known?.kind === 'Account' && known.accessKeys.length === 0;
    if (account === this.own || (known?.kind === 'Account' && !begun)) {
      throw new KmsError('EntityAlreadyExists', `Account ${account} already exists.`);
    }
    const origin = {
      principal: 'keytrail:operator',
      requestId: randomUUID(),
      operation: 'CreateAccount',
      now: isoDate(this.clock.now()),
    };
    if (!begun) await this.commands.append(ref, { type: 'CreateAccount' }, origin);
    const accessKeyId = uniqueId('AKIA', randomBytes(ID_BYTES));
    const secretAccessKey = await this.accessKeys.create(rootArn(account), accessKeyId);
    await this.commands.append(ref, { type: 'CreateAccessKey', accessKeyId }, origin);
    return { accessKeyId, secretAccessKey };
  }
}

/** The operator's request. Never sent twice: the first may have made the account. */
export const createAccountRemotely = (nats: NatsConnection, account: string): Promise<RootCredentials> =>
  ask(nats, INTERNAL.accountCreate, { account });

export const serveAccounts = (served: ServedRequests, accounts: Accounts, onError: (error: unknown) => void): void =>
  answer<{ account?: unknown } | undefined, RootCredentials>(
    served,
    INTERNAL.accountCreate,
    QUEUE.data,
    (question) => accounts.create(String(question?.account)),
    onError,
  );
