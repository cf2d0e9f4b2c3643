import { type DynamicModule, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { openNatsLink } from './nats-link';
import { type Part, Service } from './service';
import type { Settings } from './settings';

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
export class ServiceModule {
  static of(name: string, parts: readonly Part[], settings: Settings, log: Logger): DynamicModule {
    return {
      module: ServiceModule,
      providers: [
        {
          provide: Service,
          useFactory: async () => {
            const link = await openNatsLink(settings, name, log);
            const service = new Service(name, parts, settings, link, log);
            try {
              await service.start();
              return service;
            } catch (error) {
              await service.stop();
              throw error;
            }
          },
        },
        ServiceCloser,
      ],
      exports: [Service],
    };
  }
}
