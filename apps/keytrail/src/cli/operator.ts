import type { NatsConnection } from 'nats';
import { readEndpoint, startEmbeddedNats } from '#platform/embedded-nats';
import { witnessPath } from '#platform/log-witness';
import { connectAs, natsTls } from '#platform/nats-link';
import type { Settings } from '#platform/settings';

/** A command that cannot be carried out; the message says what to do next. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export interface Operator {
  nats: NatsConnection;
  /** Whether Keytrail's services may be there to answer; false when only the store was opened. */
  services: boolean;
  /** The file that says how far the log had come; none for a cluster. */
  witness?: string;
  close(): Promise<void>;
}

/**
 * Connects as the operator: to the cluster that is set, else to the server of the data folder. Where that does not run
 * and `openStore` is set, the folder's store is opened for the time of the command.
 */
export async function openOperator(settings: Settings, openStore: boolean): Promise<Operator> {
  if (settings.natsUrl !== undefined) {
    const nats = await reach(settings.natsUrl.split(','), settings.natsUser, settings.natsPassword, natsTls(settings));
    if (!nats)
      throw new CommandError(
        `no NATS server answers at ${settings.natsUrl}: check KEYTRAIL_NATS_URL, user and password`,
      );
    return { nats, services: true, close: () => nats.close() };
  }
  const endpoint = readEndpoint(settings.dataDir);
  if (!endpoint) {
    throw new CommandError(
      `${settings.dataDir} is no data folder of Keytrail: start it once (npm start), or set KEYTRAIL_DATA_DIR`,
    );
  }
  const { user, password } = endpoint.users.operator;
  const witness = witnessPath(settings.dataDir);
  const nats = await reach([endpoint.url], user, password);
  if (nats) return { nats, services: true, witness, close: () => nats.close() };
  if (!openStore) throw new CommandError(`Keytrail does not run on ${settings.dataDir}: start it with npm start`);
  const server = await startEmbeddedNats({
    dataDir: settings.dataDir,
    serverPath: settings.natsServer ?? 'nats-server',
    port: settings.natsPort,
    log: () => {},
  });
  const opened = await connectAs([server.url], 'operator', user, password, false);
  return {
    nats: opened,
    services: false,
    witness,
    async close() {
      await opened.close();
      await server.stop();
    },
  };
}

async function reach(
  servers: string[],
  user: string | undefined,
  password: string | undefined,
  tls?: ReturnType<typeof natsTls>,
) {
  try {
    return await connectAs(servers, 'operator', user, password, false, tls);
  } catch {
    return undefined;
  }
}
