import type { GetRolePolicyResponse, GetUserPolicyResponse, ListUserPoliciesResponse } from '@aws-sdk/client-iam';
import { noSuchPolicy } from '#domain/principal/refusals';
import { type ControlOperation, control } from '../operation';
import { Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { MARKER, MAX_ITEMS, POLICY_DOCUMENT, POLICY_NAME } from './fields';
import { listPage, type PageRequest, pageAsked, pageFields } from './iam-pages';
import { assertIdentityPolicy, encodedDocument } from './policy-documents';
import { found, type Naming, type PrincipalKind, ROLE, requestClass, USER } from './principal-kinds';

interface PolicyName {
  PolicyName: string;
}

interface Policy extends PolicyName {
  PolicyDocument: string;
}

const putPolicy = (of: PrincipalKind): ControlOperation =>
  control<Naming<Policy>, undefined>({
    service: 'iam',
    name: `Put${of.kind}Policy`,
    request: requestClass<Policy>(of, {
      PolicyName: Required(POLICY_NAME),
      PolicyDocument: Required(POLICY_DOCUMENT),
    }),
    async run(request, call, ports) {
      const { ref } = found(of, request, call, ports.projection);
      const { PolicyName: policyName, PolicyDocument: policy } = request;
      assertIdentityPolicy(policy);
      await ports.runCommand(ref, { type: 'PutPolicy', policyName, policy }, call);
      return undefined;
    },
  });

const getPolicy = (of: PrincipalKind): ControlOperation =>
  control<Naming<PolicyName>, Wire<Partial<GetUserPolicyResponse & GetRolePolicyResponse>>>({
    service: 'iam',
    name: `Get${of.kind}Policy`,
    request: requestClass<PolicyName>(of, { PolicyName: Required(POLICY_NAME) }),
    run(request, call, { projection }) {
      const { kind, name, policies } = found(of, request, call, projection).state;
      const { PolicyName } = request;
      if (!Object.hasOwn(policies, PolicyName)) throw noSuchPolicy(kind, PolicyName);
      return { [of.nameMember]: name, PolicyName, PolicyDocument: encodedDocument(policies[PolicyName]!) };
    },
  });

const deletePolicy = (of: PrincipalKind): ControlOperation =>
  control<Naming<PolicyName>, undefined>({
    service: 'iam',
    name: `Delete${of.kind}Policy`,
    request: requestClass<PolicyName>(of, { PolicyName: Required(POLICY_NAME) }),
    async run(request, call, ports) {
      const { ref } = found(of, request, call, ports.projection);
      await ports.runCommand(ref, { type: 'DeletePolicy', policyName: request.PolicyName }, call);
      return undefined;
    },
  });

const listPolicies = (of: PrincipalKind): ControlOperation =>
  control<Naming<PageRequest>, Wire<ListUserPoliciesResponse>>({
    service: 'iam',
    name: `List${of.kind}Policies`,
    request: requestClass<PageRequest>(of, { Marker: Optional(MARKER), MaxItems: Optional(MAX_ITEMS) }),
    run(request, call, { projection }) {
      const { arn, state } = found(of, request, call, projection);
      const page = listPage(Object.keys(state.policies), pageAsked(request, call, arn));
      return { PolicyNames: page.items, ...pageFields(page) };
    },
  });

export const putUserPolicy = putPolicy(USER);
export const getUserPolicy = getPolicy(USER);
export const deleteUserPolicy = deletePolicy(USER);
export const listUserPolicies = listPolicies(USER);
export const putRolePolicy = putPolicy(ROLE);
export const getRolePolicy = getPolicy(ROLE);
export const deleteRolePolicy = deletePolicy(ROLE);
export const listRolePolicies = listPolicies(ROLE);
