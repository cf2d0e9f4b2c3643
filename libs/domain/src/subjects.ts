import { type AggregateType, isAggregateType } from './aggregates';

/** THE subjects file: every NATS stream, subject and header name that Keytrail uses. */

export const EVENTS_STREAM = 'KMS_EVENTS';
export const MATERIAL_STREAM = 'KMS_MATERIAL';
export const CLOCK_STREAM = 'KMS_CLOCK';
export const AUDIT_STREAM = 'KMS_AUDIT';
export const TREE_STREAM = 'KMS_TREE';

/** Identifies one aggregate: one stream subject, one history. */
export interface AggregateRef<T extends AggregateType = AggregateType> {
  /** `global` for principals, trails and the root. */
  region: string;
  account: string;
  aggregate: T;
  /**
   * A key id, an alias name without its `alias/` prefix, a principal id (`user:<name>`), a grant id, a month, a
   * cluster id.
   * Never holds `.`, `*`, `>` or white space.
   */
  id: string;
}

export const ALL_EVENTS = 'kms.evt.>';
export const ALL_MATERIAL = 'kms.mat.>';
export const CLOCK_SUBJECT = 'kms.clock';
export const ALL_RECORDS = 'kms.aud.>';
export const ALL_TREE_HEADS = 'kms.tree.>';

export const eventSubject = (ref: AggregateRef): string =>
  `kms.evt.${ref.region}.${ref.account}.${ref.aggregate}.${ref.id}`;

export function parseEventSubject(subject: string): AggregateRef {
  const [kms, evt, region, account, aggregate, id, ...rest] = subject.split('.');
  if (kms !== 'kms' || evt !== 'evt' || !region || !account || !id || rest.length > 0) {
    throw new Error(`not an event subject: ${subject}`);
  }
  if (!isAggregateType(aggregate)) throw new Error(`unknown aggregate in subject: ${subject}`);
  return { region, account, aggregate, id };
}

/** Where one writer's batches of records go: a UUID, of one process from its start to its end. */
export const recordSubject = (writer: string): string => `kms.aud.${writer}`;

/** Where the signed heads of one tree go: `records` or `changes`. */
export const treeHeadSubject = (tree: string): string => `kms.tree.${tree}`;

/** Where material lies: where it was stored first, or where the rotation of the root key to an epoch has moved it. */
export const materialSubject = (materialId: string, epoch?: number): string =>
  epoch === undefined ? `kms.mat.${materialId}` : `kms.mat.${materialId}.${epoch}`;

export function parseMaterialSubject(subject: string): { materialId: string; epoch?: number } {
  const [materialId = '', epoch] = subject.slice(materialSubject('').length).split('.');
  return epoch === undefined ? { materialId } : { materialId, epoch: Number(epoch) };
}

/** Public request subject: the principal is in it, so that NATS permissions confine a client to its own identity. */
export const requestSubject = (region: string, account: string, principal: string, operation: string): string =>
  `kms.req.${region}.${account}.${principal}.${operation}`;
/** What a service subscribes to in order to serve one operation for everybody. */
export const requestSubscription = (operation: string): string => `kms.req.*.*.*.${operation}`;

/** What gateways have authenticated by signature: only they may publish here, so what they say in headers is trusted. */
export const gatewaySubject = (region: string, account: string, principal: string, operation: string): string =>
  `kms.gw.${region}.${account}.${principal}.${operation}`;
export const gatewaySubscription = (operation: string): string => `kms.gw.*.*.*.${operation}`;
/** Whether a request came from a gateway. */
export const isGatewaySubject = (subject: string): boolean => subject.startsWith('kms.gw.');

const IN_TOKEN = /^[A-Za-z0-9_+=,@:-]*$/;

/** A principal id (`root`, `AIDA...`, `AROA...:session.name`) as a subject token: what cannot stand in one is `%XX`, of UTF-8. */
export const principalToken = (principalId: string): string =>
  IN_TOKEN.test(principalId)
    ? principalId
    : Array.from(Buffer.from(principalId, 'utf8'), (byte) => {
        const character = String.fromCharCode(byte);
        return IN_TOKEN.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
      }).join('');

/** The principal id of a token, or undefined where principalToken does not make it: each id has one subject. */
export function principalIdOf(token: string): string | undefined {
  if (IN_TOKEN.test(token)) return token;
  try {
    const principalId = decodeURIComponent(token);
    return principalToken(principalId) === token ? principalId : undefined;
  } catch {
    return undefined;
  }
}

/** Where a principal's own NATS clients get their replies: the only subjects that they may subscribe to, or be answered on. */
export const clientInbox = (account: string, principal: string): string => `_INBOX_c.${account}.${principal}`;
/** What a service may publish to in order to answer clients. */
export const ALL_CLIENT_INBOXES = '_INBOX_c.>';

