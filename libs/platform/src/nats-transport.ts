import { randomUUID } from 'node:crypto';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { headers, type Msg, type NatsConnection, type Subscription } from 'nats';
import { rootArn } from '#domain/arn';
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
import type { Dispatcher } from './dispatch';
import type { Metrics } from './metrics';

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

/** Serves the table of operations over NATS request-reply, straight from subscription to operation. */
export class NatsTransport extends Server implements CustomTransportStrategy {
  private subscriptions: Subscription[] = [];

  constructor(private readonly ports: NatsTransportPorts) {
    super();
  }

  listen(callback: (error?: unknown) => void): void {
    for (const operation of OPERATION_TABLE.values()) {
      if (!this.ports.planes.has(operation.plane)) continue;
      const subscription = this.ports.nats.subscribe(requestSubscription(operation.name), {
        queue: QUEUE[operation.plane],
        callback: (error, message) => {
          if (!error) this.serve(operation, message);
        },
      });
      this.subscriptions.push(subscription);
    }
    this.ports.nats.flush().then(() => callback(), callback);
  }

  async close(): Promise<void> {
    await Promise.all(this.subscriptions.map((subscription) => subscription.drain().catch(() => {})));
    this.subscriptions = [];
  }

  on(): void {
    throw new Error('the NATS transport has no events');
  }

  unwrap<T>(): T {
    return this.ports.nats as T;
  }

  private serve(operation: Operation, message: Msg): void {
    const started = performance.now();
    const requestId = message.headers?.get(HEADER_REQUEST_ID) || randomUUID();
    const answer = (reply: OperationReply): void => {
      this.ports.metrics.answered(operation.name, reply.error ?? 'OK', (performance.now() - started) / 1000);
      this.respond(operation, message, reply);
    };
    const fail = (error: unknown): void =>
      answer(errorReply(error, { operation: operation.name, requestId }, this.ports.observe));
    try {
      const caller = this.callerOf(message.subject, operation);
      const run = (): OperationReply | Promise<OperationReply> =>
        this.ports.dispatcher.dispatch(operation, message.data, caller, requestId);
      const after = Number(message.headers?.get(HEADER_AFTER) || 0);
      const running = after > this.ports.view.position ? this.ports.view.waitFor(after).then(run) : run();
      if (running instanceof Promise) running.then(answer, fail);
      else answer(running);
    } catch (error) {
      fail(error);
    }
  }

  /** The principal is in the subject, which the NATS server lets only that principal, or the gateway, publish to. */
  private callerOf(subject: string, operation: Operation): Caller {
    const [, , region, account, principalId] = subject.split('.');
    if (account !== this.ports.accountId || principalId !== 'root' || !region) {
      throw new KmsError(
        'AccessDeniedException',
        `Principal ${principalId} of account ${account} is not authorized to perform: kms:${operation.name}`,
      );
    }
    return { region, account, principalId, principalArn: rootArn(account) };
  }

  private respond(operation: Operation, message: Msg, { body, error }: OperationReply): void {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
    if (error === undefined && operation.plane === 'data') {
      message.respond(bytes);
      return;
    }
    const sent = headers();
    sent.set(HEADER_POSITION, String(this.ports.view.position));
    if (error !== undefined) sent.set(HEADER_ERROR, error);
    message.respond(bytes, { headers: sent });
  }
}
