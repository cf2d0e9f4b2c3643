import { mkdirSync } from 'node:fs';
import type { Logger } from 'pino';
import { TOKEN_SEED_LENGTH, TokenIssuer } from '#crypto/signed-token';
import { isLiving } from '#domain/key/state';
import { livingEpochs } from '#domain/root/root';
import { MATERIAL_STREAM } from '#domain/subjects';
import type { JetStreamEventStore } from '#event-store/jetstream-event-store';
import { ensureMaterialStream } from '#event-store/streams';
import { wasBehind } from '#event-store/was-behind';
import type { HsmProvider } from '#hsm/hsm-provider';
import { JetStreamMaterialStore } from '#hsm/jetstream-material-store';
import { MaterialVault } from '#hsm/material-vault';
import { endOffLoop } from '#hsm/off-loop';
import type { StoringTenure } from '#hsm/sealed-materials';
import type { Serving } from '#operations/operation';
import type { LiveView } from '#views/live-view';
import { AccessKeys } from './access-keys';
import { Accounts, serveAccounts } from './accounts';
import { openAttestations } from './attestation-roots';
import { serveAuthCallout } from './auth-callout';
import { Callers, type PublishedAnchors, serveAnchors } from './callers';
import { type CalloutSeeds, calloutKeys } from './callout-keys';
import type { Clock } from './clock';
import { ClusterDirectory } from './clusters/cluster-directory';
import { Clusters } from './clusters/clusters';
import { SecretCredentialCheck } from './credential-check';
import { CryptoWorker } from './crypto-worker';
import { failPoints } from './fail-points';
import { serveGrantTokens } from './grant-tokens';
import { Imports } from './imports';
import { KeyStores } from './key-stores/key-stores';
import { openConnectors } from './key-stores/open-connectors';
import { ProxyHealth } from './key-stores/proxy-health';
import { type StoreStatus, showKeyStores, storeStatuses } from './key-stores/store-figures';
import type { MintManagedKey } from './managed-keys';
import { serveMaterialCheck } from './material-check';
import { serveMaterials } from './material-custodian';
import type { Metrics } from './metrics';
import { ObservedHsmProvider } from './observed-hsm';
import { openRoot } from './open-root';
import { type SealingKeys, serveSealingKeys, VaultSealingKeys } from './recording/sealing-keys';
import { type AppendShredding, Shredding, serveShredding, shreddedBy } from './recording/shredding';
import { followRoot } from './root/root-in-use';
import { RootRotation } from './root/root-rotation';
import { serveRoot } from './root/serve-root';
import { fromSettings, rootCredentials } from './root-credentials';
import { SecretSigningKeys } from './secret-signing-keys';
import type { ServedRequests } from './served-requests';
import { type Settings, SettingsError } from './settings';
import { CachedSigningKeys, type SigningKeys, serveSigningKeys } from './signing-keys';
import { type DigestSigner, serveDigestSigner, VaultDigestSigner } from './trail-files/digest-signer';
import { openTreeHeadSigner, serveTreeHeads, type TreeHeadSigner } from './tree-heads/head-signer';
import { type AppendForWorker, WorkerCommands } from './worker-commands';

const MAX_NAMED = 100;

/** All material is gone while the log still has keys: nothing could be decrypted, and a new root key would hide it. */
export class MaterialLostError extends Error {
  override readonly name = 'MaterialLostError';
}

export interface CryptoWorkerSurroundings {
  settings: Settings;
  store: JetStreamEventStore;
  view: LiveView;
  served: ServedRequests;
  metrics: Metrics;
  log: Logger;
  /** Absent where NATS clients are not let in by their access keys. */
  callout: CalloutSeeds | undefined;
  /** With the gateway in one process the root credentials are made here and kept in the data folder. */
  besideGateway: boolean;
  appendForWorker: AppendForWorker;
  mintManagedKey: MintManagedKey;
  appendShredding: AppendShredding;
  /** Nobody but this process appends. */
  alone: boolean;
  serving: Pick<Serving, 'assertHeld' | 'begin'>;
  /** By which the operator tells processes apart. */
  instance: string;
  clock: Clock;
}

export interface StartedCryptoWorker {
  worker: CryptoWorker;
  anchors: PublishedAnchors;
  tokens: TokenIssuer;
  signingKeys: SigningKeys;
  sealingKeys: SealingKeys;
  treeHeads: TreeHeadSigner;
  digests: DigestSigner;
  /** To be called once a key-manager of this process, where it has one, takes commands. */
  connectStores(): void;
  clusters: Clusters;
  storeStatuses(): StoreStatus[];
  /** To be called once this process may serve: whom it does not let in does not come again soon. */
  serve(): void;
  stop(): void;
}

