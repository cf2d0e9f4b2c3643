import { type NatsUserName, natsPermissions, natsUserScope, renderAuthorization } from './nats-users';

/** Environment variable of the NATS nodes that holds a user's password. */
export const passwordVariable = (user: NatsUserName): string =>
  `NATS_PASSWORD_${user.replaceAll('-', '_').toUpperCase()}`;

/** Environment variables of the NATS nodes: the public keys of auth callout. */
export const CALLOUT_VARIABLES = { issuer: 'NATS_CALLOUT_ISSUER', xkey: 'NATS_CALLOUT_XKEY' } as const;

/** deploy/nats/users.conf: the users of a NATS cluster, without `embedded`, who may do nearly everything. */
export function renderNatsClusterUsers(): string {
  const { embedded: _, ...permissions } = natsPermissions(natsUserScope());
  const callout = { issuer: `$${CALLOUT_VARIABLES.issuer}`, xkey: `$${CALLOUT_VARIABLES.xkey}` };
  return [
    '# The users of the NATS cluster: what each may publish and subscribe to. Everybody else shows an access key, which',
    '# a crypto-worker checks. Written by deploy/render-users from libs/platform/src/nats-users.ts; a test compares them.',
    renderAuthorization(permissions, (user) => `$${passwordVariable(user)}`, callout),
  ].join('\n');
}
