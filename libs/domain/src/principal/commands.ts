import type { Tag } from '../key/events';
import type { NamedIds } from '../named-ids';
import type { AccessKeyStatus } from './events';

/** What can be asked of an account, a user or a role. Unique ids and access key ids are random: they come in with the command. */
export type PrincipalCommand =
  | { type: 'CreateAccount' }
  | { type: 'CreateUser'; name: string; path: string; uniqueId: string; tags: Tag[] }
  | { type: 'DeleteUser' }
  | {
      type: 'CreateRole';
      name: string;
      path: string;
      uniqueId: string;
      description: string;
      /** Seconds. */
      maxSessionDuration: number;
      trustPolicy: string;
      /** Of the trust policy. */
      namedIds?: NamedIds | undefined;
      tags: Tag[];
    }
  | { type: 'DeleteRole' }
  | { type: 'PutPolicy'; policyName: string; policy: string }
  | { type: 'DeletePolicy'; policyName: string }
  | { type: 'PutTrustPolicy'; trustPolicy: string; namedIds?: NamedIds | undefined }
  | { type: 'TagPrincipal'; tags: Tag[] }
  | { type: 'UntagPrincipal'; tagKeys: string[] }
  /** The secret has been stored already, under `accessKeyMaterialId(accessKeyId)`. */
  | { type: 'CreateAccessKey'; accessKeyId: string }
  | { type: 'UpdateAccessKey'; accessKeyId: string; status: AccessKeyStatus }
  | { type: 'DeleteAccessKey'; accessKeyId: string };
