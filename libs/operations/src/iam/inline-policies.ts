import type { GetRolePolicyResponse, GetUserPolicyResponse, ListUserPoliciesResponse } from '@aws-sdk/client-iam';
import { noSuchPolicy } from '#domain/principal/refusals';
import type { NamedPrincipal } from '#domain/principal/state';
import type { Projection } from '#views/projection';
import { type Call, type ControlOperation, control } from '../operation';
import type { Constraint } from '../wire/constraints';
import type { RequestClass } from '../wire/decode';
import { Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { type FoundPrincipal, roleFor, userFor } from './access';
import { MARKER, MAX_ITEMS, POLICY_DOCUMENT, POLICY_NAME, ROLE_NAME, USER_NAME } from './fields';
import { listPage, type PageRequest, pageFields } from './iam-pages';
import { assertIdentityPolicy, encodedDocument } from './policy-documents';

/** Whose policies: the operations of users and of roles differ in the member that names the principal, and by whom it names. */
interface PrincipalKind {
  kind: NamedPrincipal['kind'];
  nameMember: 'UserName' | 'RoleName';
  nameConstraint: Constraint;
  find(name: string, call: Call, projection: Projection): FoundPrincipal<NamedPrincipal>;
}

const USER: PrincipalKind = { kind: 'User', nameMember: 'UserName', nameConstraint: USER_NAME, find: userFor };
const ROLE: PrincipalKind = { kind: 'Role', nameMember: 'RoleName', nameConstraint: ROLE_NAME, find: roleFor };

/** Has the name that its kind of principal asks for. */
type Naming<Members> = Members & { [name in PrincipalKind['nameMember']]?: string };

interface PolicyName {
  PolicyName: string;
}

interface Policy extends PolicyName {
  PolicyDocument: string;
}

/** A class for each kind of principal: the member that names it, then the others. */
function requestClass<Members extends object>(
  { nameMember, nameConstraint }: PrincipalKind,
  members: Record<keyof Members & string, PropertyDecorator>,
): RequestClass<Naming<Members>> {
  class Request {}
  Required(nameConstraint)(Request.prototype, nameMember);
  for (const [name, member] of Object.entries<PropertyDecorator>(members)) member(Request.prototype, name);
  return Request as RequestClass<Naming<Members>>;
}

/** The decoder has required the name. */
const found = ({ find, nameMember }: PrincipalKind, request: Naming<object>, call: Call, projection: Projection) =>
  find(request[nameMember]!, call, projection);

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
      const page = listPage(Object.keys(found(of, request, call, projection).state.policies), request);
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
