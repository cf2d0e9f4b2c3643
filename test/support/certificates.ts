import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The version of openssl on PATH; says loudly that tests skip where there is none. */
export function findOpenssl(): string | undefined {
  try {
    return execFileSync('openssl', ['version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    console.warn('SKIPPED: tests of TLS, since there is no openssl on PATH');
    return undefined;
  }
}

export interface Certificate {
  /** Paths of PEM files; the chain ends with the authority. */
  cert: string;
  key: string;
}

/** An authority of the test's own. */
export class TestAuthority {
  readonly ca: string;
  private readonly caKey: string;

  constructor(
    private readonly folder: string,
    name = 'test authority',
  ) {
    mkdirSync(folder, { recursive: true });
    this.ca = join(folder, 'ca.pem');
    this.caKey = join(folder, 'ca-key.pem');
    const self = ['-x509', '-days', '1', '-subj', `/CN=${name}`, '-out', this.ca];
    openssl('req', '-newkey', 'ec', ...CURVE, '-nodes', '-keyout', this.caKey, ...self);
  }

  /** A certificate for 127.0.0.1 and localhost, with `name` as its subject. */
  issue(name: string): Certificate {
    const file = (suffix: string): string => join(this.folder, `${name}${suffix}`);
    const [cert, key, extensions] = [file('.pem'), file('-key.pem'), file('.ext')];
    writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
    openssl('req', '-newkey', 'ec', ...CURVE, '-nodes', '-keyout', key, '-subj', `/CN=${name}`, '-out', file('.csr'));
    const by = ['-CA', this.ca, '-CAkey', this.caKey, '-CAcreateserial', '-days', '1'];
    openssl('x509', '-req', '-in', file('.csr'), ...by, '-extfile', extensions, '-out', cert);
    writeFileSync(cert, openssl('x509', '-in', cert) + openssl('x509', '-in', this.ca));
    return { cert, key };
  }
}

const CURVE = ['-pkeyopt', 'ec_paramgen_curve:P-256'];

const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
