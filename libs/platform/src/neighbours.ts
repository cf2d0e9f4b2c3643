import type { NatsConnection } from 'nats';
import type { LastUses } from '#operations/usage/last-uses';
import type { Timer } from '#views/due-times';
import { askForAnchors, type PublishedAnchors } from './callers';
import { type GrantTokenSigner, localSigner, remoteSigner } from './grant-tokens';
import type { StartedHistory } from './history/start-history';
import { fireRemotely } from './key-timers';
import { RemoteLastUses } from './last-uses';
import { type MintManagedKey, mintManagedKey, mintRemotely } from './managed-keys';
import { type MaterialCustodian, RemoteMaterialCustodian } from './material-custodian';
import { RemoteSealingKeys, type SealingKeys } from './recording/sealing-keys';
import { type AppendShredding, appendShreddingRemotely, SHRED_RECORDS } from './recording/shredding';
import { CachedSigningKeys, RemoteSigningKeys, type SigningKeys } from './signing-keys';
import type { StartedCryptoWorker } from './start-crypto-worker';
import type { StartedKeyManager } from './start-key-manager';
import { type DigestSigner, RemoteDigestSigner } from './trail-files/digest-signer';
import { RemoteTreeHeadSigner, type TreeHeadSigner } from './tree-heads/head-signer';
import { type AppendForWorker, appendRemotely } from './worker-commands';

/**
 * THE table of what the parts of Keytrail ask of each other: in process where the other part is in this one, else over
 * NATS. (Requests themselves: LocalDispatcher and NatsDispatcher, of dispatcher.ts.)
 */
export class Neighbours {
  /** Those in this process, once they have started: first the crypto-worker, then the key-manager, then the history. */
  worker: StartedCryptoWorker | undefined;
  keyManager: StartedKeyManager | undefined;
  history: StartedHistory | undefined;

  constructor(
    private readonly nats: NatsConnection,
    private readonly has: (part: 'key-manager' | 'audit-projector') => boolean,
    /** Told what went wrong although whoever asked goes on without it. */
    private readonly onError: (what: string) => (error: unknown) => void,
  ) {}

  /** The key-manager has material stored and erased. */
  materials(): MaterialCustodian {
    return this.worker ? this.worker.worker : new RemoteMaterialCustodian(this.nats);
  }

  /** The key-manager has grant tokens signed. */
  grantTokenSigner(): GrantTokenSigner {
    return this.worker ? localSigner(this.worker.tokens) : remoteSigner(this.nats, this.onError('grant token'));
  }

  /** The crypto-worker, which starts before the key-manager, has events of access keys and imports appended. */
  appendForWorker(): AppendForWorker {
    if (!this.has('key-manager')) return appendRemotely(this.nats);
    return (...command) => this.keyManager!.manager.runFor(...command);
  }

  /** And AWS managed keys made that are used for the first time. */
  mintManagedKey(): MintManagedKey {
    if (!this.has('key-manager')) return mintRemotely(this.nats);
    return (...asked) => mintManagedKey(this.keyManager!.manager)(...asked);
  }

  /** The key-manager, which starts before the history, learns when keys were last used. */
  lastUses(): LastUses {
    if (!this.has('audit-projector')) return new RemoteLastUses(this.nats);
    return { lastUse: (...used) => this.history!.ports.lastUses.lastUse(...used) };
  }

  /** The crypto-worker has it appended that records are shredded. */
  appendShredding(): AppendShredding {
    if (!this.has('key-manager')) return appendShreddingRemotely(this.nats);
    return (ref, origin) => this.keyManager!.manager.runUnchecked(ref, SHRED_RECORDS, origin);
  }

  /** The schedulers have timers fired: `caughtUp` resolves once the view of this process holds what was appended elsewhere. */
  fire(caughtUp: () => Promise<void>): (timer: Timer) => Promise<boolean> {
    const timers = this.keyManager?.timers;
    if (timers) return (timer) => timers.fire(timer);
    return async (timer) => {
      const changed = await fireRemotely(this.nats, timer);
      // Or the timer would fire again.
      await caughtUp();
      return changed;
    };
  }

  /** The gateway learns signing keys; `newestPosition` as RemoteSigningKeys has it. */
  signingKeys(newestPosition: () => number): SigningKeys {
    return this.worker
      ? this.worker.signingKeys
      : new CachedSigningKeys(new RemoteSigningKeys(this.nats, newestPosition));
  }

  /** Whoever answers calls learns what their records are sealed with. */
  sealingKeys(): SealingKeys {
    return this.worker ? this.worker.sealingKeys : new RemoteSealingKeys(this.nats);
  }

  /** The audit-projector has tree heads signed and stored. */
  treeHeadSigner(): TreeHeadSigner {
    return this.worker ? this.worker.treeHeads : new RemoteTreeHeadSigner(this.nats);
  }

  /** The audit-projector has digests of trail files signed. */
  digestSigner(): DigestSigner {
    return this.worker ? this.worker.digests : new RemoteDigestSigner(this.nats);
  }

  /** Whoever serves operations learns what callers are checked against. */
  anchors(): PublishedAnchors | (() => Promise<PublishedAnchors>) {
    return this.worker ? this.worker.anchors : askForAnchors(this.nats);
  }

  /** Whoever serves operations learns what grant tokens are checked against. */
  tokenKey(): string | (() => Promise<string>) {
    return this.worker ? this.worker.anchors.tokenKey : async () => (await askForAnchors(this.nats)()).tokenKey;
  }
}
