import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { awsCli, hasProgram } from './support/aws-cli';
import { tokenProcessesOf } from './support/child-processes';
import { freePort, until } from './support/nats-server';
import { type KeytrailProcess, MAIN, run, startProcess } from './support/processes';
import { type SoftHsm, softHsm, softHsmModule } from './support/softhsm';
import { filesHolding } from './support/stored-material';
import { keytrailXks, startXksProxy, type XksProxyProcess, xksSettings } from './support/xks-proxy';

const modulePath = softHsmModule();
const usable = modulePath !== undefined && hasProgram('aws', '--version') && hasProgram('openssl', 'version');
if (!usable) console.warn('SKIPPED: custom key stores through the AWS CLI, which take aws, openssl and SoftHSM2');
const withAll = usable ? describe : describe.skip;

const PASSWORD = 'kmsuser-password';
const PLAINTEXT = 'what only the HSMs can open';
const CONTEXT = ['--encryption-context', 'tenant=blue'];

/** A server that is stopped, killed and started again on one data folder, and asked through the AWS CLI. */
class Subject {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'keytrail-key-stores-'));
  server!: KeytrailProcess;

  async start(): Promise<void> {
    this.server = await startProcess(this.dataDir, { KEYTRAIL_XKS_STORE_LOOPBACK: 'true', KEYTRAIL_QUOTAS: 'off' });
  }

  async restart(how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.server.signal(how);
    await this.server.gone;
    await this.start();
  }

  async remove(): Promise<void> {
    await this.server?.stop();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  aws<T = Record<string, string>>(...args: string[]): Promise<T> {
    return awsCli<T>(this.dataDir, this.server.endpoint, ...args);
  }

  kms<T = Record<string, string>>(...args: string[]): Promise<T> {
    return this.aws<T>('kms', ...args);
  }

  file(name: string, text: string): string {
    const path = join(this.dataDir, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  async store(storeId: string): Promise<Record<string, string>> {
    const described = await this.kms<{ CustomKeyStores: Record<string, string>[] }>(
      ...['describe-custom-key-stores', '--custom-key-store-id', storeId],
    );
    return described.CustomKeyStores[0]!;
  }

  async reaches(storeId: string, state: string): Promise<void> {
    await until(async () => (await this.store(storeId))['ConnectionState'] === state, `the store is not ${state}`);
  }

  async keyState(keyId: string): Promise<string> {
    const { KeyMetadata } = await this.kms<{ KeyMetadata: Record<string, string> }>(
      ...['describe-key', '--key-id', keyId],
    );
    return KeyMetadata['KeyState']!;
  }

  /** A file of what was encrypted. */
  async encrypt(keyId: string, name: string): Promise<string> {
    const plaintext = this.file('plaintext', PLAINTEXT);
    const { CiphertextBlob } = await this.kms(
      ...['encrypt', '--key-id', keyId, '--plaintext', `fileb://${plaintext}`, ...CONTEXT],
    );
    const path = join(this.dataDir, name);
    writeFileSync(path, Buffer.from(CiphertextBlob!, 'base64'));
    return path;
  }

  async decrypt(path: string): Promise<string> {
    const { Plaintext } = await this.kms('decrypt', '--ciphertext-blob', `fileb://${path}`, ...CONTEXT);
    return Buffer.from(Plaintext!, 'base64').toString();
  }
}

withAll('a custom key store in a cluster of two zones', () => {
  const subject = new Subject();
  let clusterId: string;
  let storeId: string;
  let keyId: string;
  let encrypted: string;
  const encryptedAll: string[] = [];

  interface Hsm {
    HsmId: string;
    State: string;
  }
  const cluster = async () => {
    const { Clusters } = await subject.aws<{
      Clusters: { State: string; Hsms: Hsm[]; Certificates: { ClusterCsr: string } }[];
    }>('cloudhsmv2', 'describe-clusters', '--filters', `clusterIds=${clusterId}`);
    return Clusters[0]!;
  };
  const active = async (count: number): Promise<void> =>
    until(async () => {
      const { Hsms } = await cluster();
      return Hsms.filter(({ State }) => State === 'ACTIVE').length === count;
    }, 'the HSMs are not active');
  const createHsm = (zone: string) =>
    subject.aws('cloudhsmv2', 'create-hsm', '--cluster-id', clusterId, '--availability-zone', zone);
  const at = (name: string): string => join(subject.dataDir, name);
  const createStore = (...more: string[]) =>
    subject.kms(
      ...['create-custom-key-store', '--custom-key-store-name', 'vault', '--cloud-hsm-cluster-id', clusterId],
      ...['--key-store-password', PASSWORD, '--trust-anchor-certificate', `file://${at('ca.crt')}`, ...more],
    );

  beforeAll(() => subject.start());
  afterAll(() => subject.remove());

  it('needs a cluster that its owner has initialised, and two HSMs in it', async () => {
    const created = await subject.aws<{ Cluster: { ClusterId: string } }>(
      ...['cloudhsmv2', 'create-cluster', '--hsm-type', 'hsm1.medium'],
      ...['--subnet-ids', 'subnet-0123abcd', 'subnet-4567abcd'],
    );
    clusterId = created.Cluster.ClusterId;
    await createHsm('us-east-1a');
    await active(1);
    const csr = subject.file('cluster.csr', (await cluster()).Certificates.ClusterCsr);
    const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', at('ca.key')];
    openssl('req', '-x509', ...key, '-days', '3', '-subj', '/CN=owner', '-out', at('ca.crt'));
    const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'];
    openssl('x509', '-req', '-in', csr, ...signer, '-days', '3', '-out', at('signed.crt'));
    await expect(createStore()).rejects.toThrow(/CloudHsmClusterNotActiveException/);
    await subject.aws(
      ...['cloudhsmv2', 'initialize-cluster', '--cluster-id', clusterId],
      ...['--signed-cert', `file://${at('signed.crt')}`, '--trust-anchor', `file://${at('ca.crt')}`],
    );
    const password = subject.file('password', PASSWORD);
    execFileSync(
      process.execPath,
      [MAIN, 'hsm', 'create-user', '--cluster-id', clusterId, '--user', 'kmsuser', '--password-file', password],
      { env: { ...process.env, KEYTRAIL_DATA_DIR: subject.dataDir } },
    );
    await until(async () => (await cluster()).State === 'ACTIVE', 'the cluster is not active');
    await expect(createStore()).rejects.toThrow(/CloudHsmClusterInvalidConfigurationException/);
    await createHsm('us-east-1b');
    await active(2);
  });

  it('is created with the trust anchor of that cluster', async () => {
    const other = ['--trust-anchor-certificate', `file://${at('signed.crt')}`];
    await expect(createStore(...other)).rejects.toThrow(/IncorrectTrustAnchorException/);
    storeId = (await createStore())['CustomKeyStoreId']!;
    expect(await subject.store(storeId)).toMatchObject({
      ...{ CustomKeyStoreName: 'vault', CloudHsmClusterId: clusterId, CustomKeyStoreType: 'AWS_CLOUDHSM' },
      ConnectionState: 'DISCONNECTED',
    });
    await expect(createStore('--custom-key-store-name', 'second')).rejects.toThrow(/CloudHsmClusterInUseException/);
  });

  it('is connected, after a restart, and stays so over a kill -9', async () => {
    await subject.restart('SIGTERM');
    await subject.kms('connect-custom-key-store', '--custom-key-store-id', storeId);
    await subject.reaches(storeId, 'CONNECTED');
    await subject.restart('SIGKILL');
    expect((await subject.store(storeId))['ConnectionState']).toBe('CONNECTED');
    const { Plaintext } = await subject.kms(
      ...['generate-random', '--number-of-bytes', '32', '--custom-key-store-id', storeId],
    );
    expect(Buffer.from(Plaintext!, 'base64')).toHaveLength(32);
  });

  it('has a key that was made in it, and encrypts there', async () => {
    const { KeyMetadata } = await subject.kms<{ KeyMetadata: Record<string, string> }>(
      ...['create-key', '--origin', 'AWS_CLOUDHSM', '--custom-key-store-id', storeId],
    );
    keyId = KeyMetadata['KeyId']!;
    expect(KeyMetadata).toMatchObject({
      ...{ KeyState: 'Enabled', Origin: 'AWS_CLOUDHSM', CustomKeyStoreId: storeId, CloudHsmClusterId: clusterId },
    });
    encrypted = await subject.encrypt(keyId, 'encrypted');
    expect(await subject.decrypt(encrypted)).toBe(PLAINTEXT);
    const made = await subject.kms('generate-data-key', '--key-id', keyId, '--key-spec', 'AES_256', ...CONTEXT);
    writeFileSync(at('data-key'), Buffer.from(made['CiphertextBlob']!, 'base64'));
    const opened = await subject.kms('decrypt', '--ciphertext-blob', `fileb://${at('data-key')}`, ...CONTEXT);
    expect(opened['Plaintext']).toBe(made['Plaintext']);
    await subject.restart('SIGKILL');
    expect(await subject.decrypt(encrypted)).toBe(PLAINTEXT);
  });

  it('loses an HSM by kill -9 and no call by it', async () => {
    const members = tokenProcessesOf(subject.server.pid);
    expect(members).toHaveLength(2);
    for (const [at, { pid }] of members.entries()) {
      process.kill(pid, 'SIGKILL');
      expect(await subject.decrypt(encrypted)).toBe(PLAINTEXT);
      encryptedAll.push(await subject.encrypt(keyId, `while-${at}-was-gone`));
      await until(() => tokenProcessesOf(subject.server.pid).length === 2, 'the member has not come back');
    }
    for (const one of encryptedAll) expect(await subject.decrypt(one)).toBe(PLAINTEXT);
  });

  it('loses an HSM with its folder and no call by it, and after that its other one', async () => {
    const folder = join(subject.dataDir, 'cloudhsm', clusterId);
    const hsms = (await cluster()).Hsms;
    const tokens = (hsmId: string) => {
      try {
        return readdirSync(join(folder, hsmId, 'tokens')).length;
      } catch {
        return 0;
      }
    };
    const bothInUse = async () =>
      (await run([MAIN, 'status'], { KEYTRAIL_DATA_DIR: subject.dataDir }).done).output.split(': ACTIVE; in use')
        .length === 3;
    for (const { HsmId } of hsms) {
      // Only one at a time is lost: without the other there is nothing to make it anew from.
      await until(bothInUse, 'not both HSMs are in use');
      rmSync(join(folder, HsmId), { recursive: true, force: true });
      encryptedAll.push(await subject.encrypt(keyId, `without-${HsmId}`));
      for (const one of [encrypted, ...encryptedAll]) expect(await subject.decrypt(one)).toBe(PLAINTEXT);
      await until(() => tokens(HsmId) > 0, 'the folder of the member has not been made anew');
      await subject.restart(HsmId === hsms[0]!.HsmId ? 'SIGKILL' : 'SIGTERM');
    }
    for (const one of [encrypted, ...encryptedAll]) expect(await subject.decrypt(one)).toBe(PLAINTEXT);
  });

  it('is disconnected, and its key Unavailable, until it is connected again', async () => {
    await subject.kms('disconnect-custom-key-store', '--custom-key-store-id', storeId);
    await expect(subject.decrypt(encrypted)).rejects.toThrow(/KMSInvalidStateException.* is unavailable/);
    await subject.reaches(storeId, 'DISCONNECTED');
    expect(await subject.keyState(keyId)).toBe('Unavailable');
    expect(tokenProcessesOf(subject.server.pid)).toHaveLength(0);
    await subject.restart('SIGKILL');
    expect(await subject.keyState(keyId)).toBe('Unavailable');
    const removal = subject.kms('delete-custom-key-store', '--custom-key-store-id', storeId);
    await expect(removal).rejects.toThrow(/CustomKeyStoreHasCMKsException/);
    await subject.kms('connect-custom-key-store', '--custom-key-store-id', storeId);
    await subject.reaches(storeId, 'CONNECTED');
    expect(await subject.keyState(keyId)).toBe('Enabled');
    expect(await subject.decrypt(encrypted)).toBe(PLAINTEXT);
  });

  it('says what is wrong with a password, and takes the right one', async () => {
    const named = ['--custom-key-store-id', storeId];
    const update = (password: string) =>
      subject.kms('update-custom-key-store', ...named, '--key-store-password', password);
    await expect(update('another-password')).rejects.toThrow(/CustomKeyStoreInvalidStateException/);
    await subject.kms('disconnect-custom-key-store', ...named);
    await subject.reaches(storeId, 'DISCONNECTED');
    await update('another-password');
    await subject.kms('connect-custom-key-store', ...named);
    await subject.reaches(storeId, 'FAILED');
    expect((await subject.store(storeId))['ConnectionErrorCode']).toBe('INVALID_CREDENTIALS');
    await subject.restart('SIGKILL');
    await expect(subject.kms('connect-custom-key-store', ...named)).rejects.toThrow(
      /CustomKeyStoreInvalidStateException/,
    );
    await subject.kms('disconnect-custom-key-store', ...named);
    await subject.reaches(storeId, 'DISCONNECTED');
    await update(PASSWORD);
    await subject.kms('connect-custom-key-store', ...named);
    await subject.reaches(storeId, 'CONNECTED');
    expect(await subject.decrypt(encrypted)).toBe(PLAINTEXT);
  });

  it('leaves neither password nor plaintext in anything that was stored or logged', () => {
    rmSync(at('password'));
    rmSync(at('plaintext'));
    for (const secret of [PASSWORD, PLAINTEXT]) {
      expect(filesHolding(subject.dataDir, Buffer.from(secret))).toEqual([]);
      expect(subject.server.log()).not.toContain(secret);
    }
  });
});

withAll('a custom key store behind an XKS proxy', () => {
  const subject = new Subject();
  let hsm: SoftHsm;
  let settings: Record<string, string>;
  let proxy: XksProxyProcess;
  let storeId: string;
  let keyId: string;
  let encrypted: string;

  beforeAll(async () => {
    hsm = softHsm(modulePath!);
    settings = xksSettings(hsm, { KEYTRAIL_XKS_PORT: String(await freePort()) });
    for (const id of ['outer', 'second']) await keytrailXks(settings, 'create-key', '--id', id);
    proxy = await startXksProxy(settings);
    await subject.start();
  });
  afterAll(async () => {
    await subject.remove();
    await proxy?.stop();
    hsm?.remove();
  });

  const credential = async (): Promise<string> => {
    const told = JSON.parse(await keytrailXks(settings, 'create-credential')) as Record<string, object>;
    proxy.signal('SIGHUP');
    return JSON.stringify(told['XksProxyAuthenticationCredential']);
  };
  // What begins with http:// in an argument, the CLI fetches.
  const create = (given: string) => {
    const request = {
      ...{ CustomKeyStoreName: 'outside', CustomKeyStoreType: 'EXTERNAL_KEY_STORE' },
      ...{ XksProxyConnectivity: 'PUBLIC_ENDPOINT', XksProxyUriPath: '/kms/xks/v1' },
      XksProxyUriEndpoint: new URL(proxy.endpoint).origin,
      XksProxyAuthenticationCredential: JSON.parse(given) as object,
    };
    const path = subject.file('store.json', JSON.stringify(request));
    return subject.kms('create-custom-key-store', '--cli-input-json', `file://${path}`).finally(() => rmSync(path));
  };
  /** Whatever a machine that is busy makes of 250 ms. */
  const eventually = async <T>(attempt: () => Promise<T>): Promise<T> => {
    let result: T | undefined;
    let last: unknown;
    await until(async () => {
      try {
        result = await attempt();
        return true;
      } catch (error) {
        last = error;
        return false;
      }
    }, 'it does not come about').catch((error: unknown) => {
      throw new Error(`${(error as Error).message}: ${String(last)}`);
    });
    return result as T;
  };

  const refused = (attempt: () => Promise<unknown>, why: RegExp): Promise<void> =>
    until(
      () =>
        attempt().then(
          () => false,
          (error: Error) => why.test(error.message),
        ),
      `it is not refused with ${why}`,
    );

  it('is created once the proxy takes the credential', async () => {
    const wrong = JSON.stringify({ AccessKeyId: 'ABCDEFGHIJKLMNOPQRST', RawSecretAccessKey: 's'.repeat(43) });
    await refused(() => create(wrong), /XksProxyIncorrectAuthenticationCredentialException/);
    const given = await credential();
    storeId = (await eventually(() => create(given)))['CustomKeyStoreId']!;
    await subject.restart('SIGKILL');
    await subject.kms('connect-custom-key-store', '--custom-key-store-id', storeId);
    await subject.reaches(storeId, 'CONNECTED');
  });

  it('has a key that is encrypted under twice', async () => {
    const createKey = (id: string) =>
      subject.kms<{ KeyMetadata: Record<string, string> }>(
        ...['create-key', '--origin', 'EXTERNAL_KEY_STORE', '--custom-key-store-id', storeId, '--xks-key-id', id],
      );
    await refused(() => createKey('nothing'), /XksKeyNotFoundException/);
    const { KeyMetadata } = await eventually(() => createKey('outer'));
    keyId = KeyMetadata['KeyId']!;
    expect(KeyMetadata).toMatchObject({ Origin: 'EXTERNAL_KEY_STORE', XksKeyConfiguration: { Id: 'outer' } });
    await expect(createKey('outer')).rejects.toThrow(/XksKeyAlreadyInUseException/);
    encrypted = await eventually(() => subject.encrypt(keyId, 'encrypted'));
    expect(await eventually(() => subject.decrypt(encrypted))).toBe(PLAINTEXT);
    expect(proxy.log()).not.toContain(PLAINTEXT);
    expect(proxy.log()).toMatch(/"kmsOperation":"Decrypt"|Decrypt/);
  });

  it('goes on after the server, and the proxy, were killed', async () => {
    await subject.restart('SIGKILL');
    expect(await eventually(() => subject.decrypt(encrypted))).toBe(PLAINTEXT);
    proxy.signal('SIGKILL');
    await proxy.exitCode;
    await expect(subject.decrypt(encrypted)).rejects.toThrow(/KMSInvalidStateException/);
    expect((await subject.store(storeId))['ConnectionState']).toBe('CONNECTED');
    const shown = await (await fetch(`${subject.server.endpoint}/metrics`)).text();
    expect(shown).toContain(`keytrail_custom_key_store_up{store="${storeId}"}`);
    expect(shown).toContain('keytrail_custom_key_stores{type="EXTERNAL_KEY_STORE",state="CONNECTED"} 1');
    proxy = await startXksProxy(settings);
    expect(await eventually(() => subject.decrypt(encrypted))).toBe(PLAINTEXT);
  });

  it('takes a new credential while it is connected', async () => {
    const given = await credential();
    await eventually(() =>
      subject.kms(
        ...['update-custom-key-store', '--custom-key-store-id', storeId],
        ...['--xks-proxy-authentication-credential', given],
      ),
    );
    expect(await eventually(() => subject.decrypt(encrypted))).toBe(PLAINTEXT);
    const { XksProxyConfiguration } = (await subject.store(storeId)) as unknown as {
      XksProxyConfiguration: { AccessKeyId: string };
    };
    expect(given).toContain(XksProxyConfiguration.AccessKeyId);
  });

  it('has its secret, and KMS’s part of its key, under the next root key once that is rotated', async () => {
    const rotated = await run([MAIN, 'root', 'rotate'], { KEYTRAIL_DATA_DIR: subject.dataDir }).done;
    expect(rotated).toMatchObject({ code: 0 });
    await subject.restart('SIGKILL');
    expect(await eventually(() => subject.decrypt(encrypted))).toBe(PLAINTEXT);
  });

  it('is disconnected, and its key Unavailable, until it is connected again', async () => {
    await subject.kms('disconnect-custom-key-store', '--custom-key-store-id', storeId);
    await subject.reaches(storeId, 'DISCONNECTED');
    expect(await subject.keyState(keyId)).toBe('Unavailable');
    await expect(subject.decrypt(encrypted)).rejects.toThrow(/KMSInvalidStateException.* is unavailable/);
    await subject.restart('SIGTERM');
    await subject.kms('connect-custom-key-store', '--custom-key-store-id', storeId);
    await subject.reaches(storeId, 'CONNECTED');
    expect(await eventually(() => subject.decrypt(encrypted))).toBe(PLAINTEXT);
  });

  it('leaves no secret access key in anything that was stored or logged', () => {
    const access = readFileSync(join(hsm.folder, 'access.json'), 'utf8');
    const secrets = [...access.matchAll(/"secretAccessKey":\s*"([^"]+)"/g)].map(([, secret]) => secret!);
    expect(secrets).toHaveLength(2);
    for (const secret of secrets) {
      expect(filesHolding(subject.dataDir, Buffer.from(secret))).toEqual([]);
      expect(subject.server.log()).not.toContain(secret);
    }
  });
});
