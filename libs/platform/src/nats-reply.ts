import type { Msg } from 'nats';
import { clientInbox, isGatewaySubject } from '#domain/subjects';

/** As NATS clients name inboxes; those of Keytrail's own users have the user's name behind it. */
const INBOX = /^_INBOX[._]/;

/**
 * Whether a request can be answered without harm. Who asks names the subject of the reply, and the NATS server checks
 * only whether *we* may publish there: an answer to an event's subject would become part of the log, and one to a
 * subject of JetStream's API would be obeyed (`{}` deletes a stream). A request that wants no reply has none.
 */
export const wantsInboxReply = ({ reply }: Pick<Msg, 'reply'>): boolean => !reply || INBOX.test(reply);

/**
 * The same for a request to an operation: what a principal asked is answered to one of its own inboxes alone, so that no
 * client can have a reply put into another's. Gateways, which alone publish to `kms.gw`, are trusted with theirs.
 */
export function wantsOwnReply({ subject, reply }: Pick<Msg, 'subject' | 'reply'>): boolean {
  if (!reply || isGatewaySubject(subject)) return wantsInboxReply({ reply });
  const [, , , account = '', principal = ''] = subject.split('.');
  return reply.startsWith(`${clientInbox(account, principal)}.`);
}
