import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Logger, pino } from 'pino';
import { showHttp } from './figures';
import { httpPort, httpUrl, listenAddress } from './http-address';
import { serveHttpEdge } from './http-edge';
import { serveHealth } from './http-health';
import { httpServer, stopHttp } from './http-server';
import { reportFailure } from './report-failure';
import { writeAwsConfig } from './root-credentials';
import { ServedCertificate } from './served-certificate';
import { Service } from './service';
import { ServiceModule } from './service.module';
import { parseSettings, type Settings } from './settings';
import type { Part } from './surroundings';
import { traceOfLine } from './tracing';

export interface RunningService {
  service: Service;
  /** The port that HTTP is served on; 0 for none. */
  port: number;
  /** Where a program on this machine reaches it over HTTP. */
  endpoint: string;
  /** Answers what was begun, takes nothing more, and lets go of everything. */
  stop(): Promise<void>;
}

export const createLogger = (settings: Settings): Logger =>
  pino(
    { level: settings.logLevel, base: { pid: process.pid }, mixin: traceOfLine },
    pino.destination({ dest: 2, sync: true }),
  );

/** Starts a process of Keytrail with these parts; resolves once it is ready, rejects when `signal` is aborted before. */
export async function startService(
  name: string,
  parts: readonly Part[],
  settings: Settings,
  log = createLogger(settings),
  signal = new AbortController().signal,
): Promise<RunningService> {
  // No refusal: others may name their own in the same way, as Kubernetes does for a service of this name.
  if (settings.unknown) log.warn({ names: settings.unknown }, 'there are no such settings: is one misspelt?');
  const certificate = ServedCertificate.of(settings, log);
  // Loaded only where it is wanted.
  const tracing = settings.tracing ? (await import('#platform/tracing-exporter')).startTracing(name, log) : undefined;
  const { adapter, admission } = httpServer(certificate);
  const health = httpServer().adapter.getInstance();
  const app = await NestFactory.create<NestFastifyApplication>(
    ServiceModule.of(name, parts, settings, log, signal),
    adapter,
    { logger: false, bodyParser: false, abortOnError: false },
  );
  const service = app.get(Service);
  const { server } = app.getHttpAdapter().getInstance();
  const stop = async (): Promise<void> => {
    certificate?.stop();
    await Promise.all([stopHttp(health.server, () => health.close()), stopHttp(server, () => app.close())]);
    await tracing?.stop();
  };
  // Ends the timers and whatever else is waited for below.
  const abort = (): void => void service.stop();
  signal.addEventListener('abort', abort);
  try {
    const http = app.getHttpAdapter().getInstance();
    const isGateway = parts.includes('gateway');
    service.metrics.ofProcess();
    showHttp(service.metrics, admission);
    if (isGateway) serveHttpEdge(http, service.httpEdge(), admission);
    else serveHealth(http, service);
    if (certificate) {
      service.metrics.gauge('keytrail_certificate_not_after_seconds', () => certificate.notAfter);
    }
    if (service.transport) app.connectMicroservice<MicroserviceOptions>({ strategy: service.transport });
    await app.startAllMicroservices();
    // Embedded, missed timers are tried before anybody is answered; among others they need them, so health comes first.
    const embedded = settings.natsUrl === undefined;
    if (embedded) await service.startTimers();
    const wanted = httpPort(parts, settings);
    if (wanted === undefined) await app.init();
    else await app.listen(wanted, listenAddress(settings));
    if (isGateway && settings.healthPort !== 0) {
      // For probes on this machine, which have no client certificate to show.
      serveHealth(health, service);
      await health.listen({ port: settings.healthPort, host: '127.0.0.1' });
    }
    certificate?.watch();
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const endpoint = httpUrl(settings, port);
    if (isGateway && parts.includes('crypto-worker')) writeAwsConfig(settings, endpoint);
    if (!embedded) await service.startTimers();
    signal.throwIfAborted();
    service.startProjecting();
    return { service, port, endpoint, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/**
 * Serves until a signal, which ends the process cleanly, during the start too; or until the service can no longer
 * serve, which ends it with an error. Rejects when the start fails.
 */
export async function serveUntilSignal(
  name: string,
  parts: readonly Part[],
  settings: Settings,
  ready: (running: RunningService, log: Logger) => void,
): Promise<void> {
  const log = createLogger(settings);
  const starting = new AbortController();
  let running: RunningService | undefined;
  let exitCode: number | undefined;
  const stop = (code: number): void => {
    if (exitCode !== undefined) return;
    exitCode = code;
    if (!running) {
      starting.abort();
      return;
    }
    running.stop().then(
      () => process.exit(code),
      (error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(0));
  try {
    running = await startService(name, parts, settings, log, starting.signal);
  } catch (error) {
    if (starting.signal.aborted) process.exit(exitCode);
    throw error;
  }
  void running.service.failed.then(() => stop(1));
  ready(running, log);
}

/** The whole of a service's main: settings, start, signals; errors that say what to do. */
export async function runService(name: string, parts: readonly Part[]): Promise<void> {
  try {
    await serveUntilSignal(name, parts, parseSettings(process.env), ({ port }, log) =>
      log.info({ port }, `${name} is ready`),
    );
  } catch (error) {
    reportFailure(name, error);
    process.exit(1);
  }
}
