import { requestSubject } from '#domain/subjects';
import { type NatsUserName, natsPermissions, natsUserScope, renderAuthorization } from './nats-users';

const ACCOUNT = '000000000000';

/** Environment variable of the NATS nodes that holds a user's password. */
export const passwordVariable = (user: NatsUserName): string =>
  `NATS_PASSWORD_${user.replaceAll('-', '_').toUpperCase()}`;

/** Environment variable of the NATS nodes: what the user `client` may publish, since it depends on the account. */
export const CLIENT_REQUESTS_VARIABLE = 'KEYTRAIL_CLIENT_REQUESTS';
export const clientRequests = (account: string): string => requestSubject('*', account, 'root', '*');

/** deploy/nats/users.conf: the users of a cluster, without `embedded`, who may do everything. */
export function renderClusterUsers(): string {
  const { embedded: _, ...permissions } = natsPermissions(natsUserScope(ACCOUNT));
  const rendered = renderAuthorization(permissions, (user) => `$${passwordVariable(user)}`);
  return [
    '# The users of the NATS cluster: what each may publish and subscribe to. Written by deploy/render-users from',
    '# libs/platform/src/nats-users.ts; a test compares them.',
    rendered.replace(JSON.stringify(clientRequests(ACCOUNT)), () => `$${CLIENT_REQUESTS_VARIABLE}`),
  ].join('\n');
}
