import {
  ALL_EVENTS,
  ALL_MATERIAL,
  CLOCK_STREAM,
  CLOCK_SUBJECT,
  EVENTS_STREAM,
  gatewaySubject,
  gatewaySubscription,
  INTERNAL,
  MATERIAL_STREAM,
  requestSubject,
  requestSubscription,
} from '#domain/subjects';
import { OPERATION_TABLE } from '#operations/table';

/** THE table of NATS users: one a service, with the least subjects that it can do its work with. */
export const NATS_USERS = [
  'gateway',
  'key-manager',
  'crypto-worker',
  'rotation-scheduler',
  'deletion-scheduler',
  'audit-projector',
  'operator',
  'client',
  'embedded',
] as const;

export type NatsUserName = (typeof NATS_USERS)[number];

/** Subjects that a user may publish to and subscribe to; everything else is refused by the server. */
export interface NatsPermissions {
  publish: readonly string[];
  subscribe: readonly string[];
}

export interface NatsUserScope {
  /** Account whose root principal the user `client` speaks for. */
  account: string;
  /** Names of the operations that key-managers serve. */
  controlOperations: readonly string[];
  /** Names of the operations that crypto-workers serve: their requests may hold plaintext. */
  dataOperations: readonly string[];
}

/** The scope that the table of operations gives. */
export function natsUserScope(account: string): NatsUserScope {
  const names = (plane: 'control' | 'data'): string[] =>
    [...OPERATION_TABLE.values()].filter((operation) => operation.plane === plane).map(({ name }) => name);
  return { account, controlOperations: names('control'), dataOperations: names('data') };
}

/** To be given as `inboxPrefix` when connecting: the server lets a user listen to replies nowhere else. */
export const inboxPrefix = (user: string): string => `_INBOX_${user}`;

const inbox = (user: NatsUserName): string => `${inboxPrefix(user)}.>`;

/** Creating a stream that exists with the same configuration changes nothing; nobody may update, purge or delete one. */
const createStream = (stream: string): string[] => [`$JS.API.STREAM.CREATE.${stream}`, `$JS.API.STREAM.INFO.${stream}`];

