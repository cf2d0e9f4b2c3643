import { createInbox, type Subscription } from 'nats';
import { isoDate } from '#domain/dates';
import { INTERNAL } from '#domain/subjects';
import { inboxPrefixOf } from '#event-store/ordered-delivery';
import { VirtualClock } from '#platform/clock';
import type { ServiceStatus } from '#platform/service';
import { CommandError, type Operator } from './operator';
import { servicesOf } from './services';

const SETTLE_MS = 600_000;
const LOOK_MS = 2_000;
/** Looks in a row that a service may leave unanswered: a busy one does not always answer in time. */
const LOOKS_MISSED = 4;

/** Moves the virtual clock, and returns once every service goes by the new time and all that came due has fired. */
export async function advanceClock(operator: Operator, ms: number, print: (line: string) => void): Promise<void> {
  const services = await servicesOf(operator);
  if (services.length === 0)
    throw new CommandError('no service of Keytrail answers: start it with KEYTRAIL_CLOCK=virtual npm start');
  const real = services.find((service) => service.clock !== 'virtual');
  if (real)
    throw new CommandError(
      `${real.service} goes by the system's clock: start Keytrail with KEYTRAIL_CLOCK=virtual to move time`,
    );
  const clock = new VirtualClock(operator.nats);
  await clock.start();
  const time = await clock.advance(ms);
  clock.stop();
  const failure = await settled(operator, services, clock.offsetMs);
  if (failure !== undefined) throw new CommandError(`the clock is at ${isoDate(time)}, but ${failure}`);
  print(isoDate(time));
}

/** Resolves once each of them has followed to `offsetMs`, with what is to be said where one has not. */
async function settled(
  operator: Operator,
  services: readonly ServiceStatus[],
  offsetMs: number,
): Promise<string | undefined> {
  const inbox = createInbox(inboxPrefixOf(operator.nats));
  const replies = operator.nats.subscribe(inbox);
  operator.nats.publish(INTERNAL.settle, JSON.stringify({ offsetMs }), { reply: inbox });
  const watch = new ServiceWatch(operator, services);
  const ended = setTimeout(() => replies.unsubscribe(), SETTLE_MS);
  const looking = watch.untilGone(replies);
  try {
    let followed = 0;
    for await (const reply of replies) {
      const { error } = reply.data.length === 0 ? {} : reply.json<{ error?: { message: string } }>();
      if (error) return `not all that came due is done: ${error.message}`;
      if (++followed === services.length) return undefined;
    }
    const gone = watch.gone.map(({ service, pid }) => `${service} (pid ${pid})`).join(', ');
    if (gone) return `${gone} answers no more; what came due is done when it is started again`;
    return `only ${followed} of ${services.length} services have followed; see: ./keytrail status`;
  } finally {
    clearTimeout(ended);
    watch.stop();
    replies.unsubscribe();
    await looking;
  }
}

/** Sees that a service which was there is gone: nobody who is asked to settle says so for one that was killed. */
class ServiceWatch {
  private readonly missed = new Map<string, number>();
  private stopped = false;
  private wake = (): void => {};

  constructor(
    private readonly operator: Operator,
    private readonly services: readonly ServiceStatus[],
  ) {}

  get gone(): ServiceStatus[] {
    return this.services.filter(({ instance }) => (this.missed.get(instance) ?? 0) >= LOOKS_MISSED);
  }

  /** Ends `replies` once one is gone. */
  async untilGone(replies: Subscription): Promise<void> {
    for (;;) {
      await this.pause();
      if (this.stopped || this.operator.nats.isClosed()) return;
      const here = new Set((await servicesOf(this.operator)).map(({ instance }) => instance));
      for (const { instance } of this.services) {
        this.missed.set(instance, here.has(instance) ? 0 : (this.missed.get(instance) ?? 0) + 1);
      }
      if (this.gone.length > 0) replies.unsubscribe();
    }
  }

  stop(): void {
    this.stopped = true;
    this.wake();
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
