import type { TlsDetails } from '#audit-log/record';
import type { Tag } from '#domain/key/events';
import type { CompiledPolicy } from '#policy/compile';
import type { Principal } from '#policy/request';

/**
 * What a way in vouches for: HTTP by a signature, NATS by the server's permissions. Whether that principal still exists,
 * and what it may do, the serving process finds in its own view.
 */
export interface CallerClaim {
  region: string;
  account: string;
  /** `root`, the unique id of a user, or `<unique id of a role>:<session name>`. */
  principalId: string;
  /** The access key that signed; absent over NATS. */
  accessKeyId?: string | undefined;
  /** Of temporary credentials; proves itself. */
  sessionToken?: string | undefined;
  /** Of the client's connection to the gateway; absent over NATS. */
  sourceIp?: string | undefined;
  secureTransport?: boolean | undefined;
  /** Of that connection, where it is one of TLS; on record only. */
  tls?: TlsDetails | undefined;
  /** As the client calls itself; absent over NATS. */
  userAgent?: string | undefined;
  /** That the request was sent before, to a service that did not answer in time: it has been counted there. */
  repeated?: boolean | undefined;
  /** A UUID for the record of the call, where whoever vouches for the claim has made the request id itself. */
  eventId?: string | undefined;
}

/** The claims of a session token, as AssumeRole and GetSessionToken make it. Times are the system's, in epoch seconds. */
export interface SessionClaims {
  account: string;
  principalId: string;
  /** `ASIA...` */
  accessKeyId: string;
  issuedAt: number;
  expiresAt: number;
  /** Of an assumed role. */
  roleName?: string;
  sessionName?: string;
  /** Session policy, as text. */
  policy?: string;
  tags?: readonly Tag[];
  sourceIdentity?: string;
  /** The long-term access key that GetSessionToken was signed with: the session ends with it. */
  issuingAccessKeyId?: string;
}

/** Who calls, as found in the view: what decisions and operations need. */
export interface Caller {
  region: string;
  account: string;
  principalId: string;
  /** `principal.arn`. */
  principalArn: string;
  principal: Principal;
  /** Of the user or the role; empty for root. */
  identityPolicies: readonly { name: string; policy: CompiledPolicy }[];
  sessionPolicy?: CompiledPolicy | undefined;
  /** Of the user or role, with those of the session over them. */
  tags: readonly Tag[];
  /** Of a user. */
  userName?: string | undefined;
  accessKeyId?: string | undefined;
  session?: SessionClaims | undefined;
  sourceIp?: string | undefined;
  secureTransport?: boolean | undefined;
}