/** Where nats-server asks who a client is that it does not know itself (auth callout, nats-server 2.10). */
export const AUTH_CALLOUT = '$SYS.REQ.USER.AUTH';
/** Where it wants the answer. */
export const AUTH_CALLOUT_REPLIES = '$SYS._INBOX.>';

/** Queue groups: of all instances that serve a subject, one answers. Requests of each plane go to one of them. */
export const QUEUE = { control: 'key-manager', data: 'crypto-worker', audit: 'audit-projector' } as const;

/** Requests between Keytrail's own services; no client's permissions reach them. */
export const INTERNAL = {
  materialCreate: 'kms.int.material.create',
  materialDestroy: 'kms.int.material.destroy',
  /** The operator has a crypto-worker fetch and unwrap all material that is needed. */
  materialCheck: 'kms.int.material.check',
  signingKey: 'kms.int.signing-key',
  /** What callers are checked against besides the log: the public key of session tokens. */
  tokenKey: 'kms.int.token-key',
  /** What one writer seals the records of an account and month with. */
  sealingKey: 'kms.int.sealing-key',
  /** Has a crypto-worker sign a tree head that goes on from the last one, and store it. */
  treeSign: 'kms.int.tree.sign',
  /** The public key that tree heads are signed with. */
  treeKey: 'kms.int.tree.key',
  /** Has a crypto-worker sign a digest of trail files. */
  trailSign: 'kms.int.trail.sign',
  /** The public key that such digests are signed with. */
  trailKey: 'kms.int.trail.key',
  /** The operator has an audit-projector prove that a record is in the log, or that a log goes on from an older head. */
  treeProve: 'kms.int.tree.prove',
  /** Signs the token of a new grant. */
  grantToken: 'kms.int.grant-token',
  /** The operator has a crypto-worker make an account with a root access key. */
  accountCreate: 'kms.int.account.create',
  /** A crypto-worker has a key-manager append that records are shredded. */
  trailCommand: 'kms.int.trail-command',
  /** The operator has a crypto-worker shred what the records of an account keep sealed. */
  shred: 'kms.int.shred',
  /** The operator has a crypto-worker make the next root key, and then wrap all material under it. */
  rootRotate: 'kms.int.root.rotate',
  /** Every crypto-worker answers with which root key it uses, and how far it is with a rotation. */
  rootStatus: 'kms.int.root.status',
  /** The operator has a crypto-worker put on record what it does. */
  operatorRecord: 'kms.int.operator-record',
  /** The operator asks an audit-projector which calls were about a key. */
  keyCalls: 'kms.int.key-calls',
  timerFire: 'kms.int.timer.fire',
  /** A crypto-worker has a key-manager append what became of a secret that it alone sees. */
  workerCommand: 'kms.int.worker-command',
  /** A crypto-worker has a key-manager make the AWS managed key that somebody uses for the first time. */
  managedKeyMint: 'kms.int.managed-key.mint',
  /** Heartbeats of the processes that complete operations: position applied, lease. */
  servingBeat: 'kms.int.serving.beat',
  /** A key-manager asks an audit-projector when a key was last used, where a policy makes a decision depend on it. */
  lastUse: 'kms.int.last-use',
  /** Every live service answers with what it is and how it is. */
  status: 'kms.int.status',
  /** Every service that holds views answers with a digest for each aggregate. */
  viewDigests: 'kms.int.view-digests',
  /** Every service answers once its clock has made the moves given, and what came due by them has fired. */
  settle: 'kms.int.settle',
} as const;

export const HEADER_AFTER = 'Keytrail-After';
export const HEADER_REQUEST_ID = 'Keytrail-Request-Id';
/** Trusted from gateways alone: access key that signed, address of the client, whether it came by TLS (`true`, `false`). */
export const HEADER_ACCESS_KEY = 'Keytrail-Access-Key';
export const HEADER_SOURCE_IP = 'Keytrail-Source-Ip';
export const HEADER_SECURE_TRANSPORT = 'Keytrail-Secure-Transport';
/** Version, cipher suite and Host header of that TLS connection, a space between; trusted from gateways alone. */
export const HEADER_TLS = 'Keytrail-Tls';
/** Of temporary credentials; taken from anybody, since it proves itself. */
export const HEADER_SESSION_TOKEN = 'Keytrail-Session-Token';
/** As the client calls itself to a gateway; trusted from gateways alone. */
export const HEADER_USER_AGENT = 'Keytrail-User-Agent';
/** On a request that was sent before and not answered (`true`): it counts once. Trusted from gateways alone. */
export const HEADER_REPEATED = 'Keytrail-Repeated';
export const HEADER_POSITION = 'Keytrail-Position';
export const HEADER_ERROR = 'Keytrail-Error';
