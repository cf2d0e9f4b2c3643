import { randomUUID } from 'node:crypto';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { headers, type Msg, type NatsConnection } from 'nats';
import { isRegionName, rootArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import {
  HEADER_AFTER,
  HEADER_ERROR,
  HEADER_POSITION,
  HEADER_REQUEST_ID,
  QUEUE,
  requestSubscription,
} from '#domain/subjects';
import type { Caller, Operation } from '#operations/operation';
import { type ErrorObserver, errorReply, type OperationReply } from '#operations/run-operation';
import { OPERATION_TABLE } from '#operations/table';
import type { LiveView } from '#views/live-view';
import { settledWithin } from './bounded-wait';
import type { Dispatcher } from './dispatch';
import type { Metrics } from './metrics';
import { wantsOwnReply } from './nats-reply';
import { ServedRequests } from './served-requests';

export interface NatsTransportPorts {
  nats: NatsConnection;
  /** The planes that this process serves. */
  planes: ReadonlySet<Operation['plane']>;
  accountId: string;
  dispatcher: Dispatcher;
  view: LiveView;
  metrics: Metrics;
  observe: ErrorObserver;
}

/** Requests that may wait for the view at once; each holds its body. */
const MAX_WAITING = 1_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const STOP_WAIT_MS = 10_000;

/** Serves the table of operations over NATS request-reply, straight from subscription to operation. */
export class NatsTransport extends Server implements CustomTransportStrategy {
  private readonly served: ServedRequests;
  private waiting = 0;

  constructor(private readonly ports: NatsTransportPorts) {
    super();
    this.served = new ServedRequests(ports.nats, (error) => ports.observe(error, 'NATS', ''));
  }

  listen(callback: (error?: unknown) => void): void {
    for (const operation of OPERATION_TABLE.values()) {
      if (!this.ports.planes.has(operation.plane)) continue;
      this.served.serve(
        requestSubscription(operation.name),
        QUEUE[operation.plane],
        (message) => this.serve(operation, message),
        wantsOwnReply,
      );
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
      this.ports.metrics.answered(operation.name, reply.error ?? 'OK', (performance.now() - started) / 1000);
      this.respond(operation, message, reply, requestId);
    };
    const fail = (error: unknown): void =>
      answer(errorReply(error, { operation: operation.name, requestId }, this.ports.observe));
    try {
      requestId = requestIdOf(message) ?? requestId;
      const caller = this.callerOf(message.subject, operation);
      const after = positionAskedFor(message);
      const run = (): OperationReply | Promise<OperationReply> =>
        this.ports.dispatcher.dispatch(operation, message.data, caller, requestId);
      const running = after > this.ports.view.position ? this.reached(after).then(run) : run();
      if (running instanceof Promise) return running.then(answer, fail);
      answer(running);
    } catch (error) {
      fail(error);
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

  /** The principal is in the subject, which the NATS server lets only that principal, or the gateway, publish to. */
  private callerOf(subject: string, operation: Operation): Caller {
    const [, , region = '', account, principalId] = subject.split('.');
    if (account !== this.ports.accountId || principalId !== 'root') {
      throw new KmsError(
        'AccessDeniedException',
        `Principal ${principalId} of account ${account} is not authorized to perform: kms:${operation.name}`,
      );
    }
    if (!isRegionName(region)) {
      throw new KmsError('ValidationException', 'The third token of the subject: expected a region name.');
    }
    return { region, account, principalId, principalArn: rootArn(account) };
  }

  private respond(operation: Operation, message: Msg, reply: OperationReply, requestId: string): void {
    try {
      this.sendReply(operation, message, reply);
    } catch (error) {
      // More than the server takes in one message, or the connection is closed; nobody above could do better.
      const failure = errorReply(error, { operation: operation.name, requestId }, this.ports.observe);
      if (!this.ports.nats.isClosed()) this.sendReply(operation, message, failure);
    }
  }

  private sendReply(operation: Operation, message: Msg, { body, error }: OperationReply): void {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
    if (error === undefined && operation.plane === 'data') {
      this.served.respond(message, bytes);
      return;
    }
    const sent = headers();
    sent.set(HEADER_POSITION, String(this.ports.view.position));
    if (error !== undefined) sent.set(HEADER_ERROR, error);
    this.served.respond(message, bytes, sent);
  }
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
