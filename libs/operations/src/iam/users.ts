import type {
  CreateUserRequest,
  CreateUserResponse,
  DeleteUserRequest,
  GetUserRequest,
  GetUserResponse,
  ListUsersRequest,
  ListUsersResponse,
  User,
} from '@aws-sdk/client-iam';
import { rootArn, userArn } from '#domain/arn';
import { userRef } from '#domain/principal/principal-id';
import { noSuchUser, quotaExceeded } from '#domain/principal/refusals';
import type { UserPrincipal } from '#domain/principal/state';
import type { Projection } from '#views/projection';
import type { Limit } from '../limits';
import { type Call, type ControlPorts, control } from '../operation';
import { takePage } from '../pagination';
import { Optional, Required } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';
import { mayActOn, ownUserName, userFor } from './access';
import { MARKER, MAX_ITEMS, NEW_USER_NAME, PATH, PATH_PREFIX, TAGS, USER_NAME } from './fields';
import { pageAsked, pageFields, positionOf } from './iam-pages';
import { domainTags, type WireTag, wireTags } from './iam-tags';
import { assertNoBoundary, BOUNDARY } from './permissions-boundary';
import { ID_BYTES, uniqueId } from './unique-ids';

const USERS_PER_ACCOUNT = 5_000;

const usersOf = (account: string, { projection }: ControlPorts): Limit => ({
  of: `users of ${account}`,
  max: USERS_PER_ACCOUNT,
  count: () => projection.principalCount('User', account),
  has: (id) => projection.folded({ ...userRef(account, ''), id })?.state.kind === 'User',
  refusal: () => quotaExceeded('UsersPerAccount', USERS_PER_ACCOUNT),
});

const userFields = (account: string, { name, path, uniqueId, createdAt }: UserPrincipal): Wire<User> => ({
  Path: path,
  UserName: name,
  UserId: uniqueId,
  Arn: userArn(account, path, name),
  CreateDate: epochSeconds(createdAt),
});

const withTags = (account: string, user: UserPrincipal): Wire<User> => ({
  ...userFields(account, user),
  ...(user.tags.length === 0 ? {} : { Tags: wireTags(user.tags) }),
});

class CreateUser implements CreateUserRequest {
  @Optional(PATH) Path?: string;
  @Required(NEW_USER_NAME) UserName!: string;
  @Optional(BOUNDARY) PermissionsBoundary?: string;
  @Optional(TAGS) Tags?: WireTag[];
}

export const createUser = control<CreateUser, Wire<CreateUserResponse>>({
  service: 'iam',
  name: 'CreateUser',
  request: CreateUser,
  async run({ UserName: name, Path: path = '/', Tags, PermissionsBoundary }, call, ports) {
    const { account } = call.caller;
    const tags = domainTags(Tags);
    mayActOn(userArn(account, path, name), call, { tags });
    assertNoBoundary(PermissionsBoundary);
    const id = uniqueId('AIDA', ports.random(ID_BYTES));
    const ref = userRef(account, name);
    const command = { type: 'CreateUser', name, path, uniqueId: id, tags } as const;
    await ports.limits.within(usersOf(account, ports), ref.id, call, () => ports.runCommand(ref, command, call));
    return { User: withTags(account, userNamed(name, call, ports.projection)) };
  },
});

function userNamed(name: string, call: Call, projection: Projection): UserPrincipal {
  const state = projection.user(call.caller.account, name)?.state;
  if (state?.kind !== 'User') throw noSuchUser(name);
  return state;
}

class GetUser implements GetUserRequest {
  @Optional(USER_NAME) UserName?: string;
}

export const getUser = control<GetUser, Wire<GetUserResponse>>({
  service: 'iam',
  name: 'GetUser',
  request: GetUser,
  run({ UserName }, call, { projection }) {
    const { account } = call.caller;
    const name = UserName ?? ownUserName(call);
    if (name !== undefined) return { User: withTags(account, userFor(name, call, projection).state) };
    // Root has neither name nor path. That of the settings' account has no history of its own.
    const own = projection.account(account)?.state;
    const root: Partial<Wire<User>> = {
      UserId: account,
      Arn: rootArn(account),
      ...(own?.kind === 'Account' ? { CreateDate: epochSeconds(own.createdAt) } : {}),
    };
    return { User: root as Wire<User> };
  },
});

class ListUsers implements ListUsersRequest {
  @Optional(PATH_PREFIX) PathPrefix?: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

export const listUsers = control<ListUsers, Wire<ListUsersResponse>>({
  service: 'iam',
  name: 'ListUsers',
  request: ListUsers,
  run(request, call, { projection }) {
    const { account } = call.caller;
    mayActOn(userArn(account, request.PathPrefix ?? '/', ''), call);
    const asked = pageAsked(request, call, request.PathPrefix);
    const users = projection.usersAfter(account, positionOf(asked), request.PathPrefix);
    const page = takePage(users, asked, ({ state }) => state.name);
    return { Users: page.items.map(({ state }) => userFields(account, state)), ...pageFields(page) };
  },
});

class DeleteUser implements DeleteUserRequest {
  @Required(USER_NAME) UserName!: string;
}

export const deleteUser = control<DeleteUser, undefined>({
  service: 'iam',
  name: 'DeleteUser',
  request: DeleteUser,
  async run({ UserName }, call, ports) {
    const { ref } = userFor(UserName, call, ports.projection);
    await ports.runCommand(ref, { type: 'DeleteUser' }, call);
    return undefined;
  },
});
