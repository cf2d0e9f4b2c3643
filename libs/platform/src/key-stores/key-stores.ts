import { randomBytes, randomUUID } from 'node:crypto';
import { keyArn } from '#domain/arn';
import type { StoreReport } from '#domain/custom-key-store/decide';
import type { ExternalBacking } from '#domain/custom-key-store/events';
import { secretOwner, secretPlace } from '#domain/custom-key-store/secret-place';
import type { ExistingStore } from '#domain/custom-key-store/state';
import { isoDate } from '#domain/dates';
import { placeOfClusterCopy } from '#domain/key/material-id';
import { isLiving } from '#domain/key/state';
import { eventSubject } from '#domain/subjects';
import type { MaskedKey } from '#hsm/cluster/masked-keys';
import type { ClusterConnection, StoreConnection, XksConnection } from '#hsm/key-store/store-connection';
import type { MaterialVault } from '#hsm/material-vault';
import { missing } from '#hsm/sealed-materials';
import type { KeyStorePorts, StoreRef } from '#operations/custom-key-stores/key-store-ports';
import type { Call, WorkerCommand } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import type { Clock } from '../clock';
import type { WorkerCommands } from '../worker-commands';
import type { StoreConnectors } from './store-connectors';
import { StoreLink } from './store-link';

export interface KeyStoresPorts {
  view: LiveView;
  vault: Pick<MaterialVault, 'storeSealed' | 'openSealed' | 'destroy'>;
  commands: WorkerCommands;
  connectors: StoreConnectors;
  clock: Clock;
  onError(error: unknown, what: string): void;
  /** A store has been connected. */
  onConnected?(store: StoreRef): void;
}

const UNIQUE_BYTES = 16;
/** How long a call waits for a store that the log says is connected, and this process is not yet. */
const PATIENCE_MS = 2_000;

/** A crypto-worker's custom key stores: their secrets, and its connections to those that are connected. */
export class KeyStores implements KeyStorePorts {
  private readonly links = new Map<string, StoreLink>();
  private stopped = false;

  constructor(private readonly ports: KeyStoresPorts) {}

  /** Connects what the log says is connected, and follows it from then on. */
  start(): void {
    const { view } = this.ports;
    view.onCommit(({ aggregate, region, account, id }) => {
      if (aggregate === 'customKeyStore') this.note({ region, account, aggregate, id });
    });
    for (const { ref } of view.projection.all('customKeyStore')) this.note(ref);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all([...this.links.values()].map((link) => link.stop()));
  }

  /** Whether this process is connected to the store. */
  isConnected(storeId: string): boolean {
    for (const [subject, link] of this.links) if (subject.endsWith(`.${storeId}`)) return link.isOpen;
    return false;
  }

  async cluster(store: StoreRef): Promise<ClusterConnection> {
    return (await this.connection(store)) as ClusterConnection;
  }

  async external(store: StoreRef): Promise<XksConnection> {
    return (await this.connection(store)) as XksConnection;
  }

  async storeSecret(store: StoreRef, secret: string): Promise<string> {
    const place = secretPlace(store, randomBytes(UNIQUE_BYTES).toString('hex'));
    const bytes = Buffer.from(secret, 'utf8');
    try {
      await this.ports.vault.storeSealed('KEY_STORE_SECRET', secretOwner(store), place, bytes);
    } finally {
      bytes.fill(0);
    }
    return place;
  }

  eraseSecret(secretId: string): Promise<void> {
    return this.ports.vault.destroy(secretId);
  }

  async probe(
    ref: StoreRef,
    backing: ExternalBacking,
    secret: { plain: string } | { secretId: string },
  ): Promise<void> {
    const secretAccessKey = 'plain' in secret ? secret.plain : await this.secret(ref, secret.secretId);
    const reason = 'plain' in secret && !this.stateOf(ref) ? 'CreateCustomKeyStore' : 'UpdateCustomKeyStore';
    await this.ports.connectors.probe({ ref, backing, secretAccessKey }, reason);
  }

  runCommand(store: StoreRef, command: WorkerCommand<'customKeyStore'>, call: Call): Promise<void> {
    return this.ports.commands.run(store, command, call);
  }

  private note(store: StoreRef): void {
    const state = this.stateOf(store);
    const name = eventSubject(store);
    if (state?.storeState === 'Deleted') {
      void this.links.get(name)?.stop();
      this.links.delete(name);
      // What fails here the sweep does.
      this.eraseSecret(state.secretId).catch((error) =>
        this.ports.onError(error, 'the secret of a deleted custom key store was not erased'),
      );
      return;
    }
    this.link(store).follow();
  }

  private link(store: StoreRef): StoreLink {
    const name = eventSubject(store);
    let link = this.links.get(name);
    if (!link) {
      link = new StoreLink({
        state: () => this.stateOf(store),
        open: (state) => this.open(store, state),
        report: (report) => this.report(store, report),
        onError: (error, what) => this.ports.onError(error, `${store.id}: ${what}`),
      });
      this.links.set(name, link);
      if (this.stopped) void link.stop();
    }
    return link;
  }

  private stateOf(store: StoreRef) {
    return this.ports.view.projection.folded(store)?.state;
  }

  private connection(store: StoreRef): Promise<StoreConnection> {
    return this.link(store).connection(PATIENCE_MS);
  }

  private async open(ref: StoreRef, { backing, secretId }: ExistingStore): Promise<StoreConnection> {
    const { connectors, onConnected } = this.ports;
    const secret = await this.secret(ref, secretId);
    const connection =
      backing.storeType === 'AWS_CLOUDHSM'
        ? await connectors.cluster({
            ...{ ref, clusterId: backing.clusterId, password: secret },
            copies: () => this.copies(ref),
          })
        : await connectors.external({ ref, backing, secretAccessKey: secret });
    onConnected?.(ref);
    return connection;
  }

  /** Of its keys that are not deleted; one that cannot be had now keeps no store from being connected. */
  private async copies(store: StoreRef): Promise<MaskedKey[]> {
    const { view, vault, onError } = this.ports;
    const copies: MaskedKey[] = [];
    for (const { ref, state } of [...view.projection.keysInStore(store)]) {
      if (!isLiving(state)) continue;
      const owner = keyArn(ref.region, ref.account, ref.id);
      for (const { materialId: key } of state.versions) {
        try {
          const masked = await vault.openSealed('CLUSTER_KEY_COPY', owner, placeOfClusterCopy(key));
          if (masked) copies.push({ key, masked });
        } catch (error) {
          onError(error, 'the copy of a key in a cluster cannot be used');
        }
      }
    }
    return copies;
  }

  private async secret(store: StoreRef, secretId: string): Promise<string> {
    const owner = secretOwner(store);
    const bytes = await this.ports.vault.openSealed('KEY_STORE_SECRET', owner, secretId);
    if (!bytes) throw missing('The secret of the custom key store is missing.', owner, secretId);
    try {
      return bytes.toString('utf8');
    } finally {
      bytes.fill(0);
    }
  }

  private report(store: StoreRef, report: StoreReport): Promise<void> {
    const { commands, clock } = this.ports;
    const operation = report.type === 'RecordDisconnected' ? 'DisconnectCustomKeyStore' : 'ConnectCustomKeyStore';
    const origin = { principal: 'keytrail:crypto-worker', requestId: randomUUID(), operation };
    return commands.append(store, report, { ...origin, now: isoDate(clock.now()) });
  }
}