/** Opens the root key and the vault, and answers what only a process with key material can. */
export async function startCryptoWorker(around: CryptoWorkerSurroundings): Promise<StartedCryptoWorker> {
  const { settings, store, view, served, metrics, log } = around;
  const { nats } = served;
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 });
  await ensureMaterialStream(nats, settings);
  let lease: Pick<Serving, 'begin'> | undefined;
  const { vault, provider } = await openVault(around, () => lease?.begin());
  const commands = new WorkerCommands(view, around.appendForWorker);
  const { tokens, imports } = await openTokens(vault, commands);
  const accessKeys = new AccessKeys(vault, commands);
  const behindable = { position: () => view.position, reached: (position: number) => view.waitFor(position) };
  const behind = around.alone ? undefined : (held?: number) => wasBehind(behindable, store, held);
  const attestations = openAttestations(settings);
  const { mintManagedKey } = around;
  const clusters = new Clusters({
    ...{ settings: settings.clusters, view, commands, clock: around.clock, metrics },
    onError: (error, what) => log.error({ err: error }, `${what}: its HSMs could not be seen to`),
  });
  const proxies = new ProxyHealth((store, problem) => {
    if (problem === undefined) log.info({ store }, 'the proxy of a custom key store is healthy again');
    else log.warn({ store, problem }, 'the proxy of a custom key store is not healthy');
  });
  const keyStores = new KeyStores({
    ...{ view, vault, commands, clock: around.clock },
    connectors: openConnectors(settings, clusters, proxies.tell),
    onError: (error, what) => log.error({ err: error }, what),
    onConnected: () => void sweepAgain(),
  });
  const isUp = (storeId: string): boolean => keyStores.isConnected(storeId) && proxies.isHealthy(storeId);
  showKeyStores(metrics, view.projection, isUp);
  const stores = { keyStores, clusters: new ClusterDirectory(view.projection) };
  const worker = new CryptoWorker(
    ...([view, vault, tokens, accessKeys, imports, stores, clusters] as const),
    ...([mintManagedKey, attestations, behind] as const),
  );
  await worker.checkLog(() => store.lastPosition());
  const credentials = around.besideGateway ? rootCredentials(settings) : fromSettings(settings);
  if (!credentials) {
    throw new SettingsError(
      'KEYTRAIL_ROOT_ACCESS_KEY_ID and KEYTRAIL_ROOT_SECRET_ACCESS_KEY: expected for a crypto-worker of its own',
    );
  }
  const secrets = new SecretSigningKeys({
    account: settings.accountId,
    root: credentials,
    projection: view.projection,
    vault,
    tokens,
    epochSeconds: () => Date.now() / 1000,
  });
  const signingKeys = new CachedSigningKeys(secrets);
  serveSigningKeys(
    served,
    signingKeys,
    (position) => view.waitFor(position),
    (error) => log.error({ err: error }, 'signing key request failed'),
  );
  const caughtUp = (): Promise<void> => view.catchUp(store);
  const shredding = new Shredding({ secrets: vault.own, view, append: around.appendShredding, clock: around.clock });
  const erased = await shredding.eraseShredded();
  if (erased > 0) log.warn({ erased }, 'erased sealing keys of records that the log says are shredded');
  serveShredding(served, shredding, (error) => log.error({ err: error }, 'shredding request failed'));
  const sealingKeys = new VaultSealingKeys(vault.own, shreddedBy(view, around.alone ? async () => {} : caughtUp));
  serveSealingKeys(served, sealingKeys, (error) => log.error({ err: error }, 'sealing key request failed'));
  const treeHeads = await openTreeHeadSigner(nats, settings, vault);
  serveTreeHeads(served, treeHeads, (error) => log.error({ err: error }, 'tree head request failed'));
  const digests = new VaultDigestSigner(vault.own, around.clock);
  serveDigestSigner(served, digests, (error) => log.error({ err: error }, 'trail digest request failed'));
  serveGrantTokens(served, tokens, (error) => log.error({ err: error }, 'grant token request failed'));
  const anchors = { rootAccessKeyId: credentials.accessKeyId, tokenKey: tokens.publicKey.export() };
  serveAnchors(served, anchors, (error) => log.error({ err: error }, 'token key request failed'));
  const accounts = new Accounts(settings.accountId, view.projection, accessKeys, commands, around.clock);
  serveAccounts(served, accounts, (error) => log.error({ err: error }, 'account request failed'));
  serveMaterials(served, worker, caughtUp, (error) => log.error({ err: error }, 'material request failed'));
  serveMaterialCheck(served, view.projection, vault, (error) => log.error({ err: error }, 'material check failed'));
  const rotation = new RootRotation({
    ...{ instance: around.instance, provider, vault, view, commands, caughtUp, clock: around.clock },
    sweep: async () => {
      await worker.sweep(Date.now(), settings.orphanGraceSeconds * 1000, caughtUp);
      await shredding.eraseShredded();
    },
    failPoint: failPoints(settings.failPoint),
  });
  rotation.onFailure = (error) => log.error({ err: error }, 'the rotation of the root key is not complete');
  serveRoot(served, rotation, (error) => log.error({ err: error }, 'root key request failed'));
  const stopping = new AbortController();
  let sweeping: Promise<void> = Promise.resolve();
  // What waited for a custom key store to be connected is gone through again once it is.
  const sweepAgain = (): Promise<void> => {
    sweeping = sweeping.then(() => sweep(worker, settings, caughtUp, log, stopping.signal));
    return sweeping;
  };
  void sweepAgain();
  return {
    worker,
    anchors,
    tokens,
    signingKeys,
    sealingKeys,
    treeHeads,
    digests,
    connectStores: () => keyStores.start(),
    clusters,
    storeStatuses: () => storeStatuses(view.projection, isUp),
    serve() {
      lease = around.serving;
      if (!around.callout) return;
      const callers = new Callers(settings.accountId, view.projection, anchors);
      serveAuthCallout(served, {
        keys: calloutKeys(around.callout),
        credentials: new SecretCredentialCheck(secrets, callers, around.serving, behind),
        ended: metrics.logins(),
        onError: (error) => log.error({ err: error }, 'a login over NATS failed'),
      });
    },
    stop() {
      stopping.abort();
      void keyStores.stop().then(() => clusters.stop());
      rotation.stop();
      vault.close();
      void endOffLoop();
    },
  };
}

