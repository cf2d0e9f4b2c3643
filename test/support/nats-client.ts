import { type ConnectionOptions, connect, type NatsConnection } from 'nats';
import { clientInboxPrefix } from '#platform/nats-users';
import { rootKeyOf } from './processes';

const ACCOUNT = '000000000000';

/** For clients of a nats-server that asks nobody who they are: services answer nowhere but there. */
export const ROOT_INBOX = clientInboxPrefix(ACCOUNT, 'root');

/** A plain NATS client with the root access key that a server wrote to `folder`. */
export function connectAsRoot(
  servers: string,
  folder: string,
  options: ConnectionOptions = {},
): Promise<NatsConnection> {
  const { accessKeyId: user, secretAccessKey: pass } = rootKeyOf(folder);
  return connect({ servers, user, pass, inboxPrefix: ROOT_INBOX, ...options });
}
