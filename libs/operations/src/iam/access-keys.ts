import type {
  CreateAccessKeyRequest,
  CreateAccessKeyResponse,
  DeleteAccessKeyRequest,
  ListAccessKeysRequest,
  ListAccessKeysResponse,
  UpdateAccessKeyRequest,
} from '@aws-sdk/client-iam';
import { rootArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { IAM_LIMITS } from '#domain/principal/decide';
import { accountRef } from '#domain/principal/principal-id';
import { noSuchAccessKey, quotaExceeded } from '#domain/principal/refusals';
import type { AccessKey, AccountPrincipal, UserPrincipal } from '#domain/principal/state';
import type { AggregateRef } from '#domain/subjects';
import type { Projection } from '#views/projection';
import { type Call, control, waitingData } from '../operation';
import { Optional, Required } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';
import { mayActOn, ownUserName, userFor } from './access';
import { ACCESS_KEY_ID, MARKER, MAX_ITEMS, USER_NAME } from './fields';
import { listPage, pageAsked, pageFields } from './iam-pages';
import { ID_BYTES, uniqueId } from './unique-ids';

/** Whose access keys a call is about: a user, or root. */
interface Owner {
  ref: AggregateRef<'principal'>;
  arn: string;
  /** None for the root of the settings' account before its first access key here. */
  state: UserPrincipal | AccountPrincipal | undefined;
  /** Root has no name. */
  named: { UserName?: string };
}

function ownerFor(userName: string | undefined, call: Call, projection: Projection): Owner {
  const name = userName ?? ownUserName(call);
  if (name !== undefined) {
    const user = userFor(name, call, projection);
    return { ...user, named: { UserName: user.state.name } };
  }
  const { account } = call.caller;
  const arn = rootArn(account);
  mayActOn(arn, call);
  const state = projection.account(account)?.state;
  return { ref: accountRef(account), arn, state: state?.kind === 'Account' ? state : undefined, named: {} };
}

const keysOf = ({ state }: Owner): readonly AccessKey[] => state?.accessKeys ?? [];

function keyOf(owner: Owner, accessKeyId: string): AccessKey {
  const found = keysOf(owner).find((key) => key.accessKeyId === accessKeyId);
  if (!found) throw noSuchAccessKey(accessKeyId);
  return found;
}

class CreateAccessKey implements CreateAccessKeyRequest {
  @Optional(USER_NAME) UserName?: string;
}

/** The secret is stored first: a crash before the append leaves one that no event names, which the sweep erases. */
export const createAccessKey = waitingData<CreateAccessKey, Partial<Wire<CreateAccessKeyResponse>>>({
  service: 'iam',
  name: 'CreateAccessKey',
  request: CreateAccessKey,
  async runAsync({ UserName }, call, ports) {
    const { projection, accessKeys } = ports;
    const owner = ownerFor(UserName, call, projection);
    // Decided again where it is appended; here it spares a secret that nobody can have.
    const limit = IAM_LIMITS.accessKeysPerUser;
    if (keysOf(owner).length >= limit) throw quotaExceeded('AccessKeysPerUser', limit);
    // The account of the settings exists without an event until then.
    if (owner.state === undefined) await accessKeys.runCommand(owner.ref, { type: 'CreateAccount' }, call);
    const accessKeyId = uniqueId('AKIA', ports.random(ID_BYTES));
    const secretAccessKey = await accessKeys.create(owner.arn, accessKeyId);
    try {
      await accessKeys.runCommand(owner.ref, { type: 'CreateAccessKey', accessKeyId }, call);
    } catch (failure) {
      // Nothing was appended, and the next try makes a secret of its own.
      if (failure instanceof KmsError && failure.code === 'ConcurrentModification') await accessKeys.erase(accessKeyId);
      throw failure;
    }
    const created = projection.accessKey(accessKeyId);
    if (!created) throw noSuchAccessKey(accessKeyId);
    const { status, createdAt } = created.accessKey;
    const AccessKey = {
      ...owner.named,
      AccessKeyId: accessKeyId,
      Status: status,
      SecretAccessKey: secretAccessKey,
      CreateDate: epochSeconds(createdAt),
    };
    return { AccessKey: AccessKey as Wire<CreateAccessKeyResponse>['AccessKey'] };
  },
});

class DeleteAccessKey implements DeleteAccessKeyRequest {
  @Optional(USER_NAME) UserName?: string;
  @Required(ACCESS_KEY_ID) AccessKeyId!: string;
}

export const deleteAccessKey = waitingData<DeleteAccessKey, undefined>({
  service: 'iam',
  name: 'DeleteAccessKey',
  request: DeleteAccessKey,
  async runAsync({ UserName, AccessKeyId: accessKeyId }, call, { projection, accessKeys }) {
    const { ref } = ownerFor(UserName, call, projection);
    await accessKeys.runCommand(ref, { type: 'DeleteAccessKey', accessKeyId }, call);
    // A crash here leaves a secret that no event names: it opens nothing, and the sweep erases it.
    await accessKeys.erase(accessKeyId);
    return undefined;
  },
});

class UpdateAccessKey implements UpdateAccessKeyRequest {
  @Optional(USER_NAME) UserName?: string;
  @Required(ACCESS_KEY_ID) AccessKeyId!: string;
  @Required({ kind: 'enum', values: ['Active', 'Inactive', 'Expired'] }) Status!: 'Active' | 'Inactive' | 'Expired';
}

export const updateAccessKey = control<UpdateAccessKey, undefined>({
  service: 'iam',
  name: 'UpdateAccessKey',
  request: UpdateAccessKey,
  async run({ UserName, AccessKeyId: accessKeyId, Status: status }, call, ports) {
    const owner = ownerFor(UserName, call, ports.projection);
    if (status === 'Expired') throw new KmsError('InvalidInput', 'Status may be set to Active or Inactive.');
    keyOf(owner, accessKeyId);
    await ports.runCommand(owner.ref, { type: 'UpdateAccessKey', accessKeyId, status }, call);
    return undefined;
  },
});

class ListAccessKeys implements ListAccessKeysRequest {
  @Optional(USER_NAME) UserName?: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

export const listAccessKeys = control<ListAccessKeys, Wire<ListAccessKeysResponse>>({
  service: 'iam',
  name: 'ListAccessKeys',
  request: ListAccessKeys,
  run(request, call, { projection }) {
    const owner = ownerFor(request.UserName, call, projection);
    const page = listPage(keysOf(owner), pageAsked(request, call, owner.arn));
    return {
      AccessKeyMetadata: page.items.map(({ accessKeyId, status, createdAt }) => ({
        ...owner.named,
        AccessKeyId: accessKeyId,
        Status: status,
        CreateDate: epochSeconds(createdAt),
      })),
      ...pageFields(page),
    };
  },
});