async function openTokens(
  vault: MaterialVault,
  commands: WorkerCommands,
): Promise<{ tokens: TokenIssuer; imports: Imports }> {
  const seed = await vault.own.tokenSeed(TOKEN_SEED_LENGTH);
  try {
    return { tokens: new TokenIssuer(seed), imports: new Imports(seed, vault, commands) };
  } finally {
    seed.fill(0);
  }
}

async function openVault(
  { settings, view, metrics, log, served }: CryptoWorkerSurroundings,
  tenure: () => StoringTenure | undefined,
): Promise<{ vault: MaterialVault; provider: HsmProvider }> {
  const store = new JetStreamMaterialStore(served.nats);
  const nothingStored = (await store.list()).length === 0;
  if (nothingStored && [...view.projection.allKeys()].some(({ state }) => isLiving(state))) {
    throw new MaterialLostError(
      `the event log has keys, but their material is gone: restore the stream ${MATERIAL_STREAM} and the root key from the backup that belongs to this log`,
    );
  }
  const root = await openRoot(settings, nothingStored, view.projection.root);
  const provider = new ObservedHsmProvider(root, metrics);
  followRoot(view, provider, (error) => log.error({ err: error }, 'an old root key could not be destroyed here'));
  const vault = new MaterialVault(provider, store, {
    failPoint: failPoints(settings.failPoint),
    logPosition: () => view.position,
    epochs: () => livingEpochs(view.projection.root),
    tenure,
  });
  await vault.verifyRoot();
  return { vault, provider };
}

async function sweep(
  worker: CryptoWorker,
  { orphanGraceSeconds }: Settings,
  caughtUp: () => Promise<void>,
  log: Logger,
  stopping: AbortSignal,
): Promise<void> {
  try {
    const { erased, kept, missing } = await worker.sweep(Date.now(), orphanGraceSeconds * 1000, caughtUp);
    for (const { owner, materialId } of missing.slice(0, MAX_NAMED)) {
      log.error({ owner, materialId }, 'material is missing: restore log and material from one backup');
    }
    if (missing.length > MAX_NAMED)
      log.error({ missing: missing.length }, 'more material is missing than is named here');
    if (erased + kept > 0) log.warn({ erased, kept }, 'found stored material that no living key needs');
  } catch (error) {
    // One that a stop interrupts is done at the next start.
    if (!stopping.aborted) log.error({ err: error }, 'could not look for left-over material');
  }
}
