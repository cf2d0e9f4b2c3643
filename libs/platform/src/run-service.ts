import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Logger, pino } from 'pino';
import { KmsError } from '#domain/errors';
import { httpPort, httpUrl } from './http-address';
import { serveHealth, serveHttpEdge } from './http-edge';
import { writeAwsConfig } from './root-credentials';
import { type Part, Service } from './service';
import { ServiceModule } from './service.module';
import { parseSettings, type Settings, SettingsError } from './settings';
import { UNREAD_REQUESTS } from './unread-requests';

export interface RunningService {
  service: Service;
  /** The port that HTTP is served on; 0 for none. */
  port: number;
  /** Where a program on this machine reaches it over HTTP. */
  endpoint: string;
  /** Answers what was begun, takes nothing more, and lets go of everything. */
  stop(): Promise<void>;
}

/** For a whole request to arrive. Fastify's own default is none: a body that trickles would hold its connection for ever. */
const REQUEST_TIMEOUT_MS = 60_000;

export const createLogger = (settings: Settings): Logger =>
  pino({ level: settings.logLevel, base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));

/** How long a stop waits for HTTP requests in flight before it cuts them off. */
const HTTP_STOP_WAIT_MS = 10_000;
const IDLE_LOOK_MS = 50;

/** Starts a process of Keytrail with these parts; resolves once it is ready, rejects when `signal` is aborted before. */
export async function startService(
  name: string,
  parts: readonly Part[],
  settings: Settings,
  log = createLogger(settings),
  signal = new AbortController().signal,
): Promise<RunningService> {
  const app = await NestFactory.create<NestFastifyApplication>(
    ServiceModule.of(name, parts, settings, log, signal),
    new FastifyAdapter({
      logger: false,
      // A stop closes what is idle, and serves to its end what came in on the other connections.
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      exposeHeadRoutes: false,
      keepAliveTimeout: 72_000,
      requestTimeout: REQUEST_TIMEOUT_MS,
      ...UNREAD_REQUESTS,
    }),
    { logger: false, bodyParser: false, abortOnError: false },
  );
  const service = app.get(Service);
  const { server } = app.getHttpAdapter().getInstance();
  const stop = async (): Promise<void> => {
    const cut = setTimeout(() => server.closeAllConnections(), HTTP_STOP_WAIT_MS);
    // A connection whose request had begun before is kept alive after its answer.
    const idle = setInterval(() => server.closeIdleConnections(), IDLE_LOOK_MS);
    try {
      await app.close();
    } finally {
      clearTimeout(cut);
      clearInterval(idle);
    }
  };
  // Ends the timers and whatever else is waited for below.
  const abort = (): void => void service.stop();
  signal.addEventListener('abort', abort);
  try {
    const http = app.getHttpAdapter().getInstance();
    if (parts.includes('gateway')) serveHttpEdge(http, service.httpEdge());
    else serveHealth(http, service);
    if (service.transport) app.connectMicroservice<MicroserviceOptions>({ strategy: service.transport });
    await app.startAllMicroservices();
    // Embedded, missed timers are tried before anybody is answered; among others they need them, so health comes first.
    const embedded = settings.natsUrl === undefined;
    if (embedded) await service.startTimers();
    const wanted = httpPort(parts, settings);
    if (wanted === undefined) await app.init();
    else await app.listen(wanted, settings.host);
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const endpoint = httpUrl(settings.host, port);
    if (parts.includes('gateway') && parts.includes('crypto-worker')) writeAwsConfig(settings, endpoint);
    if (!embedded) await service.startTimers();
    signal.throwIfAborted();
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

/** What a caller of the API is told names no cause; whoever starts the service needs it. */
const saidOf = (error: Error): string =>
  error instanceof KmsError && error.cause instanceof Error ? `${error.message} ${error.cause.message}` : error.message;

/** A start that failed, in words; the stack only where it is our own fault. */
export function reportFailure(name: string, error: unknown): void {
  const known =
    error instanceof SettingsError || (error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError');
  const code = (error as NodeJS.ErrnoException).code;
  const text = error instanceof Error ? (known ? saidOf(error) : (error.stack ?? error.message)) : String(error);
  const hint =
    code === 'EADDRINUSE' ? '\nAnother program listens there: stop it, or set KEYTRAIL_PORT to another port.' : '';
  process.stderr.write(`${name}: ${text}${hint}\n`);
}
