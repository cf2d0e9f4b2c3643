import { type ConnectionOptions, connect, type Msg, type MsgHdrs, type NatsConnection, nuid } from 'nats';
import { clientInbox } from '#domain/subjects';
import { clientInboxPrefix } from '#platform/nats-users';
import { observeReply } from './observed-errors';
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

/** A request with the reply in an inbox of the principal in its subject, over a connection that may speak for everybody. */
export async function requestAs(
  nats: NatsConnection,
  subject: string,
  body: string,
  sent?: MsgHdrs,
  timeout = 20_000,
): Promise<Msg> {
  const [, , , account = '', principal = ''] = subject.split('.');
  const reply = `${clientInbox(account, principal)}.${nuid.next()}`;
  const answer = await nats.request(subject, body, { timeout, noMux: true, reply, ...(sent && { headers: sent }) });
  observeReply(subject.split('.').at(-1)!, answer.data);
  return answer;
}
