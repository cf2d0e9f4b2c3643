import { createAlias, deleteAlias, listAliases, updateAlias } from './aliases';
import { listPublicKeys } from './audit/list-public-keys';
import { lookupEvents } from './audit/lookup-events';
import { deleteBackup, describeBackups, modifyBackupAttributes, restoreBackup } from './clusters/backups';
import { createCluster, deleteCluster, describeClusters, initializeCluster, modifyCluster } from './clusters/clusters';
import { createHsm, deleteHsm } from './clusters/hsms';
import { listTags, tagClusterResource, untagClusterResource } from './clusters/tags';
import { connectCustomKeyStore, disconnectCustomKeyStore } from './custom-key-stores/connect-store';
import { createCustomKeyStore } from './custom-key-stores/create-store';
import { deleteCustomKeyStore } from './custom-key-stores/delete-store';
import { describeCustomKeyStores } from './custom-key-stores/describe-stores';
import { updateCustomKeyStore } from './custom-key-stores/update-store';
import { generateDataKeyPair, generateDataKeyPairWithoutPlaintext } from './data-key-pairs';
import { generateDataKey, generateDataKeyWithoutPlaintext, generateRandom } from './data-keys';
import { cancelKeyDeletion, scheduleKeyDeletion } from './deletion';
import { decapsulate, encapsulate } from './encapsulation';
import { decrypt, encrypt } from './encryption';
import { createGrant } from './grants/create-grant';
import { retireGrant, revokeGrant } from './grants/end-grant';
import { listGrants, listRetirableGrants } from './grants/list-grants';
import { createAccessKey, deleteAccessKey, listAccessKeys, updateAccessKey } from './iam/access-keys';
import {
  deleteRolePolicy,
  deleteUserPolicy,
  getRolePolicy,
  getUserPolicy,
  listRolePolicies,
  listUserPolicies,
  putRolePolicy,
  putUserPolicy,
} from './iam/inline-policies';
import { listRoleTags, listUserTags, tagRole, tagUser, untagRole, untagUser } from './iam/principal-tags';
import { createRole, deleteRole, getRole, listRoles, updateAssumeRolePolicy } from './iam/roles';
import { createUser, deleteUser, getUser, listUsers } from './iam/users';
import { deleteImportedKeyMaterial } from './import/delete-material';
import { getParametersForImport } from './import/get-parameters';
import { importKeyMaterial } from './import/import-material';
import { deriveSharedSecret } from './key-agreement';
import { createKey, describeKey, disableKey, enableKey, listKeys, updateKeyDescription } from './keys';
import { generateMac, verifyMac } from './macs';
import { replicateKey } from './multi-region/replicate-key';
import { updatePrimaryRegion } from './multi-region/update-primary-region';
import { awsNameOf, type Operation, type ServiceName } from './operation';
import { getKeyPolicy, listKeyPolicies, putKeyPolicy } from './policies';
import { getPublicKey } from './public-keys';
import { reEncrypt } from './re-encryption';
import {
  disableKeyRotation,
  enableKeyRotation,
  getKeyRotationStatus,
  listKeyRotations,
  rotateKeyOnDemand,
} from './rotation';
import { sign, verify } from './signing';
import { assumeRole } from './sts/assume-role';
import { getCallerIdentity } from './sts/caller-identity';
import { getSessionToken } from './sts/session-token';
import { listResourceTags, tagResource, untagResource } from './tags';
import { getAccessKeyLastUsed } from './usage/get-access-key-last-used';
import { getKeyLastUsage } from './usage/get-key-last-usage';

/** THE table of operations. Routing, subjects, metrics and authorisation all derive from it. */
const OPERATIONS: readonly Operation[] = [
  createKey,
  describeKey,
  listKeys,
  enableKey,
  disableKey,
  updateKeyDescription,
  tagResource,
  untagResource,
  listResourceTags,
  createAlias,
  updateAlias,
  deleteAlias,
  listAliases,
  encrypt,
  decrypt,
  reEncrypt,
  generateDataKey,
  generateDataKeyWithoutPlaintext,
  generateDataKeyPair,
  generateDataKeyPairWithoutPlaintext,
  deriveSharedSecret,
  encapsulate,
  decapsulate,
  generateRandom,
  sign,
  verify,
  getPublicKey,
  generateMac,
  verifyMac,
  enableKeyRotation,
  disableKeyRotation,
  getKeyRotationStatus,
  rotateKeyOnDemand,
  listKeyRotations,
  getParametersForImport,
  importKeyMaterial,
  deleteImportedKeyMaterial,
  scheduleKeyDeletion,
  cancelKeyDeletion,
  replicateKey,
  updatePrimaryRegion,
  getKeyPolicy,
  putKeyPolicy,
  listKeyPolicies,
  createCustomKeyStore,
  describeCustomKeyStores,
  updateCustomKeyStore,
  connectCustomKeyStore,
  disconnectCustomKeyStore,
  deleteCustomKeyStore,
  createGrant,
  listGrants,
  listRetirableGrants,
  retireGrant,
  revokeGrant,
  createUser,
  getUser,
  listUsers,
  deleteUser,
  tagUser,
  untagUser,
  listUserTags,
  putUserPolicy,
  getUserPolicy,
  deleteUserPolicy,
  listUserPolicies,
  createRole,
  getRole,
  listRoles,
  deleteRole,
  updateAssumeRolePolicy,
  tagRole,
  untagRole,
  listRoleTags,
  putRolePolicy,
  getRolePolicy,
  deleteRolePolicy,
  listRolePolicies,
  createAccessKey,
  listAccessKeys,
  updateAccessKey,
  deleteAccessKey,
  getAccessKeyLastUsed,
  getCallerIdentity,
  assumeRole,
  getSessionToken,
  getKeyLastUsage,
  lookupEvents,
  listPublicKeys,
  createCluster,
  describeClusters,
  initializeCluster,
  modifyCluster,
  deleteCluster,
  createHsm,
  deleteHsm,
  describeBackups,
  modifyBackupAttributes,
  deleteBackup,
  restoreBackup,
  tagClusterResource,
  untagClusterResource,
  listTags,
];

export const OPERATION_TABLE: ReadonlyMap<string, Operation> = new Map(
  OPERATIONS.map((operation) => [operation.name, operation]),
);

const BY_AWS_NAME = new Map(OPERATIONS.map((each) => [`${each.service} ${awsNameOf(each)}`, each]));

/** As a service of AWS calls it. */
export const operationNamed = (service: ServiceName, name: string): Operation | undefined =>
  BY_AWS_NAME.get(`${service} ${name}`);
