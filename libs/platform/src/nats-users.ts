import {
  ALL_CLIENT_INBOXES,
  ALL_EVENTS,
  ALL_MATERIAL,
  ALL_RECORDS,
  ALL_TREE_HEADS,
  AUDIT_STREAM,
  AUTH_CALLOUT,
  AUTH_CALLOUT_REPLIES,
  CLOCK_STREAM,
  CLOCK_SUBJECT,
  clientInbox,
  EVENTS_STREAM,
  gatewaySubject,
  gatewaySubscription,
  INTERNAL,
  MATERIAL_STREAM,
  principalToken,
  requestSubject,
  requestSubscription,
  TREE_STREAM,
} from '#domain/subjects';
import type { Operation } from '#operations/operation';
import { OPERATION_TABLE } from '#operations/table';
import type { CalloutPublicKeys } from './callout-keys';

/**
 * THE table of NATS users: one a service, with the least subjects that it can do its work with. Everybody else is a
 * principal, whom auth callout gives clientPermissions.
 */
export const NATS_USERS = [
  'gateway',
  'key-manager',
  'crypto-worker',
  'rotation-scheduler',
  'deletion-scheduler',
  'audit-projector',
  'operator',
  'embedded',
] as const;

export type NatsUserName = (typeof NATS_USERS)[number];

/** Subjects that a user may publish to and subscribe to; everything else is refused by the server. */
export interface NatsPermissions {
  publish: readonly string[];
  /** Refused although `publish` has them. */
  denyPublish?: readonly string[];
  subscribe: readonly string[];
}

export interface NatsUserScope {
  /** Names of the operations that key-managers serve. */
  controlOperations: readonly string[];
  /** Names of the operations that crypto-workers serve: their requests may hold plaintext. */
  dataOperations: readonly string[];
  /** Names of the operations that audit-projectors serve. */
  auditOperations: readonly string[];
}

/** The scope that the table of operations gives. */
export function natsUserScope(): NatsUserScope {
  const names = (plane: Operation['plane']): string[] =>
    [...OPERATION_TABLE.values()].filter((operation) => operation.plane === plane).map(({ name }) => name);
  return { controlOperations: names('control'), dataOperations: names('data'), auditOperations: names('audit') };
}

/** The time that nats-servers give a client to log in. */
export const LOGIN_TIMEOUT_SECONDS = 5;

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

/** What a writer of records asks to learn whether a try whose answer was lost has been stored. */
const WRITE_RECORDS = [ALL_RECORDS, `$JS.API.STREAM.MSG.GET.${AUDIT_STREAM}`];
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
 * What no part of Keytrail ever asks of JetStream. For the process that may do the work of every service it is a second
 * wall: nats-server obeys a reply that is sent to its API's subjects like any request.
 */
