import type { Msg } from 'nats';
import { Algorithms, type AuthorizationRequest, encodeAuthorizationResponse, encodeUser } from 'nats-jwt';
import { AUTH_CALLOUT, AUTH_CALLOUT_REPLIES, QUEUE } from '#domain/subjects';
import type { CalloutKeys } from './callout-keys';
import type { CredentialCheck, ShownCredentials, ShownIdentity } from './credential-check';
import { clientPermissions, LOGIN_TIMEOUT_SECONDS } from './nats-users';
import type { ServedRequests } from './served-requests';

export interface AuthCalloutPorts {
  keys: CalloutKeys;
  credentials: CredentialCheck;
  /** Told how each login ended. */
  ended(outcome: LoginOutcome): void;
  onError(error: unknown): void;
}

export type LoginOutcome = 'accepted' | 'refused' | 'crowded_out';

/** For so long a key that was deactivated or deleted keeps a connection that it opened before, as its user. */
const LOGIN_SECONDS = 3600;
/** Of one connection; a client library needs one for all its replies. */
const MAX_SUBSCRIPTIONS = 1_000;
/** Logins being checked at once. */
const AT_ONCE = 16;
const MAX_WAITING = 1_000;

/** The nats-server's own account, in which all of Keytrail's NATS users are. */
const NATS_ACCOUNT = '$G';
const REFUSED = '';
const isCalloutReply = ({ reply }: Msg): boolean => reply?.startsWith(AUTH_CALLOUT_REPLIES.slice(0, -1)) ?? false;

/** Has the nats-servers ask here who a client is that is none of Keytrail's services. */
export function serveAuthCallout(served: ServedRequests, ports: AuthCalloutPorts): void {
  const callout = new AuthCallout(served, ports);
  served.serve(AUTH_CALLOUT, QUEUE.data, (message) => callout.login(message), isCalloutReply);
}

class AuthCallout {
  private atOnce = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(
    private readonly served: ServedRequests,
    private readonly ports: AuthCalloutPorts,
  ) {}

  async login(message: Msg): Promise<void> {
    const deadline = performance.now() + LOGIN_TIMEOUT_SECONDS * 1000;
    if (this.waiting.length >= MAX_WAITING) return this.end(message, 'crowded_out');
    if (this.atOnce >= AT_ONCE) await new Promise<void>((turn) => this.waiting.push(turn));
    this.atOnce++;
    try {
      // Opening what the server sealed takes milliseconds: a flood of logins must let requests pass.
      await new Promise((resolve) => setImmediate(resolve));
      if (performance.now() > deadline) return this.end(message, 'crowded_out');
      const response = await this.response(message);
      this.end(message, response === undefined ? 'refused' : 'accepted', response);
    } catch (error) {
      this.ports.onError(error);
      this.end(message, 'refused');
    } finally {
      this.atOnce--;
      this.waiting.shift()?.();
    }
  }

  private end(message: Msg, outcome: LoginOutcome, response = REFUSED): void {
    this.served.respond(message, response);
    this.ports.ended(outcome);
  }

  /** Signed permissions, or undefined where the client is to be refused. */
  private async response(message: Msg): Promise<string | undefined> {
    const request = this.opened(message);
    const shown = request && shownCredentials(request.connect_opts);
    if (!shown) return undefined;
    const { credentials } = this.ports;
    const identity = await credentials.identify(shown);
    const permissions = identity && (await this.permit(identity, request));
    return permissions && credentials.mayAdmit(shown, identity) ? permissions : undefined;
  }

  /** The request, or undefined for what is none. Nobody but nats-server may publish here; the server's signature adds nothing. */
  private opened(message: Msg): AuthorizationRequest | undefined {
    const sender = message.headers?.get('Nats-Server-Xkey');
    const opened = sender ? this.ports.keys.xkey.open(message.data, sender) : null;
    const [, claims] = opened ? Buffer.from(opened).toString('ascii').split('.') : [];
    if (claims === undefined) return undefined;
    return (JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as { nats: AuthorizationRequest }).nats;
  }

  private async permit(
    { account, principalId, expiresAt = Number.POSITIVE_INFINITY }: ShownIdentity,
    { user_nkey, server_id }: AuthorizationRequest,
  ): Promise<string | undefined> {
    const now = Math.floor(Date.now() / 1000);
    const exp = Math.min(Math.floor(expiresAt), now + LOGIN_SECONDS);
    // nats-server takes one that ends now for one that never ends.
    if (exp <= now) return undefined;
    const { publish, subscribe } = clientPermissions(account, principalId);
    const permissions = {
      pub: { allow: [...publish], deny: [] },
      sub: { allow: [...subscribe], deny: [] },
      subs: MAX_SUBSCRIPTIONS,
    };
    const { issuer } = this.ports.keys;
    const algorithm = Algorithms.v2;
    const jwt = await encodeUser(`${account}/${principalId}`, user_nkey, issuer, permissions, {
      exp,
      aud: NATS_ACCOUNT,
      algorithm,
    });
    return encodeAuthorizationResponse(user_nkey, server_id.id, issuer, { jwt }, { algorithm });
  }
}

/** What temporary credentials' access key ids begin with. */
const TEMPORARY = 'ASIA';

/**
 * User and password are access key id and secret. The session token of temporary credentials is NATS's token, or, for
 * clients that send either a password or a token, stands behind the secret and a colon.
 */
export function shownCredentials(options: AuthorizationRequest['connect_opts']): ShownCredentials | undefined {
  const { user: accessKeyId, pass: password, auth_token: token } = options;
  if (!accessKeyId || !password) return undefined;
  if (token) return { accessKeyId, secretAccessKey: password, sessionToken: token };
  const colon = accessKeyId.startsWith(TEMPORARY) ? password.indexOf(':') : -1;
  if (colon < 0) return { accessKeyId, secretAccessKey: password };
  return { accessKeyId, secretAccessKey: password.slice(0, colon), sessionToken: password.slice(colon + 1) };
}
