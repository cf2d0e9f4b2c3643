import { randomUUID } from 'node:crypto';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { headers, type Msg, type NatsConnection } from 'nats';
import { isRegionName } from '#domain/arn';
import { KmsError } from '#domain/errors';
import {
  gatewaySubscription,
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
  isGatewaySubject,
  principalIdOf,
  QUEUE,
  requestSubscription,
} from '#domain/subjects';
import type { CallerClaim } from '#operations/caller';
import { isWaiting, type Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/operation-reply';
import { OPERATION_TABLE } from '#operations/table';
import type { LiveView } from '#views/live-view';
import { settledWithin } from './bounded-wait';
import type { Dispatcher } from './dispatcher';
import type { Metrics } from './metrics';
import { wantsOwnReply } from './nats-reply';
import { type EdgeRecords, eventIdOf } from './recording/edge-records';
import { ServedRequests } from './served-requests';
import { tlsDetailsIn } from './tls-details';

export interface NatsTransportPorts {
  nats: NatsConnection;
  /** The planes that this process serves. */
  planes: ReadonlySet<Operation['plane']>;
  dispatcher: Dispatcher;
  view: LiveView;
  metrics: Metrics;
  observe: ErrorObserver;
  /** Absent where no records are kept. */
  records?: EdgeRecords | undefined;
}

/** Requests that may wait for the view at once; each holds its body. */
const MAX_WAITING = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const STOP_WAIT_MS = 10_000;

/** Serves the table of operations over NATS request-reply, straight from subscription to operation. */
export class NatsTransport extends Server implements CustomTransportStrategy {
  readonly served: ServedRequests;
  private waiting = 0;

  constructor(private readonly ports: NatsTransportPorts) {
    super();
    this.served = new ServedRequests(ports.nats, (error) => ports.observe(error, 'NATS', ''));
  }

  listen(callback: (error?: unknown) => void): void {
    for (const operation of OPERATION_TABLE.values()) {
      if (!this.ports.planes.has(operation.plane)) continue;
      for (const subject of [requestSubscription(operation.name), gatewaySubscription(operation.name)]) {
        const serve = (message: Msg): void | Promise<void> => this.serve(operation, message);
        this.served.serve(subject, QUEUE[operation.plane], serve, wantsOwnReply);
      }
    }
    this.ports.nats.flush().then(() => callback(), callback);
  }

  /** Takes no more requests and answers those begun; what takes longer is left to its caller's time-out. */
  async close(): Promise<void> {
    await settledWithin(STOP_WAIT_MS, this.served.drain());
  }

  on(): void {
    throw new Error('the NATS transport has no events');
  }

  unwrap<T>(): T {
    return this.ports.nats as T;
  }

  private serve(operation: Operation, message: Msg): void | Promise<void> {
    const started = performance.now();
    let requestId: string = randomUUID();
    const answer = (reply: OperationReply): void => {
      const { error = 'OK' } = this.respond(operation, message, reply, requestId);
      this.ports.metrics.answered(operation.name, error, (performance.now() - started) / 1000);
    };
    let claim: CallerClaim | undefined;
    const fail = (error: unknown): void | Promise<void> => {
      const reply = errorReply(error, { operation: operation.name, requestId }, this.ports.observe);
      const eventId = claim?.eventId ?? randomUUID();
      const recorded = this.ports.records?.refused(reply, { operation, requestId, eventId }, claim ?? {});
      return recorded ? recorded.then(answer) : answer(reply);
    };
    try {
      assertHeadersReadable(message);
      requestId = requestIdOf(message) ?? requestId;
      claim = claimOfMessage(message);
      const found = claim;
      const after = positionAskedFor(message);
      const run = (): OperationReply | Promise<OperationReply> =>
        this.ports.dispatcher.dispatch(operation, message.data, found, requestId);
      const running = after > this.ports.view.position ? this.reached(after).then(run) : run();
      if (running instanceof Promise) return running.then(answer, fail);
      answer(running);
    } catch (error) {
      return fail(error);
    }
  }

  private async reached(position: number): Promise<void> {
    if (this.waiting >= MAX_WAITING) {
      throw new KmsError('ThrottlingException', 'Too many requests wait for the event log; try again.');
    }
    this.waiting++;
    try {
      await this.ports.view.waitFor(position);
    } finally {
      this.waiting--;
    }
  }

  /** Sends the reply, or an error where it is too large to be sent; gives back what was sent. */
  private respond(operation: Operation, message: Msg, reply: OperationReply, requestId: string): OperationReply {
    try {
      this.sendReply(operation, message, reply);
      return reply;
    } catch (error) {
      const failure = errorReply(error, { operation: operation.name, requestId }, this.ports.observe);
      this.sendReply(operation, message, failure);
      return failure;
    }
  }

  private sendReply(operation: Operation, message: Msg, { body, error }: OperationReply): void {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
    if (error === undefined && operation.plane === 'data' && !isWaiting(operation)) {
      this.served.respond(message, bytes);
      return;
    }
    const sent = headers();
    sent.set(HEADER_POSITION, String(this.ports.view.position));
    if (error !== undefined) sent.set(HEADER_ERROR, error);
    this.served.respond(message, bytes, sent);
  }
}

/** The NATS server passes on whatever a client calls headers; the library throws where it reads them first. */
function assertHeadersReadable(message: Msg): void {
  try {
    void message.headers;
  } catch (error) {
    throw new KmsError('ValidationException', 'Headers: expected names of printable ASCII without spaces.', error);
  }
}

/** The principal is in the subject, which the NATS server lets only that principal, or a gateway, publish to. */
function claimOfMessage({ subject, headers: given }: Msg): CallerClaim {
  const [, , region = '', account = '', principal = ''] = subject.split('.');
  if (!isRegionName(region)) {
    throw new KmsError('ValidationException', 'The third token of the subject: expected a region name.');
  }
  if (!/^\d{12}$/.test(account)) {
    throw new KmsError('ValidationException', 'The fourth token of the subject: expected an account of 12 digits.');
  }
  const principalId = principalIdOf(principal);
  if (principalId === undefined) {
    throw new KmsError('ValidationException', 'The fifth token of the subject: expected a principal id.');
  }
  const header = (name: string): string | undefined => given?.get(name) || undefined;
  const claim = { region, account, principalId, sessionToken: header(HEADER_SESSION_TOKEN) };
  const requestIdGiven = header(HEADER_REQUEST_ID);
  if (!isGatewaySubject(subject)) return claim;
  return {
    ...claim,
    // Without one the caller would count as one whom the NATS server has let in.
    accessKeyId: header(HEADER_ACCESS_KEY) ?? 'none',
    sourceIp: header(HEADER_SOURCE_IP),
    secureTransport: header(HEADER_SECURE_TRANSPORT) === 'true',
    tls: tlsDetailsIn(header(HEADER_TLS)),
    repeated: header(HEADER_REPEATED) === 'true' || undefined,
    userAgent: header(HEADER_USER_AGENT),
    eventId: requestIdGiven === undefined ? undefined : eventIdOf(requestIdGiven),
  };
}

/** It goes into the log, so it is nothing but an id. */
function requestIdOf(message: Msg): string | undefined {
  const given = message.headers?.get(HEADER_REQUEST_ID);
  if (!given) return undefined;
  if (!UUID.test(given)) throw new KmsError('ValidationException', `${HEADER_REQUEST_ID}: expected a UUID.`);
  return given;
}

/** 0 for none. One that the log never reaches is waited for like any other, until LiveView's own time-out. */
function positionAskedFor(message: Msg): number {
  const given = message.headers?.get(HEADER_AFTER);
  if (!given) return 0;
  if (!/^\d{1,16}$/.test(given) || !Number.isSafeInteger(Number(given))) {
    throw new KmsError('ValidationException', `${HEADER_AFTER}: expected a whole number from 0 to 2^53 - 1.`);
  }
  return Number(given);
}
