import { randomUUID } from 'node:crypto';
import { headers, type MsgHdrs, type NatsConnection } from 'nats';
import { ERRORS, type ErrorCode, isErrorCode } from '#domain/errors';
import {
  gatewaySubject,
  HEADER_ACCESS_KEY,
  HEADER_AFTER,
  HEADER_ERROR,
  HEADER_POSITION,
  HEADER_REPEATED,
  HEADER_REQUEST_ID,
  HEADER_SECURE_TRANSPORT,
  HEADER_SESSION_TOKEN,
  HEADER_SOURCE_IP,
  HEADER_TLS,
  HEADER_USER_AGENT,
  principalToken,
} from '#domain/subjects';
import type { CallerClaim } from '#operations/caller';
import { unrecognizedClient } from '#operations/caller-refusals';
import { isWaiting, type Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/operation-reply';
import type { Dispatcher } from './dispatcher';
import { requestReply } from './nats-request';
import type { EdgeRecords } from './recording/edge-records';
import { tlsHeader } from './tls-details';

/** A data operation that does not wait changes nothing: one that its worker died over, or whose reply was lost, is asked of another. */
const DATA_ATTEMPT_MS = 5_000;

/** Sends the request to whichever service serves it, with the newest log position that this gateway has seen. */
export class NatsDispatcher implements Dispatcher {
  /**
   * `newest`: position of the log at the start, so that what a gateway before this one acknowledged is seen through it.
   * `timeoutMs`: how long it waits for an answer. What was done of a request whose service died over it is not known.
   */
  constructor(
    private readonly nats: NatsConnection,
    private newest: number,
    private readonly observe: ErrorObserver,
    private readonly timeoutMs: number,
    private readonly records?: EdgeRecords,
    private readonly attemptMs = DATA_ATTEMPT_MS,
  ) {}

  get newestPosition(): number {
    return this.newest;
  }

  async dispatch(
    operation: Operation,
    body: Uint8Array,
    claim: CallerClaim,
    requestId: string,
  ): Promise<OperationReply> {
    try {
      const { region, account, principalId } = claim;
      const subject = gatewaySubject(region, account, principalToken(principalId), operation.name);
      const sent = claimHeaders(claim);
      sent.set(HEADER_AFTER, String(this.newest));
      sent.set(HEADER_REQUEST_ID, requestId);
      const reply = await requestReply(this.nats, subject, body, {
        headers: sent,
        timeoutMs: this.timeoutMs,
        ...(operation.plane === 'data' && !isWaiting(operation) && { attemptMs: this.attemptMs }),
        onRepeat: () => sent.set(HEADER_REPEATED, 'true'),
      });
      const position = Number(reply.headers?.get(HEADER_POSITION));
      if (position > this.newest) this.newest = position;
      const error = reply.headers?.get(HEADER_ERROR);
      if (!error) return { body: reply.data, status: 200 };
      const code: ErrorCode = isErrorCode(error) ? error : 'KMSInternalException';
      return { body: reply.data, error: code, status: ERRORS[code].status };
    } catch (error) {
      const reply = errorReply(error, { operation: operation.name, requestId }, this.observe);
      const call = { operation, requestId, eventId: claim.eventId ?? randomUUID() };
      return this.records?.refused(reply, call, claim) ?? reply;
    }
  }
}

function claimHeaders(claim: CallerClaim): MsgHdrs {
  const { accessKeyId, sourceIp, secureTransport, tls, sessionToken, userAgent } = claim;
  const sent = headers();
  if (userAgent !== undefined) sent.set(HEADER_USER_AGENT, userAgent);
  if (accessKeyId !== undefined) sent.set(HEADER_ACCESS_KEY, accessKeyId);
  if (sourceIp !== undefined) sent.set(HEADER_SOURCE_IP, sourceIp);
  if (secureTransport !== undefined) sent.set(HEADER_SECURE_TRANSPORT, String(secureTransport));
  if (tls !== undefined) sent.set(HEADER_TLS, tlsHeader(tls));
  if (sessionToken !== undefined) {
    // One that cannot be sent is none of ours: they are base64.
    if (!/^[!-~]+$/.test(sessionToken)) throw unrecognizedClient();
    sent.set(HEADER_SESSION_TOKEN, sessionToken);
  }
  return sent;
}
