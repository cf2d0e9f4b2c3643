import { ErrorCode, type Msg, type MsgHdrs, type NatsConnection, NatsError, type Subscription } from 'nats';
import { KmsError } from '#domain/errors';
import { messageCallback } from '#event-store/message-callback';
import { wantsInboxReply } from './nats-reply';
import { tracedMessage } from './tracing';

/** Requests that a process serves over NATS: counted, so that a stop takes no more and sees the last one answered. */
export class ServedRequests {
  private readonly subscriptions: Subscription[] = [];
  private readonly running = new Set<Promise<void>>();

  /** `onError` is told what could not be answered. */
  constructor(
    readonly nats: NatsConnection,
    private readonly onError: (error: unknown) => void,
  ) {}

  /**
   * Has `run` answer what comes in on the subject; with a queue name, one instance of the service does. What is not
   * `answerable` is left alone: its reply would go where it must not.
   */
  serve(
    subject: string,
    queue: string | undefined,
    run: (message: Msg) => void | Promise<void>,
    answerable: (message: Msg) => boolean = wantsInboxReply,
  ): void {
    const subscription = this.nats.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: messageCallback((message) => {
        if (!answerable(message)) return;
        const answering = tracedMessage(subject, message, () => run(message));
        if (answering instanceof Promise) this.follow(answering);
      }, this.onError),
    });
    this.subscriptions.push(subscription);
  }

  /**
   * Throws KMSInternalException for more than the NATS server takes: something smaller is to be answered. With the connection
   * gone nobody can be answered, and the caller's own time-out tells it.
   */
  respond(message: Msg, payload: Uint8Array | string, headers?: MsgHdrs): void {
    try {
      if (headers) message.respond(payload, { headers });
      else message.respond(payload);
    } catch (error) {
      if (error instanceof NatsError && error.code === ErrorCode.MaxPayloadExceeded) {
        throw new KmsError('KMSInternalException', 'The reply is larger than the NATS server takes.', error);
      }
      if (!this.nats.isClosed() && !this.nats.isDraining()) this.onError(error);
    }
  }

  /** Requests that are being answered and wait for something. */
  get inFlight(): number {
    return this.running.size;
  }

  /** Takes no more requests, and resolves once those that were begun have been answered. */
  async drain(): Promise<void> {
    await Promise.all(this.subscriptions.map((subscription) => subscription.drain().catch(() => {})));
    this.subscriptions.length = 0;
    while (this.running.size > 0) await Promise.all(this.running);
  }

  private follow(answering: Promise<void>): void {
    const followed = answering.catch(this.onError).finally(() => this.running.delete(followed));
    this.running.add(followed);
  }
}