const NEVER_ASKED = [
  ...['DELETE', 'PURGE', 'UPDATE', 'SNAPSHOT', 'RESTORE'].map((call) => `$JS.API.STREAM.${call}.>`),
  ...['$JS.API.ACCOUNT.>', '$JS.API.SERVER.>', '$JS.API.META.>', '$JS.API.CONSUMER.DURABLE.>'],
];

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
        ...WRITE_RECORDS,
        INTERNAL.sealingKey,
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
        ...WRITE_RECORDS,
        INTERNAL.sealingKey,
        ...createStream(EVENTS_STREAM),
        ...createStream(AUDIT_STREAM),
        ...createStream(CLOCK_STREAM),
        ...READ_EVENTS,
        ...READ_CLOCK,
        INTERNAL.materialCreate,
        INTERNAL.materialDestroy,
        INTERNAL.servingBeat,
        INTERNAL.tokenKey,
        INTERNAL.grantToken,
        INTERNAL.lastUse,
        ...(['gateway', 'operator', 'rotation-scheduler', 'deletion-scheduler', 'crypto-worker'] as const).map(inbox),
        ALL_CLIENT_INBOXES,
      ],
      subscribe: [
        inbox('key-manager'),
        ...scope.controlOperations.flatMap(requestSubscriptions),
        INTERNAL.timerFire,
        INTERNAL.servingBeat,
        INTERNAL.workerCommand,
        INTERNAL.managedKeyMint,
        INTERNAL.trailCommand,
        INTERNAL.viewDigests,
        ...OF_EVERY_SERVICE,
      ],
    },
    'crypto-worker': {
      publish: [
        ALL_MATERIAL,
        ...WRITE_RECORDS,
        ...createStream(MATERIAL_STREAM),
        ...consume(MATERIAL_STREAM),
        `$JS.API.STREAM.MSG.DELETE.${MATERIAL_STREAM}`,
        ALL_TREE_HEADS,
        ...createStream(TREE_STREAM),
        `$JS.API.STREAM.MSG.GET.${TREE_STREAM}`,
        ...READ_EVENTS,
        ...READ_CLOCK,
        INTERNAL.servingBeat,
        INTERNAL.workerCommand,
        INTERNAL.managedKeyMint,
        INTERNAL.trailCommand,
        ...(['gateway', 'operator', 'key-manager', 'audit-projector'] as const).map(inbox),
        ALL_CLIENT_INBOXES,
        AUTH_CALLOUT_REPLIES,
      ],
      subscribe: [
        inbox('crypto-worker'),
        ...scope.dataOperations.flatMap(requestSubscriptions),
        INTERNAL.materialCreate,
        INTERNAL.materialDestroy,
        INTERNAL.materialCheck,
        INTERNAL.signingKey,
        INTERNAL.sealingKey,
        AUTH_CALLOUT,
        INTERNAL.accountCreate,
        INTERNAL.operatorRecord,
        INTERNAL.shred,
        INTERNAL.rootRotate,
        INTERNAL.rootStatus,
        INTERNAL.tokenKey,
        INTERNAL.treeSign,
        INTERNAL.treeKey,
        INTERNAL.trailSign,
        INTERNAL.trailKey,
        INTERNAL.grantToken,
        INTERNAL.viewDigests,
        ...OF_EVERY_SERVICE,
      ],
    },
    'rotation-scheduler': scheduler('rotation-scheduler'),
    'deletion-scheduler': scheduler('deletion-scheduler'),
    'audit-projector': {
      publish: [
        ...READ_EVENTS,
        ...consume(AUDIT_STREAM),
        ...WRITE_RECORDS,
        `$JS.API.STREAM.MSG.GET.${TREE_STREAM}`,
        ...READ_CLOCK,
        INTERNAL.sealingKey,
        INTERNAL.tokenKey,
        INTERNAL.treeSign,
        INTERNAL.treeKey,
        INTERNAL.trailSign,
        INTERNAL.trailKey,
        ...(['gateway', 'operator', 'key-manager'] as const).map(inbox),
        ALL_CLIENT_INBOXES,
      ],
      subscribe: [
        inbox('audit-projector'),
        ...scope.auditOperations.flatMap(requestSubscriptions),
        INTERNAL.keyCalls,
        INTERNAL.lastUse,
        INTERNAL.treeProve,
        INTERNAL.viewDigests,
        ...OF_EVERY_SERVICE,
      ],
    },
    operator: {
      publish: [
        ...READ_EVENTS,
        ...consume(AUDIT_STREAM),
        ...consume(TREE_STREAM),
        INTERNAL.sealingKey,
        INTERNAL.treeKey,
        INTERNAL.trailSign,
        INTERNAL.trailKey,
        INTERNAL.treeProve,
        ...READ_CLOCK,
        CLOCK_SUBJECT,
        INTERNAL.status,
        INTERNAL.viewDigests,
        INTERNAL.settle,
        INTERNAL.accountCreate,
        INTERNAL.operatorRecord,
        INTERNAL.shred,
        INTERNAL.rootRotate,
        INTERNAL.rootStatus,
        INTERNAL.materialCheck,
        INTERNAL.keyCalls,
      ],
      subscribe: [inbox('operator'), CLOCK_SUBJECT],
    },
    embedded: { publish: ['>'], denyPublish: NEVER_ASKED, subscribe: ['>'] },
  };
}

/** All that a client may do: ask as the principal that it has shown itself to be, and hear the replies. */
export function clientPermissions(account: string, principalId: string): NatsPermissions {
  const principal = principalToken(principalId);
  return {
    publish: [requestSubject('*', account, principal, '*')],
    subscribe: [`${clientInbox(account, principal)}.>`],
  };
}

/** What a client of the NATS library gives as `inboxPrefix`. */
export const clientInboxPrefix = (account: string, principalId: string): string =>
  clientInbox(account, principalToken(principalId));

/**
 * The `authorization` block of nats-server's configuration. `passwordOf` and `callout` give values as they are to stand
 * there: a quoted string, or `$NAME` for an environment variable. Without `callout` nobody but Keytrail's users gets in.
 */
export function renderAuthorization(
  permissions: Partial<Record<NatsUserName, NatsPermissions>>,
  passwordOf: (user: NatsUserName) => string,
  callout?: CalloutPublicKeys,
): string {
  const list = (subjects: readonly string[]): string => [...new Set(subjects)].map((s) => JSON.stringify(s)).join(', ');
  const users = NATS_USERS.flatMap((user) => {
    const allowed = permissions[user];
    if (!allowed) return [];
    return [
      `    { user: ${JSON.stringify(user)}, password: ${passwordOf(user)}, permissions {`,
      `      publish { allow: [${list(allowed.publish)}]${allowed.denyPublish ? `, deny: [${list(allowed.denyPublish)}]` : ''} }`,
      `      subscribe { allow: [${list(allowed.subscribe)}] }`,
      '    } }',
    ];
  });
  const known = NATS_USERS.filter((user) => permissions[user]);
  const asked = callout && [
    `  timeout: ${LOGIN_TIMEOUT_SECONDS}`,
    `  auth_callout { issuer: ${callout.issuer}, xkey: ${callout.xkey}, auth_users: [${list(known)}] }`,
  ];
  return ['authorization {', ...(asked ?? []), '  users = [', ...users, '  ]', '}', ''].join('\n');
}
