import type {
  CreateRoleRequest,
  CreateRoleResponse,
  DeleteRoleRequest,
  GetRoleRequest,
  GetRoleResponse,
  ListRolesRequest,
  ListRolesResponse,
  Role,
  UpdateAssumeRolePolicyRequest,
} from '@aws-sdk/client-iam';
import { roleArn } from '#domain/arn';
import { roleRef } from '#domain/principal/principal-id';
import { noSuchRole, quotaExceeded } from '#domain/principal/refusals';
import type { RolePrincipal } from '#domain/principal/state';
import type { Projection } from '#views/projection';
import type { Limit } from '../limits';
import { shownPolicy } from '../named-principals';
import { type ControlPorts, control } from '../operation';
import { entriesOf, takePage } from '../pagination';
import { Optional, Required } from '../wire/fields';
import { epochSeconds, type Wire } from '../wire/wire';
import { mayActOn, roleFor } from './access';
import { MARKER, MAX_ITEMS, PATH, PATH_PREFIX, POLICY_DOCUMENT, ROLE_NAME, TAGS } from './fields';
import { pageAsked, pageFields, positionOf } from './iam-pages';
import { domainTags, type WireTag, wireTags } from './iam-tags';
import { assertNoBoundary, BOUNDARY } from './permissions-boundary';
import { checkTrustPolicy, encodedDocument } from './policy-documents';
import { ID_BYTES, uniqueId } from './unique-ids';

const ROLES_PER_ACCOUNT = 1_000;
const DEFAULT_SESSION_SECONDS = 3_600;
const DESCRIPTION = {
  kind: 'string',
  min: 0,
  max: 1000,
  pattern: /^[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*$/,
} as const;

const rolesOf = (account: string, { projection }: ControlPorts): Limit => ({
  of: `roles of ${account}`,
  max: ROLES_PER_ACCOUNT,
  count: () => projection.principalCount('Role', account),
  has: (id) => projection.folded({ ...roleRef(account, ''), id })?.state.kind === 'Role',
  refusal: () => quotaExceeded('RolesPerAccount', ROLES_PER_ACCOUNT),
});

const roleFields = (account: string, role: RolePrincipal, projection: Projection): Wire<Role> => ({
  Path: role.path,
  RoleName: role.name,
  RoleId: role.uniqueId,
  Arn: roleArn(account, role.path, role.name),
  CreateDate: epochSeconds(role.createdAt),
  AssumeRolePolicyDocument: encodedDocument(shownPolicy(role.trustPolicy, role.namedIds, projection)),
  ...(role.description === '' ? {} : { Description: role.description }),
  MaxSessionDuration: role.maxSessionDuration,
});

const withTags = (account: string, role: RolePrincipal, projection: Projection): Wire<Role> => ({
  ...roleFields(account, role, projection),
  ...(role.tags.length === 0 ? {} : { Tags: wireTags(role.tags) }),
});

class CreateRole implements CreateRoleRequest {
  @Optional(PATH) Path?: string;
  @Required(ROLE_NAME) RoleName!: string;
  @Required(POLICY_DOCUMENT) AssumeRolePolicyDocument!: string;
  @Optional(DESCRIPTION) Description?: string;
  @Optional({ kind: 'integer', min: 3600, max: 43200 }) MaxSessionDuration?: number;
  @Optional(BOUNDARY) PermissionsBoundary?: string;
  @Optional(TAGS) Tags?: WireTag[];
}

export const createRole = control<CreateRole, Wire<CreateRoleResponse>>({
  service: 'iam',
  name: 'CreateRole',
  request: CreateRole,
  async run(request, call, ports) {
    const { account } = call.caller;
    const { RoleName: name, Path: path = '/' } = request;
    const tags = domainTags(request.Tags);
    mayActOn(roleArn(account, path, name), call, { tags });
    assertNoBoundary(request.PermissionsBoundary);
    const checked = checkTrustPolicy(request.AssumeRolePolicyDocument, call, ports.projection);
    const ref = roleRef(account, name);
    const command = {
      type: 'CreateRole',
      name,
      path,
      uniqueId: uniqueId('AROA', ports.random(ID_BYTES)),
      description: request.Description ?? '',
      maxSessionDuration: request.MaxSessionDuration ?? DEFAULT_SESSION_SECONDS,
      ...checked,
      tags,
    } as const;
    await ports.limits.within(rolesOf(account, ports), ref.id, call, () => ports.runCommand(ref, command, call));
    const state = ports.projection.role(account, name)?.state;
    if (state?.kind !== 'Role') throw noSuchRole(name);
    return { Role: withTags(account, state, ports.projection) };
  },
});

class RoleNameOnly implements GetRoleRequest, DeleteRoleRequest {
  @Required(ROLE_NAME) RoleName!: string;
}

export const getRole = control<RoleNameOnly, Wire<GetRoleResponse>>({
  service: 'iam',
  name: 'GetRole',
  request: RoleNameOnly,
  run: ({ RoleName }, call, { projection }) => ({
    Role: withTags(call.caller.account, roleFor(RoleName, call, projection).state, projection),
  }),
});

export const deleteRole = control<RoleNameOnly, undefined>({
  service: 'iam',
  name: 'DeleteRole',
  request: RoleNameOnly,
  async run({ RoleName }, call, ports) {
    const { ref } = roleFor(RoleName, call, ports.projection);
    await ports.runCommand(ref, { type: 'DeleteRole' }, call);
    return undefined;
  },
});

class ListRoles implements ListRolesRequest {
  @Optional(PATH_PREFIX) PathPrefix?: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

export const listRoles = control<ListRoles, Wire<ListRolesResponse>>({
  service: 'iam',
  name: 'ListRoles',
  request: ListRoles,
  run(request, call, { projection }) {
    const { account } = call.caller;
    mayActOn(roleArn(account, request.PathPrefix ?? '/', ''), call);
    const asked = pageAsked(request, call, request.PathPrefix);
    const roles = projection.rolesAfter(account, positionOf(asked), request.PathPrefix);
    const shown = entriesOf(roles, ({ state }) => roleFields(account, state, projection));
    const page = takePage(shown, asked, ({ RoleName }) => RoleName!);
    return { Roles: page.items, ...pageFields(page) };
  },
});

class UpdateAssumeRolePolicy implements UpdateAssumeRolePolicyRequest {
  @Required(ROLE_NAME) RoleName!: string;
  @Required(POLICY_DOCUMENT) PolicyDocument!: string;
}

export const updateAssumeRolePolicy = control<UpdateAssumeRolePolicy, undefined>({
  service: 'iam',
  name: 'UpdateAssumeRolePolicy',
  request: UpdateAssumeRolePolicy,
  async run({ RoleName, PolicyDocument }, call, ports) {
    const { ref } = roleFor(RoleName, call, ports.projection);
    const checked = checkTrustPolicy(PolicyDocument, call, ports.projection);
    await ports.runCommand(ref, { type: 'PutTrustPolicy', ...checked }, call);
    return undefined;
  },
});
