import type {
  GetRolePolicyResponse,
  GetUserPolicyResponse,
  ListRolePoliciesResponse,
  ListUserPoliciesResponse,
} from '@aws-sdk/client-iam';
import { noSuchPolicy } from '#domain/principal/refusals';
import type { NamedPrincipal } from '#domain/principal/state';
import { type Call, type ControlPorts, control } from '../operation';
import { Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { type FoundPrincipal, roleFor, userFor } from './access';
import { MARKER, MAX_ITEMS, POLICY_DOCUMENT, POLICY_NAME, ROLE_NAME, USER_NAME } from './fields';
import { listPage, type PageRequest, pageFields } from './iam-pages';
import { assertPolicyDocument, encodedDocument } from './policy-documents';

type Found = FoundPrincipal<NamedPrincipal>;

async function put(found: Found, policyName: string, policy: string, call: Call, ports: ControlPorts) {
  assertPolicyDocument(policy, 'identity');
  await ports.runCommand(found.ref, { type: 'PutPolicy', policyName, policy }, call);
  return undefined;
}

async function remove(found: Found, policyName: string, call: Call, ports: ControlPorts) {
  await ports.runCommand(found.ref, { type: 'DeletePolicy', policyName }, call);
  return undefined;
}

function documentOf({ state }: Found, policyName: string): string {
  const { kind, policies } = state;
  if (!Object.hasOwn(policies, policyName)) throw noSuchPolicy(kind, policyName);
  return encodedDocument(policies[policyName]!);
}

function names({ state }: Found, request: PageRequest) {
  const page = listPage(Object.keys(state.policies), request);
  return { PolicyNames: page.items, ...pageFields(page) };
}

class UserPolicyName {
  @Required(USER_NAME) UserName!: string;
  @Required(POLICY_NAME) PolicyName!: string;
}

class UserPolicy {
  @Required(USER_NAME) UserName!: string;
  @Required(POLICY_NAME) PolicyName!: string;
  @Required(POLICY_DOCUMENT) PolicyDocument!: string;
}

class UserPolicies implements PageRequest {
  @Required(USER_NAME) UserName!: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

class RolePolicyName {
  @Required(ROLE_NAME) RoleName!: string;
  @Required(POLICY_NAME) PolicyName!: string;
}

class RolePolicy {
  @Required(ROLE_NAME) RoleName!: string;
  @Required(POLICY_NAME) PolicyName!: string;
  @Required(POLICY_DOCUMENT) PolicyDocument!: string;
}

class RolePolicies implements PageRequest {
  @Required(ROLE_NAME) RoleName!: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

export const putUserPolicy = control<UserPolicy, undefined>({
  service: 'iam',
  name: 'PutUserPolicy',
  request: UserPolicy,
  run: ({ UserName, PolicyName, PolicyDocument }, call, ports) =>
    put(userFor(UserName, call, ports.projection), PolicyName, PolicyDocument, call, ports),
});

export const getUserPolicy = control<UserPolicyName, Wire<GetUserPolicyResponse>>({
  service: 'iam',
  name: 'GetUserPolicy',
  request: UserPolicyName,
  run({ UserName, PolicyName }, call, { projection }) {
    const found = userFor(UserName, call, projection);
    return { UserName: found.state.name, PolicyName, PolicyDocument: documentOf(found, PolicyName) };
  },
});

export const deleteUserPolicy = control<UserPolicyName, undefined>({
  service: 'iam',
  name: 'DeleteUserPolicy',
  request: UserPolicyName,
  run: ({ UserName, PolicyName }, call, ports) =>
    remove(userFor(UserName, call, ports.projection), PolicyName, call, ports),
});

export const listUserPolicies = control<UserPolicies, Wire<ListUserPoliciesResponse>>({
  service: 'iam',
  name: 'ListUserPolicies',
  request: UserPolicies,
  run: (request, call, { projection }) => names(userFor(request.UserName, call, projection), request),
});

export const putRolePolicy = control<RolePolicy, undefined>({
  service: 'iam',
  name: 'PutRolePolicy',
  request: RolePolicy,
  run: ({ RoleName, PolicyName, PolicyDocument }, call, ports) =>
    put(roleFor(RoleName, call, ports.projection), PolicyName, PolicyDocument, call, ports),
});

export const getRolePolicy = control<RolePolicyName, Wire<GetRolePolicyResponse>>({
  service: 'iam',
  name: 'GetRolePolicy',
  request: RolePolicyName,
  run({ RoleName, PolicyName }, call, { projection }) {
    const found = roleFor(RoleName, call, projection);
    return { RoleName: found.state.name, PolicyName, PolicyDocument: documentOf(found, PolicyName) };
  },
});

export const deleteRolePolicy = control<RolePolicyName, undefined>({
  service: 'iam',
  name: 'DeleteRolePolicy',
  request: RolePolicyName,
  run: ({ RoleName, PolicyName }, call, ports) =>
    remove(roleFor(RoleName, call, ports.projection), PolicyName, call, ports),
});

export const listRolePolicies = control<RolePolicies, Wire<ListRolePoliciesResponse>>({
  service: 'iam',
  name: 'ListRolePolicies',
  request: RolePolicies,
  run: (request, call, { projection }) => names(roleFor(request.RoleName, call, projection), request),
});
