import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Logger, pino } from 'pino';
import { serveHealth, serveHttpEdge } from './http-edge';
import { httpServer } from './http-server';
import { ServedCertificate } from './served-certificate';
import { type Part, Service } from './service';
import { ServiceModule } from './service.module';
import { parseSettings, type Settings, SettingsError } from './settings';

export interface RunningService {
  service: Service;
  /** The port that HTTP is served on; 0 for none. */
  port: number;
  stop(): Promise<void>;
}

export const createLogger = (settings: Settings): Logger =>
  pino({ level: settings.logLevel, base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));

/** Starts a process of Keytrail with these parts, and resolves once it is ready. */
export async function startService(
  name: string,
  parts: readonly Part[],
  settings: Settings,
  log = createLogger(settings),
): Promise<RunningService> {
  const certificate = ServedCertificate.of(settings, log);
  const { adapter, admission } = httpServer(certificate);
  const { adapter: health } = httpServer();
  const app = await NestFactory.create<NestFastifyApplication>(ServiceModule.of(name, parts, settings, log), adapter, {
    logger: false,
    bodyParser: false,
    abortOnError: false,
  });
  const service = app.get(Service);
  const stop = async (): Promise<void> => {
    certificate?.stop();
    await health.getInstance().close();
    await app.close();
  };
  try {
    const http = app.getHttpAdapter().getInstance();
    const isGateway = parts.includes('gateway');
    if (isGateway) serveHttpEdge(http, service, admission);
    else serveHealth(http, service);
    if (certificate) {
      service.metrics.gauge(
        'keytrail_certificate_not_after_seconds',
        'When the certificate that HTTPS is served with ends, in seconds since the epoch.',
        () => certificate.notAfter,
      );
    }
    if (service.transport) app.connectMicroservice<MicroserviceOptions>({ strategy: service.transport });
    await app.startAllMicroservices();
    // Alone, the missed timers fire before anybody is answered; among others they need them, so health comes first.
    const alone = settings.natsUrl === undefined;
    if (alone) await service.startTimers();
    const port = isGateway ? settings.port : settings.healthPort;
    if (isGateway || port !== 0) await app.listen(port, listenAddress(settings.host));
    else await app.init();
    if (isGateway && settings.healthPort !== 0) {
      // For probes on this machine, which have no client certificate to show.
      serveHealth(health.getInstance(), service);
      await health.getInstance().listen({ port: settings.healthPort, host: '127.0.0.1' });
    }
    certificate?.watch();
    if (!alone) await service.startTimers();
    const address = http.server.address();
    return { service, port: typeof address === 'object' && address ? address.port : 0, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The name may stand for ::1 as well, and one server listens on one address. */
const listenAddress = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host);

/** Ends the process cleanly on a signal, or with an error once the service can no longer serve. */
export function stopOnSignals(running: RunningService): void {
  let stopping = false;
  const stop = (exitCode: number): void => {
    if (stopping) return;
    stopping = true;
    running.stop().then(
      () => process.exit(exitCode),
      () => process.exit(1),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(0));
  void running.service.failed.then(() => stop(1));
}

/** The whole of a service's main: settings, start, signals; errors that say what to do. */
export async function runService(name: string, parts: readonly Part[]): Promise<void> {
  try {
    const settings = parseSettings(process.env);
    const log = createLogger(settings);
    const running = await startService(name, parts, settings, log);
    stopOnSignals(running);
    log.info({ port: running.port }, `${name} is ready`);
  } catch (error) {
    reportFailure(name, error);
    process.exit(1);
  }
}

/** A start that failed, in words; the stack only where it is our own fault. */
export function reportFailure(name: string, error: unknown): void {
  const known =
    error instanceof SettingsError || (error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError');
  const code = (error as NodeJS.ErrnoException).code;
  const text = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  const hint =
    code === 'EADDRINUSE' ? '\nAnother program listens there: stop it, or set KEYTRAIL_PORT to another port.' : '';
  process.stderr.write(`${name}: ${text}${hint}\n`);
}
