/** What can happen to an alias. Its name and region are the aggregate's own id. */
export interface AliasCreated {
  type: 'AliasCreated';
  v: 1;
  targetKeyId: string;
}

export interface AliasUpdated {
  type: 'AliasUpdated';
  v: 1;
  targetKeyId: string;
}

export interface AliasDeleted {
  type: 'AliasDeleted';
  v: 1;
  reason: 'REQUESTED' | 'KEY_DELETED';
}

export type AliasEvent = AliasCreated | AliasUpdated | AliasDeleted;
