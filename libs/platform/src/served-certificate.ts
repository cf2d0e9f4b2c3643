import { X509Certificate } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import { type Settings, SettingsError } from './settings';

interface Loaded {
  cert: Buffer;
  key: Buffer;
  ca: Buffer | undefined;
}

const LOOK_AGAIN_MS = 2_000;

/**
 * The certificate that HTTPS is served with. It is read again when one of its files changes, and on SIGHUP: connections
 * that stand go on, new ones see the new certificate. What cannot be used is logged, and the one before stays.
 */
export class ServedCertificate {
  private loaded: Loaded;
  private readonly servers: Server[] = [];
  private readonly look = () => this.reload();

  /** Throws SettingsError if the files cannot be read, or do not belong together. */
  constructor(
    private readonly files: { cert: string; key: string; clientCa: string | undefined },
    private readonly log: Logger,
    /** What the settings' names begin with. */
    private readonly prefix = 'KEYTRAIL_TLS',
  ) {
    this.loaded = this.read();
  }

  /** The settings' certificate; undefined where plain HTTP is served. */
  static of({ tlsCert, tlsKey, tlsClientCa }: Settings, log: Logger): ServedCertificate | undefined {
    if (tlsCert === undefined || tlsKey === undefined) return undefined;
    return new ServedCertificate({ cert: tlsCert, key: tlsKey, clientCa: tlsClientCa }, log);
  }

  /** For https.createServer. */
  get options() {
    const { clientCa } = this.files;
    return { ...secured(this.loaded), requestCert: clientCa !== undefined, rejectUnauthorized: true };
  }

  /** When the served certificate ends, in seconds since the epoch. */
  get notAfter(): number {
    return Date.parse(new X509Certificate(this.loaded.cert).validTo) / 1000;
  }

  serveOn(server: Server): void {
    this.servers.push(server);
  }

  watch(): void {
    // Polled: inotify sees neither network file systems nor a file that was mounted alone and then replaced.
    for (const path of this.paths) watchFile(path, { persistent: false, interval: LOOK_AGAIN_MS }, this.look);
    process.on('SIGHUP', this.look);
  }

  stop(): void {
    for (const path of this.paths) unwatchFile(path, this.look);
    process.off('SIGHUP', this.look);
  }

  private get paths(): string[] {
    const { cert, key, clientCa } = this.files;
    return clientCa === undefined ? [cert, key] : [cert, key, clientCa];
  }

  private reload(): void {
    try {
      const found = this.read();
      if (same(found, this.loaded)) return;
      this.loaded = found;
      for (const server of this.servers) server.setSecureContext(secured(found));
      this.log.info({ certificate: this.files.cert, notAfter: this.notAfter }, 'serving a new certificate');
    } catch (error) {
      this.log.error({ err: error }, 'the new certificate cannot be used; the one before stays');
    }
  }

  private read(): Loaded {
    const { prefix } = this;
    const { cert, key, clientCa } = this.files;
    const loaded = {
      cert: pem(`${prefix}_CERT`, cert),
      key: pem(`${prefix}_KEY`, key),
      ca: clientCa === undefined ? undefined : pem(`${prefix}_CLIENT_CA`, clientCa),
    };
    try {
      createSecureContext(secured(loaded));
      // OpenSSL takes an authority that cannot be parsed for none, and then nobody would get in.
      if (loaded.ca !== undefined) new X509Certificate(loaded.ca);
    } catch (error) {
      const { reason = 'not in PEM form' } = error as { reason?: string };
      throw new SettingsError(`${prefix}_CERT=${cert} and ${prefix}_KEY=${key} cannot be used: ${reason}`);
    }
    return loaded;
  }
}

const secured = ({ cert, key, ca }: Loaded) => ({
  cert,
  key,
  ...(ca !== undefined && { ca }),
  minVersion: 'TLSv1.2' as const,
});

const same = (a: Loaded, b: Loaded): boolean =>
  a.cert.equals(b.cert) && a.key.equals(b.key) && Buffer.compare(a.ca ?? EMPTY, b.ca ?? EMPTY) === 0;

const EMPTY = Buffer.alloc(0);

/** The file of a setting; throws SettingsError naming the setting if it cannot be read. */
export function pem(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new SettingsError(`${setting}=${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Whether the chain in the file ends in an authority that vouches for itself: then a client that trusts the file trusts
 * the server. Otherwise the client must know the authority already, and trusting the file only would not do.
 */
export function endsInItsOwnAuthority(chain: string): boolean {
  const last = chain.match(CERTIFICATE)?.at(-1);
  if (last === undefined) return false;
  const certificate = new X509Certificate(last);
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}
