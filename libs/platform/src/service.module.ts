import { type DynamicModule, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { type NatsLink, openNatsLink } from './nats-link';
import { Service } from './service';
import type { Settings } from './settings';
import type { Part } from './surroundings';

/** Stops the service when Nest closes the application. */
@Injectable()
export class ServiceCloser implements OnApplicationShutdown {
  constructor(@Inject(Service) private readonly service: Service) {}

  onApplicationShutdown(): Promise<void> {
    return this.service.stop();
  }
}

/** Composes one process of Keytrail from its parts. */
@Module({})
// biome-ignore lint/complexity/noStaticOnlyClass: a dynamic module of Nest's is a class that returns itself.
export class ServiceModule {
  /** Aborting `signal` ends a start that is under way; it then rejects. */
  static of(name: string, parts: readonly Part[], settings: Settings, log: Logger, signal: AbortSignal): DynamicModule {
    return {
      module: ServiceModule,
      providers: [
        {
          provide: Service,
          useFactory: async () => {
            const link = await openUnlessAborted(settings, name, log, signal);
            const service = new Service(name, parts, settings, link, log);
            const abort = (): void => void service.stop();
            signal.addEventListener('abort', abort);
            try {
              signal.throwIfAborted();
              await service.start();
              signal.throwIfAborted();
              return service;
            } catch (error) {
              await service.stop();
              throw error;
            } finally {
              signal.removeEventListener('abort', abort);
            }
          },
        },
        ServiceCloser,
      ],
      exports: [Service],
    };
  }
}

/** The embedded server starts within seconds and is then to be stopped; a cluster may be waited for without end. */
function openUnlessAborted(settings: Settings, name: string, log: Logger, signal: AbortSignal): Promise<NatsLink> {
  const opening = openNatsLink(settings, name, log);
  if (settings.natsUrl === undefined) return opening;
  const aborted = new Promise<never>((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  return Promise.race([opening, aborted]);
}
