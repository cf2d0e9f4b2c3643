import type { ExternalBacking } from '#domain/custom-key-store/events';
import type { MaskedKey } from '#hsm/cluster/masked-keys';
import type { ClusterConnection, XksConnection } from '#hsm/key-store/store-connection';
import type { StoreRef } from '#operations/custom-key-stores/key-store-ports';

/** Which operation asks. */
export type ProbeReason = 'CreateCustomKeyStore' | 'UpdateCustomKeyStore';

export interface ClusterTarget {
  ref: StoreRef;
  clusterId: string;
  /** Of `kmsuser`. */
  password: string;
  /** Of the store's keys, as only the cluster's HSMs can open them: for members that have to be caught up. */
  copies(): Promise<MaskedKey[]>;
}

export interface ExternalTarget {
  ref: StoreRef;
  backing: ExternalBacking;
  secretAccessKey: string;
}

/** How custom key stores are connected. */
export interface StoreConnectors {
  /** Rejects with ConnectError. */
  cluster(target: ClusterTarget): Promise<ClusterConnection>;
  /** Rejects with ConnectError. */
  external(target: ExternalTarget): Promise<XksConnection>;
  /** Whether the proxy answers to this credential. Rejects with StoreError. */
  probe(target: ExternalTarget, reason: ProbeReason): Promise<void>;
}
