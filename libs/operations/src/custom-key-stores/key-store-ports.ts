import type { ExternalBacking } from '#domain/custom-key-store/events';
import type { AggregateRef } from '#domain/subjects';
import type { ClusterConnection, XksConnection } from '#hsm/key-store/store-connection';
import type { Call, WorkerCommand } from '../operation';

/** What a store wants to know of an AWS CloudHSM cluster. */
export interface ClusterFacts {
  /** As DescribeClusters has it: `ACTIVE`, ... */
  state: string;
  /** Availability zones that have an active HSM. */
  activeZones: readonly string[];
  /** PEM of the certificate that its owner signed it with. */
  trustAnchor: string | undefined;
}

/** The clusters of an account and region. */
export interface ClusterDirectory {
  cluster(region: string, account: string, clusterId: string): ClusterFacts | undefined;
}

export type StoreRef = AggregateRef<'customKeyStore'>;

/** Custom key stores as a crypto-worker has them; those in clusters and external ones have their own kinds of connection. */
export interface KeyStorePorts {
  /** Waits a moment for a store that is about to be connected; rejects with StoreError `unreachable` where it is not. */
  cluster(store: StoreRef): Promise<ClusterConnection>;
  external(store: StoreRef): Promise<XksConnection>;
  /** Stores it sealed, and gives back where. A crash afterwards leaves one that no event names, for the sweep. */
  storeSecret(store: StoreRef, secret: string): Promise<string>;
  /** For good; harmless to repeat. */
  eraseSecret(secretId: string): Promise<void>;
  /** Whether the proxy answers to this secret access key, or to the one that is stored. Rejects with StoreError. */
  probe(store: StoreRef, backing: ExternalBacking, secret: { plain: string } | { secretId: string }): Promise<void>;
  /** By way of a key-manager. Returns once it is in `projection` and, if it revokes, in every worker. */
  runCommand(store: StoreRef, command: WorkerCommand<'customKeyStore'>, call: Call): Promise<void>;
}
