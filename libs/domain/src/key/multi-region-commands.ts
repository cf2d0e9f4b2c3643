import type { NamedIds } from '../named-ids';
import type { Tag } from './events';
import type { SharedImports } from './imported/status';
import type { KeyReplicated } from './multi-region-events';
import type { AutomaticRotation, KeyVersion, Replica } from './state';

interface Shared {
  term: number;
  /** All of them. */
  versions: readonly KeyVersion[];
  rotation: AutomaticRotation | null;
  imports?: SharedImports;
}

/** What a caller can ask of a primary that concerns another region. */
type AskedOfPrimary =
  | {
      type: 'BeginReplication';
      replicaRegion: string;
      generation: number;
      description: string;
      policy: string;
      namedIds?: NamedIds | undefined;
      tags: Tag[];
    }
  | { type: 'HandOverPrimary'; primaryRegion: string };

/** What follows from the states of related keys (related-keys.ts). One that comes late does nothing. */
export type RelatedKeyCommand =
  | ({ type: 'CreateReplica' } & Omit<KeyReplicated, 'type' | 'v'>)
  | { type: 'CompleteReplication'; replicaRegion: string; generation: number }
  | { type: 'ReadyReplica'; generation: number }
  | ({ type: 'BecomePrimary'; formerPrimaryRegion: string; replicas: readonly Replica[] } & Shared)
  | { type: 'CompleteUpdate'; term: number }
  | ({ type: 'Synchronize'; primaryRegion: string } & Shared)
  | { type: 'RecordReplicaImport'; replicaRegion: string; generation: number; revision: number }
  | { type: 'RemoveReplica'; replicaRegion: string; generation: number };

export type MultiRegionCommand = AskedOfPrimary | RelatedKeyCommand;