/** What an ordered consumer of the NATS client asks the server; the log's consumers need no acknowledgements. */
const consume = (stream: string): string[] => [
  `$JS.API.STREAM.INFO.${stream}`,
  `$JS.API.STREAM.MSG.GET.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.INFO.${stream}.*`,
  `$JS.API.CONSUMER.DELETE.${stream}.*`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.FC.${stream}.>`,
];

const READ_EVENTS = [
  ...consume(EVENTS_STREAM),
  `$JS.API.DIRECT.GET.${EVENTS_STREAM}`,
  `$JS.API.DIRECT.GET.${EVENTS_STREAM}.>`,
];
const READ_CLOCK = [`$JS.API.STREAM.INFO.${CLOCK_STREAM}`, `$JS.API.STREAM.MSG.GET.${CLOCK_STREAM}`];
/** An operation's requests from clients and from gateways. */
const requestSubscriptions = (operation: string): string[] => [
  requestSubscription(operation),
  gatewaySubscription(operation),
];
/** What each service follows and answers, whatever its part. */
const OF_EVERY_SERVICE = [CLOCK_SUBJECT, INTERNAL.status, INTERNAL.settle];

/**
 * Pure. The users that answer requests may publish to the inboxes of those who may ask them, and to no other: with the
 * server's `allow_responses` a caller could name any subject as its reply, and so have a service write there.
 */
export function natsPermissions(scope: NatsUserScope): Record<NatsUserName, NatsPermissions> {
  const scheduler = (user: NatsUserName): NatsPermissions => ({
    publish: [...READ_EVENTS, ...READ_CLOCK, INTERNAL.timerFire, inbox('operator')],
    subscribe: [inbox(user), ...OF_EVERY_SERVICE, INTERNAL.viewDigests],
  });
  return {
    gateway: {
      publish: [
        gatewaySubject('*', '*', '*', '*'),
        INTERNAL.signingKey,
        `$JS.API.STREAM.INFO.${EVENTS_STREAM}`,
        ...READ_CLOCK,
        inbox('operator'),
      ],
      subscribe: [inbox('gateway'), ...OF_EVERY_SERVICE],
    },
    'key-manager': {
      publish: [
        ALL_EVENTS,
        ...createStream(EVENTS_STREAM),
        ...createStream(CLOCK_STREAM),
        ...READ_EVENTS,
        ...READ_CLOCK,
        INTERNAL.materialCreate,
        INTERNAL.materialDestroy,
        INTERNAL.servingBeat,
        INTERNAL.tokenKey,
        INTERNAL.grantToken,
        ...(
          ['gateway', 'client', 'operator', 'rotation-scheduler', 'deletion-scheduler', 'crypto-worker'] as const
        ).map(inbox),
      ],
      subscribe: [
        inbox('key-manager'),
        ...scope.controlOperations.flatMap(requestSubscriptions),
        INTERNAL.timerFire,
        INTERNAL.servingBeat,
        INTERNAL.principalCommand,
        INTERNAL.viewDigests,
        ...OF_EVERY_SERVICE,
      ],
    },
    'crypto-worker': {
      publish: [
        ALL_MATERIAL,
        ...createStream(MATERIAL_STREAM),
        ...consume(MATERIAL_STREAM),
        `$JS.API.STREAM.MSG.DELETE.${MATERIAL_STREAM}`,
        ...READ_EVENTS,
        ...READ_CLOCK,
        INTERNAL.servingBeat,
        INTERNAL.principalCommand,
        ...(['gateway', 'client', 'operator', 'key-manager'] as const).map(inbox),
      ],
      subscribe: [
        inbox('crypto-worker'),
        ...scope.dataOperations.flatMap(requestSubscriptions),
        INTERNAL.materialCreate,
        INTERNAL.materialDestroy,
        INTERNAL.signingKey,
        INTERNAL.accountCreate,
        INTERNAL.tokenKey,
        INTERNAL.grantToken,
        INTERNAL.viewDigests,
        ...OF_EVERY_SERVICE,
      ],
    },
    'rotation-scheduler': scheduler('rotation-scheduler'),
    'deletion-scheduler': scheduler('deletion-scheduler'),
    'audit-projector': {
      publish: [...READ_EVENTS, ...READ_CLOCK, inbox('operator')],
      subscribe: [inbox('audit-projector'), ...OF_EVERY_SERVICE, INTERNAL.viewDigests],
    },
    operator: {
      publish: [
        ...READ_EVENTS,
        ...READ_CLOCK,
        CLOCK_SUBJECT,
        requestSubject('*', '*', '*', '*'),
        INTERNAL.status,
        INTERNAL.viewDigests,
        INTERNAL.settle,
        INTERNAL.accountCreate,
      ],
      subscribe: [inbox('operator'), CLOCK_SUBJECT],
    },
    client: {
      publish: [requestSubject('*', scope.account, 'root', '*')],
      subscribe: [inbox('client')],
    },
    embedded: { publish: ['>'], subscribe: ['>'] },
  };
}

/**
 * The `authorization` block of nats-server's configuration. `passwordOf` gives the value as it is to stand there: a
 * quoted string, or `$NAME` for an environment variable.
 */
export function renderAuthorization(
  permissions: Partial<Record<NatsUserName, NatsPermissions>>,
  passwordOf: (user: NatsUserName) => string,
): string {
  const list = (subjects: readonly string[]): string => [...new Set(subjects)].map((s) => JSON.stringify(s)).join(', ');
  const users = NATS_USERS.flatMap((user) => {
    const allowed = permissions[user];
    if (!allowed) return [];
    return [
      `    { user: ${JSON.stringify(user)}, password: ${passwordOf(user)}, permissions {`,
      `      publish { allow: [${list(allowed.publish)}] }`,
      `      subscribe { allow: [${list(allowed.subscribe)}] }`,
      '    } }',
    ];
  });
  return ['authorization {', '  users = [', ...users, '  ]', '}', ''].join('\n');
}
