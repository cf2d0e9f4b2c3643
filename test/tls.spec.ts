import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { CreateKeyCommand, DecryptCommand, EncryptCommand, ListKeysCommand } from '@aws-sdk/client-kms';
import { connect } from 'nats';
import { EVENTS_STREAM } from '#domain/subjects';
import { auditRecords, connectAsUser } from './support/audit-records';
import { type Certificate, findOpenssl, TestAuthority } from './support/certificates';
import { startNatsCluster } from './support/nats-cluster';
import { freePort, startNats, until } from './support/nats-server';
import { type KeytrailProcess, kmsClient, MAIN, run, startApp, startProcess } from './support/processes';
import { expectPublishedForm } from './support/record-schema';

const suite = findOpenssl() === undefined ? describe.skip : describe;

suite('TLS', () => {
  let work: string;
  let authority: TestAuthority;

  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), 'keytrail-tls-'));
    authority = new TestAuthority(join(work, 'authority'));
  });

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  describe('of the HTTP port', () => {
    let dataDir: string;
    let cert: string;
    let key: string;
    let server: KeytrailProcess;
    const sockets: TLSSocket[] = [];

    /** Key first, as whoever renews may do: in between, the two do not belong together. */
    const install = (certificate: Certificate): void => {
      copyFileSync(certificate.key, key);
      copyFileSync(certificate.cert, cert);
    };

    /** A connection that is through its handshake. */
    const dial = (options: { cert?: Buffer; key?: Buffer; maxVersion?: 'TLSv1.1' | 'TLSv1.2' } = {}) =>
      new Promise<TLSSocket>((resolve, reject) => {
        const port = Number(new URL(server.endpoint).port);
        const minVersion = options.maxVersion ?? 'TLSv1.2';
        const ciphers = 'DEFAULT@SECLEVEL=0';
        const socket = connectTls(
          { host: '127.0.0.1', port, ca: readFileSync(authority.ca), minVersion, ciphers, ...options },
          () => resolve(socket),
        );
        sockets.push(socket);
        socket.on('error', reject);
      });

    const subjectOf = (socket: TLSSocket): string => String(socket.getPeerCertificate().subject.CN);
    const subjectNow = async (): Promise<string> => {
      const socket = await dial();
      const subject = subjectOf(socket);
      socket.destroy();
      return subject;
    };

    /** The status line and headers of the reply to a request on this very connection. */
    const ask = (socket: TLSSocket): Promise<string> =>
      new Promise((resolve, reject) => {
        let heard = '';
        const listen = (chunk: Buffer): void => {
          heard += chunk.toString('latin1');
          if (!heard.includes('"status"')) return;
          socket.off('data', listen);
          resolve(heard);
        };
        socket.on('data', listen);
        socket.once('close', () => reject(new Error('closed')));
        socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
      });

    beforeAll(async () => {
      dataDir = join(work, 'data');
      mkdirSync(join(work, 'served'));
      [cert, key] = [join(work, 'served/cert.pem'), join(work, 'served/key.pem')];
      install(authority.issue('first'));
      server = await startProcess(dataDir, { KEYTRAIL_TLS_CERT: cert, KEYTRAIL_TLS_KEY: key });
    });

    afterAll(async () => {
      for (const socket of sockets) socket.destroy();
      await server?.stop();
    });

    it('serves the SDK', async () => {
      const { KeyMetadata } = await server.kms.send(new CreateKeyCommand({}));
      const Plaintext = Buffer.from('over TLS');
      const { CiphertextBlob } = await server.kms.send(new EncryptCommand({ KeyId: KeyMetadata!.KeyId, Plaintext }));
      const opened = await server.kms.send(new DecryptCommand({ CiphertextBlob }));
      expect(Buffer.from(opened.Plaintext!)).toEqual(Plaintext);
    });

    it('has on record by which TLS a client came, and which host it asked for', async () => {
      const { $metadata } = await server.kms.send(new ListKeysCommand({}));
      const reader = await connectAsUser(dataDir, 'audit-projector');
      const record = (await auditRecords(reader)).find(({ requestID }) => requestID === $metadata.requestId)!;
      await reader.close();
      expectPublishedForm(record);
      expect(record.tlsDetails).toMatchObject({
        tlsVersion: 'TLSv1.3',
        clientProvidedHostHeader: new URL(server.endpoint).host,
      });
    });

    it('is named in the configuration for the AWS CLI, with the authority to trust', () => {
      const config = readFileSync(join(dataDir, 'aws/config'), 'utf8');
      expect(config).toContain('endpoint_url = https://127.0.0.1:');
      expect(config).toContain(`ca_bundle = ${cert}\n`);
    });

    it('refuses TLS 1.1, and plain HTTP', async () => {
      await expect(dial({ maxVersion: 'TLSv1.1' })).rejects.toThrow(/protocol version|unsupported protocol/);
      expect((await dial({ maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2');
      await expect(fetch(`${server.endpoint.replace('https:', 'http:')}/healthz`)).rejects.toThrow('fetch failed');
    });

    it('shows a renewed certificate to new connections, while an old one goes on', async () => {
      const old = await dial();
      expect(subjectOf(old)).toBe('first');
      install(authority.issue('second'));
      server.signal('SIGHUP');
      await until(async () => (await subjectNow()) === 'second', 'no new certificate after SIGHUP');
      expect(await ask(old)).toMatch(/^HTTP\/1\.1 200 /);
      expect(subjectOf(old)).toBe('first');
    });

    it('notices a renewed certificate by itself', async () => {
      install(authority.issue('third'));
      await until(async () => (await subjectNow()) === 'third', 'no new certificate by itself');
    });

    it('keeps the one it has when the new one cannot be used, and says so', async () => {
      const { cert: other } = authority.issue('of-another-key');
      copyFileSync(other, cert);
      server.signal('SIGHUP');
      await until(
        () => server.log().includes('the new certificate cannot be used; the one before stays'),
        'nothing was logged',
      );
      expect(await subjectNow()).toBe('third');
      expect(server.log()).toContain('key values mismatch');
      expect(server.log()).not.toContain('PRIVATE KEY');
      rmSync(key);
      server.signal('SIGHUP');
      await until(() => server.log().includes('cannot be read (ENOENT)'), 'nothing was logged');
      expect(await subjectNow()).toBe('third');
      install(authority.issue('fourth'));
      server.signal('SIGHUP');
      await until(async () => (await subjectNow()) === 'fourth', 'no new certificate after a bad one');
    });
  });

  it('asks clients for a certificate of the authority that is set, and probes for none', async () => {
    const own = authority.issue('server');
    const client = new TestAuthority(join(work, 'clients'), 'clients');
    const [friend, stranger] = [client.issue('friend'), authority.issue('stranger')];
    const health = await freePort();
    const dataDir = join(work, 'mutual');
    const server = await startProcess(dataDir, {
      KEYTRAIL_TLS_CERT: own.cert,
      KEYTRAIL_TLS_KEY: own.key,
      KEYTRAIL_TLS_CLIENT_CA: client.ca,
      KEYTRAIL_HEALTH_PORT: String(health),
    });
    try {
      const as = (certificate?: Certificate) =>
        kmsClient(server.endpoint, dataDir, {
          ca: readFileSync(authority.ca),
          ...(certificate && { cert: readFileSync(certificate.cert), key: readFileSync(certificate.key) }),
        }).send(new ListKeysCommand({}));
      expect((await as(friend)).Keys).toEqual([]);
      await expect(as()).rejects.toThrow(/certificate required|ECONNRESET|socket hang up/);
      await expect(as(stranger)).rejects.toThrow(/unknown ca|ECONNRESET|socket hang up|decrypt error/);
      expect((await fetch(`http://127.0.0.1:${health}/healthz`)).status).toBe(200);
    } finally {
      await server.stop();
    }
  });

  it('does not start with a certificate that cannot be used', async () => {
    const { code, output } = await run([MAIN, 'start'], {
      KEYTRAIL_DATA_DIR: join(work, 'never'),
      KEYTRAIL_PORT: '0',
      KEYTRAIL_TLS_CERT: authority.issue('one').cert,
      KEYTRAIL_TLS_KEY: authority.issue('other').key,
    }).done;
    expect(code).toBe(1);
    expect(output).toMatch(/^keytrail: KEYTRAIL_TLS_CERT=.* cannot be used: key values mismatch\n$/);
    expect(existsSync(join(work, 'never'))).toBe(false);
  });

  it('to NATS lets a service in that trusts the authority of the nodes, and nobody in without TLS', async () => {
    const node = authority.issue('node');
    const files = `cert_file: "${node.cert}", key_file: "${node.key}"`;
    const cluster = await startNatsCluster(3, { config: `tls { ${files} }` });
    const url = cluster.urls.join(',');
    try {
      const service = await startApp('key-manager', url, { KEYTRAIL_NATS_CA: authority.ca, KEYTRAIL_REPLICAS: '3' });
      try {
        const nats = await connect({ servers: cluster.urls, tls: { caFile: authority.ca } });
        const { config } = await (await nats.jetstreamManager()).streams.info(EVENTS_STREAM);
        await nats.close();
        expect(config.num_replicas).toBe(3);
      } finally {
        await service.stop();
      }
      await expect(connect({ servers: cluster.urls, tls: null })).rejects.toThrow();
    } finally {
      await cluster.stop();
    }
  });

  it('to NATS that a node does not prove itself by is not spoken over, and the service says why it waits', async () => {
    const node = authority.issue('untrusted-node');
    const others = new TestAuthority(join(work, 'others'), 'others');
    const secured = await startNats({ config: `tls { cert_file: "${node.cert}", key_file: "${node.key}" }` });
    const plain = await startNats();
    try {
      for (const [{ url }, reason] of [
        [secured, /certificate/],
        [plain, /tls/i],
      ] as const) {
        const waiting = run([MAIN.replace('/keytrail/', '/key-manager/')], {
          KEYTRAIL_NATS_URL: url,
          KEYTRAIL_NATS_CA: others.ca,
          KEYTRAIL_LOG_LEVEL: 'info',
        });
        await until(() => /cannot connect to NATS; trying again/.test(waiting.output()), 'nothing was said');
        waiting.kill();
        expect((await waiting.done).output).toMatch(reason);
      }
    } finally {
      await secured.stop();
      await plain.stop();
    }
  });
});
