import { type Logger, pino } from 'pino';
import { HsmUnavailableError } from '#hsm/hsm-provider';
import { TokenClient, TokenRefusedError } from '#hsm/pkcs11/token-client';
import { RootKeyError } from '#hsm/root-key-error';
import { httpUrl, listenAddress } from '../http-address';
import { HTTP_LIMITS, httpServer, stopHttp } from '../http-server';
import { readPin } from '../pin-file';
import { reportFailure } from '../report-failure';
import { ServedCertificate } from '../served-certificate';
import { AccessFile } from './access-file';
import { letInOnly } from './client-names';
import { XKS_PROXY_SETTING_TABLE, type XksProxySetting } from './setting-names';
import { TokenKeys } from './token-keys';
import { serveXks, XKS_REFUSALS } from './xks-edge';
import { parseXksProxySettings, type XksProxySettings, type XksTokenSettings } from './xks-proxy-settings';

export interface RunningProxy {
  port: number;
  endpoint: string;
  /** Answers what was begun, takes nothing more, and lets go of the token. */
  stop(): Promise<void>;
}

/** How long an HSM may hang before its process is replaced; a request waits less. */
const HUNG_AFTER_MS = 1_000;
/** How often the HSM is tried, so that load balancers hear of it, and a process of it that ended is there again. */
const TRY_EVERY_MS = 5_000;
const OPEN_PAUSE_MS = 150;

/** Opens the token; throws RootKeyError where it cannot be used as it is set, HsmUnavailableError where it is not there. */
export async function openXksToken({ token }: XksTokenSettings): Promise<TokenClient> {
  const { pinFile, ...place } = token;
  const client = new TokenClient({ ...place, pin: readPin(pinFile) }, { callMs: HUNG_AFTER_MS });
  try {
    for (const deadline = performance.now() + client.limits.openMs; ; ) {
      try {
        await client.info();
        return client;
      } catch (error) {
        if (!(error instanceof HsmUnavailableError) || performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, OPEN_PAUSE_MS));
      }
    }
  } catch (error) {
    await client.close();
    if (error instanceof TokenRefusedError) throw new RootKeyError(`the token ${place.label}: ${error.message}`);
    throw error;
  }
}

/** Starts a proxy; resolves once it serves. */
export async function startXksProxy(settings: XksProxySettings, log: Logger): Promise<RunningProxy> {
  const { host, port, tlsCert, tlsKey, tlsClientCa, tlsClientName, hsmTimeoutMs } = settings;
  if (settings.unknown.length > 0)
    log.warn({ names: settings.unknown }, 'there are no such settings: is one misspelt?');
  const access = new AccessFile(settings.accessFile, log);
  if (access.current.credentials.length === 0) {
    log.warn({ file: settings.accessFile }, 'nobody has a credential yet: ./keytrail xks create-credential makes one');
  }
  const certificate =
    tlsCert !== undefined && tlsKey !== undefined
      ? new ServedCertificate({ cert: tlsCert, key: tlsKey, clientCa: tlsClientCa }, log, 'KEYTRAIL_XKS_TLS')
      : undefined;
  const token = await openXksToken(settings);
  const keys = new TokenKeys(token, settings.healthKey, settings.fleetSize);
  let healthy = true;
  const tryHsm = (): Promise<void> =>
    keys
      .within(HUNG_AFTER_MS)
      .health()
      .then(
        () => {
          if (!healthy) log.info('the HSM works again');
          healthy = true;
        },
        (error: unknown) => {
          if (healthy) log.error({ err: error }, 'the HSM does not work');
          healthy = false;
        },
      );
  const { adapter, admission } = httpServer(certificate, HTTP_LIMITS, XKS_REFUSALS);
  const http = adapter.getInstance();
  let timer: NodeJS.Timeout | undefined;
  const stop = async (): Promise<void> => {
    clearInterval(timer);
    access.stop();
    certificate?.stop();
    await stopHttp(http.server, () => http.close());
    await token.close();
  };
  try {
    await keys.prepare();
    const ports = {
      uriPath: settings.uriPath,
      keys: () => keys.within(hsmTimeoutMs),
      access: () => access.current,
      healthy: () => healthy,
      now: Date.now,
      log,
    };
    serveXks(http, ports, admission);
    if (tlsClientName !== undefined) letInOnly(tlsClientName, http.server);
    await http.listen({ port, host: listenAddress(settings) });
    access.watch();
    certificate?.watch();
    timer = setInterval(() => void tryHsm(), TRY_EVERY_MS).unref();
    const address = http.server.address();
    const served = typeof address === 'object' && address ? address.port : 0;
    return { port: served, endpoint: httpUrl({ host, tlsCert }, served), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const help = (): string => {
  const width = Math.max(...XKS_PROXY_SETTING_TABLE.map(([name]) => name.length));
  const lines = XKS_PROXY_SETTING_TABLE.map(
    ([name, otherwise, meaning]) => `  ${name.padEnd(width)}  ${meaning} (${otherwise})`,
  );
  return `Serves the XKS proxy API v1 of AWS KMS over the keys of a PKCS#11 token. See docs/xks.md.

Settings are environment variables; in brackets what holds without them:
${lines.join('\n')}

Keys and credentials are made with ./keytrail xks (see ./keytrail xks --help).
`;
};

/** The whole of the proxy's main: settings, start, signals; errors that say what to do. */
export async function runXksProxy(args: readonly string[]): Promise<void> {
  if (args.length > 0) {
    const asked = args.length === 1 && ['--help', '-h', 'help'].includes(args[0]!);
    (asked ? process.stdout : process.stderr).write(help());
    process.exit(asked ? 0 : 1);
  }
  try {
    const settings = parseXksProxySettings(process.env);
    const log = pino(
      { level: settings.logLevel, base: { pid: process.pid } },
      pino.destination({ dest: 2, sync: true }),
    );
    let running: RunningProxy | undefined;
    let stopping = false;
    const end = (): void => {
      if (stopping) return;
      stopping = true;
      if (!running) process.exit(0);
      running.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, 'could not stop cleanly');
          process.exit(1);
        },
      );
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
    running = await startXksProxy(settings, log);
    log.info({ port: running.port, endpoint: running.endpoint, uriPath: settings.uriPath }, 'xks-proxy is ready');
  } catch (error) {
    reportFailure('xks-proxy', error, 'KEYTRAIL_XKS_PORT' satisfies XksProxySetting);
    process.exit(1);
  }
}
