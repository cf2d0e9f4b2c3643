import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  type ClusterConnection,
  ConnectError,
  StoreError,
  type StoreFailure,
  type XksConnection,
} from '#hsm/key-store/store-connection';
import type { ClusterDirectory, ClusterFacts } from '#operations/custom-key-stores/key-store-ports';
import type { ClusterTarget, ExternalTarget, StoreConnectors } from '#platform/key-stores/store-connectors';
import { testCertificate } from './trust-anchors';

function seal(key: Buffer, plaintext: Uint8Array, aad: Uint8Array): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
  return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function unseal(key: Buffer, sealed: Uint8Array, aad: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(aad);
    decipher.setAuthTag(sealed.subarray(-16));
    return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
  } catch (cause) {
    throw new StoreError('invalid-ciphertext', 'the tag does not fit', { cause });
  }
}

/** What stands behind a store, and what a test does to it. */
abstract class FakeBacking {
  readonly keys = new Map<string, Buffer>();
  /** What every call fails with. */
  failure: StoreFailure | undefined;
  /** What connecting fails with: AWS's code. */
  refuses: string | undefined;
  /** Calls wait for it. */
  held: Promise<void> | undefined;
  /** So does connecting. */
  connecting: Promise<void> | undefined;
  /** How often it was connected, and how many of those connections are open. */
  connected = 0;
  open = 0;
  calls = 0;

  private readonly told: (() => void)[] = [];

  /** Resolves at the next call. */
  nextCall(): Promise<void> {
    return new Promise((resolve) => this.told.push(resolve));
  }

  async key(name: string): Promise<Buffer> {
    await this.called();
    const key = this.keys.get(name);
    if (!key) throw new StoreError('key-not-found', `no key ${name}`);
    return key;
  }

  async called(): Promise<void> {
    this.calls++;
    for (const told of this.told.splice(0)) told();
    await this.held;
    if (this.failure) throw new StoreError(this.failure, `a test has it fail: ${this.failure}`);
  }

  async connect(): Promise<void> {
    await this.connecting;
    if (this.refuses) throw new ConnectError(this.refuses, 'a test has it refuse');
    this.connected++;
    this.open++;
  }

  protected crypto() {
    return {
      encrypt: async (key: string, plaintext: Uint8Array, aad: Uint8Array) => seal(await this.key(key), plaintext, aad),
      decrypt: async (key: string, sealed: Uint8Array, aad: Uint8Array) => unseal(await this.key(key), sealed, aad),
      close: async () => {
        this.open--;
      },
    };
  }
}

export class FakeCluster extends FakeBacking {
  facts: ClusterFacts;
  password = 'kmsuser-password';

  constructor(certificate: string) {
    super();
    this.facts = { state: 'ACTIVE', activeZones: ['us-east-1a', 'us-east-1b'], trustAnchor: certificate };
  }

  connection(): ClusterConnection {
    return {
      ...this.crypto(),
      makeKey: async (name) => {
        await this.called();
        if (new Set(this.facts.activeZones).size < 2) throw new StoreError('insufficient-hsms', 'one HSM');
        if (!this.keys.has(name)) this.keys.set(name, randomBytes(32));
        return Buffer.from(`masked ${name}`);
      },
      destroyKey: async (name) => {
        await this.called();
        this.keys.delete(name);
      },
      random: async (length) => {
        await this.called();
        return randomBytes(length);
      },
    };
  }
}

export class FakeProxy extends FakeBacking {
  secretAccessKey = 's'.repeat(43);
  readonly metadata = new Map<string, { keySpec: string; keyUsage: string[]; keyStatus: string }>();

  addKey(name: string, metadata = {}): void {
    this.keys.set(name, randomBytes(32));
    this.metadata.set(name, {
      keySpec: 'AES_256',
      keyUsage: ['ENCRYPT', 'DECRYPT'],
      keyStatus: 'ENABLED',
      ...metadata,
    });
  }

  connection(): XksConnection {
    return {
      ...this.crypto(),
      keyMetadata: async (name) => {
        await this.key(name);
        return this.metadata.get(name)!;
      },
    };
  }
}

export const CLUSTER_ID = 'cluster-abcdefghijk';
export const PROXY = 'https://proxy.example.com/kms/xks/v1';

/** Clusters and proxies in memory, by cluster id and by address. */
export class FakeKeyStores implements StoreConnectors {
  readonly clusters = new Map<string, FakeCluster>();
  readonly proxies = new Map<string, FakeProxy>();
  readonly certificate = testCertificate(1);

  constructor() {
    this.clusters.set(CLUSTER_ID, new FakeCluster(this.certificate));
    this.proxies.set(PROXY, new FakeProxy());
    this.ofProxy.addKey('outer-key');
  }

  get ofCluster(): FakeCluster {
    return this.clusters.get(CLUSTER_ID)!;
  }

  get ofProxy(): FakeProxy {
    return this.proxies.get(PROXY)!;
  }

  readonly directory: ClusterDirectory = { cluster: (_region, _account, id) => this.clusters.get(id)?.facts };

  async cluster({ clusterId, password }: ClusterTarget): Promise<ClusterConnection> {
    const cluster = this.clusters.get(clusterId);
    if (!cluster) throw new ConnectError('CLUSTER_NOT_FOUND', 'no such cluster');
    if (cluster.password !== password) throw new ConnectError('INVALID_CREDENTIALS', 'not the password of kmsuser');
    await cluster.connect();
    return cluster.connection();
  }

  /** Of the steps of every operation: it answers to anybody. */
  private proxyOf({ backing, secretAccessKey }: ExternalTarget): FakeProxy | undefined {
    if (backing.uriEndpoint === 'https://every.example.com') {
      return Object.assign(new FakeProxy(), { secretAccessKey });
    }
    return this.proxies.get(`${backing.uriEndpoint}${backing.uriPath}`);
  }

  async external(target: ExternalTarget): Promise<XksConnection> {
    const { secretAccessKey } = target;
    const proxy = this.proxyOf(target);
    if (!proxy) throw new ConnectError('XKS_PROXY_NOT_REACHABLE', 'no such proxy');
    if (proxy.secretAccessKey !== secretAccessKey) throw new ConnectError('INVALID_CREDENTIALS', 'not its secret');
    await proxy.connect();
    return proxy.connection();
  }

  async probe(target: ExternalTarget): Promise<void> {
    const { secretAccessKey } = target;
    const proxy = this.proxyOf(target);
    if (!proxy) throw new StoreError('unreachable', 'no such proxy');
    await proxy.called();
    if (proxy.secretAccessKey !== secretAccessKey) throw new StoreError('authentication', 'not its secret');
  }
}
