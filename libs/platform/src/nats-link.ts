import { connect, type NatsConnection, type TlsOptions } from 'nats';
import type { Logger } from 'pino';
import { settledWithin } from './bounded-wait';
import type { CalloutSeeds } from './callout-keys';
import { type EmbeddedNats, startEmbeddedNats } from './embedded-nats';
import { inboxPrefix } from './nats-users';
import { pem } from './served-certificate';
import { type Settings, SettingsError } from './settings';

const DRAIN_MS = 2_000;

/** A NATS connection that outlives the server's restarts, and the embedded server where there is one. */
export interface NatsLink {
  nats: NatsConnection;
  /** Where programs connect. */
  url: string;
  /** Of the server's auth callout; absent where this process is not to answer it. */
  callout?: CalloutSeeds | undefined;
  connected(): boolean;
  /** How often a lost connection was made again. */
  reconnects(): number;
  close(): Promise<void>;
}

/** Connects as `user`: to the outer cluster if one is set, else to an embedded server that is started here. */
export async function openNatsLink(settings: Settings, service: string, log: Logger): Promise<NatsLink> {
  if (settings.natsUrl !== undefined) {
    log.info('connecting to NATS');
    const urls = settings.natsUrl.split(',').map((url) => url.trim());
    const { natsUser, natsPassword, natsCalloutSeed: issuer, natsCalloutXkeySeed: xkey } = settings;
    const tls = natsTls(settings);
    const nats = await untilConnected(() => connectAs(urls, service, natsUser, natsPassword, false, tls), log);
    return linkOf(nats, settings.natsUrl, issuer && xkey ? { issuer, xkey } : undefined, log);
  }
  if (service !== 'keytrail') throw new SettingsError('KEYTRAIL_NATS_URL: expected the nats:// URLs of the cluster');
  log.info('starting a nats-server');
  const server = await startEmbeddedNats({
    dataDir: settings.dataDir,
    serverPath: settings.natsServer ?? 'nats-server',
    port: settings.natsPort,
    log: (line) => log.info(line),
  });
  try {
    const { user, password } = server.users['embedded']!;
    const nats = await connectAs([server.url], 'embedded', user, password, false);
    return linkOf(nats, server.url, server.callout, log, server);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * What the connection to the cluster must prove, and shows. The client reads the files for each connection, so renewed
 * ones need no restart. Undefined where neither KEYTRAIL_NATS_CA nor a tls:// URL asks for TLS. Throws SettingsError
 * for a file that cannot be read.
 */
export function natsTls({ natsUrl, natsCa, natsCert, natsKey }: Settings): TlsOptions | undefined {
  if (natsCa === undefined && natsCert === undefined && !natsUrl?.includes('tls://')) return undefined;
  const files = { KEYTRAIL_NATS_CA: natsCa, KEYTRAIL_NATS_CERT: natsCert, KEYTRAIL_NATS_KEY: natsKey };
  for (const [setting, path] of Object.entries(files)) if (path !== undefined) pem(setting, path);
  return {
    ...(natsCa !== undefined && { caFile: natsCa }),
    ...(natsCert !== undefined && { certFile: natsCert }),
    ...(natsKey !== undefined && { keyFile: natsKey }),
  };
}

const FIRST_CONNECT_PAUSE_MS = 200;

/** Services may start before the cluster does. Whoever waits for ever is told why: most often it is a certificate. */
async function untilConnected(attempt: () => Promise<NatsConnection>, log: Logger): Promise<NatsConnection> {
  for (let said = ''; ; ) {
    try {
      return await attempt();
    } catch (error) {
      const { message } = error as Error;
      if (message !== said) log.warn({ reason: message }, 'cannot connect to NATS; trying again');
      said = message;
    }
    await new Promise((resolve) => setTimeout(resolve, FIRST_CONNECT_PAUSE_MS));
  }
}

/** Each user has an inbox of its own, which the server lets nobody else listen to. */
export const connectAs = (
  servers: string[],
  name: string,
  user: string | undefined,
  pass: string | undefined,
  waitOnFirstConnect: boolean,
  tls?: TlsOptions,
): Promise<NatsConnection> =>
  connect({
    servers,
    name,
    inboxPrefix: inboxPrefix(user ?? name),
    ...(user === undefined ? {} : { user }),
    ...(pass === undefined ? {} : { pass }),
    ...(tls === undefined ? {} : { tls }),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 100,
    waitOnFirstConnect,
    pingInterval: 5_000,
    maxPingOut: 2,
    // Three stack traces a request, for errors that say themselves what was asked for.
    noAsyncTraces: true,
  });

function linkOf(
  nats: NatsConnection,
  url: string,
  callout: CalloutSeeds | undefined,
  log: Logger,
  server?: EmbeddedNats,
): NatsLink {
  let connected = true;
  let reconnects = 0;
  void (async () => {
    for await (const status of nats.status()) {
      if (status.type === 'disconnect') {
        connected = false;
        log.warn('lost the connection to NATS');
      } else if (status.type === 'reconnect') {
        connected = true;
        reconnects++;
        log.info('connected to NATS again');
      }
    }
  })();
  return {
    nats,
    url,
    callout,
    connected: () => connected && !nats.isClosed(),
    reconnects: () => reconnects,
    async close() {
      // Without a server to flush to, a drain never ends.
      await settledWithin(DRAIN_MS, nats.drain());
      await nats.close();
      await server?.stop();
    },
  };
}
