import type { ContextLookup } from './variables';

/** Who asks, as policies can name it. */
export interface Principal {
  /** 12 digits; empty for a service. */
  account: string;
  kind: 'root' | 'user' | 'role-session' | 'service';
  /**
   * `arn:aws:iam::<account>:root`, `...:user/<path><name>`, of a session `arn:aws:sts::<account>:assumed-role/<role>/<session>`;
   * of a service its name, such as `logs.us-east-1.amazonaws.com`.
   */
  arn: string;
  /** Of a session: the ARN of its role, with the path. */
  roleArn?: string;
  /** `AIDA...` of the user, `AROA...` of the role behind the session, the number of the account for root. */
  uniqueId: string;
}

export interface AuthorizationRequest {
  /** `kms:Decrypt`; compared without case. */
  action: string;
  /** The ARN acted on, or `*` where the action has none. */
  resource: string;
  /** Whose the resource is; without it the account in its ARN, for `*` the caller's. */
  resourceAccount?: string;
  principal: Principal;
  /** Asked only for keys that a condition or variable needs, in lower case. Many values only for keys that can have many. */
  context: ContextLookup;
  /** Of the call, for grant constraints; absent counts as empty. For ReEncrypt that of the side the action names. */
  encryptionContext?: Readonly<Record<string, string>> | undefined;
}
