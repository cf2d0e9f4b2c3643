import { connect, type NatsConnection } from 'nats';
import type { Logger } from 'pino';
import { settledWithin } from './bounded-wait';
import { type EmbeddedNats, startEmbeddedNats } from './embedded-nats';
import { inboxPrefix } from './nats-users';
import { type Settings, SettingsError } from './settings';

const DRAIN_MS = 2_000;

/** A NATS connection that outlives the server's restarts, and the embedded server where there is one. */
export interface NatsLink {
  nats: NatsConnection;
  /** Where programs connect. */
  url: string;
  connected(): boolean;
  close(): Promise<void>;
}

/** Connects as `user`: to the outer cluster if one is set, else to an embedded server that is started here. */
export async function openNatsLink(settings: Settings, service: string, log: Logger): Promise<NatsLink> {
  if (settings.natsUrl !== undefined) {
    log.info('connecting to NATS');
    const urls = settings.natsUrl.split(',').map((url) => url.trim());
    const nats = await connectAs(urls, service, settings.natsUser, settings.natsPassword, true);
    return linkOf(nats, settings.natsUrl, log);
  }
  if (service !== 'keytrail') throw new SettingsError('KEYTRAIL_NATS_URL: expected the nats:// URLs of the cluster');
  log.info('starting a nats-server');
  const server = await startEmbeddedNats({
    dataDir: settings.dataDir,
    serverPath: settings.natsServer ?? 'nats-server',
    account: settings.accountId,
    port: settings.natsPort,
    log: (line) => log.info(line),
  });
  try {
    const { user, password } = server.users['embedded']!;
    const nats = await connectAs([server.url], 'embedded', user, password, false);
    return linkOf(nats, server.url, log, server);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** Each user has an inbox of its own, which the server lets nobody else listen to. */
export const connectAs = (
  servers: string[],
  name: string,
  user: string | undefined,
  pass: string | undefined,
  waitOnFirstConnect: boolean,
): Promise<NatsConnection> =>
  connect({
    servers,
    name,
    ...(user === undefined ? {} : { user, inboxPrefix: inboxPrefix(user) }),
    ...(pass === undefined ? {} : { pass }),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 100,
    waitOnFirstConnect,
    pingInterval: 5_000,
    maxPingOut: 2,
  });

function linkOf(nats: NatsConnection, url: string, log: Logger, server?: EmbeddedNats): NatsLink {
  let connected = true;
  void (async () => {
    for await (const status of nats.status()) {
      if (status.type === 'disconnect') {
        connected = false;
        log.warn('lost the connection to NATS');
      } else if (status.type === 'reconnect') {
        connected = true;
        log.info('connected to NATS again');
      }
    }
  })();
  return {
    nats,
    url,
    connected: () => connected && !nats.isClosed(),
    async close() {
      // Without a server to flush to, a drain never ends.
      await settledWithin(DRAIN_MS, nats.drain());
      await nats.close();
      await server?.stop();
    },
  };
}
