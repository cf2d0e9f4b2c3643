import type {
  GetKeyPolicyRequest,
  GetKeyPolicyResponse,
  ListKeyPoliciesRequest,
  ListKeyPoliciesResponse,
  PutKeyPolicyRequest,
} from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { authorizeKey } from './authorization';
import { findKey } from './key-lookup';
import { bypassContext, checkKeyPolicy } from './key-policy';
import { shownPolicy } from './named-principals';
import { control } from './operation';
import { pageAsked, pageFields, pageOfList } from './pagination';
import { BOOLEAN, KEY_ID, LIMIT, MARKER, Optional, POLICY, POLICY_NAME, Required } from './wire/fields';
import type { Wire } from './wire/wire';

/** A KMS key has one policy, and this is its name. */
const DEFAULT = 'default';

function assertPolicyName(policyName: string | undefined): void {
  if (policyName !== undefined && policyName !== DEFAULT)
    throw new KmsError('NotFoundException', 'No such policy exists');
}

class GetKeyPolicy implements GetKeyPolicyRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(POLICY_NAME) PolicyName?: string;
}

export const getKeyPolicy = control<GetKeyPolicy, Wire<GetKeyPolicyResponse>>({
  name: 'GetKeyPolicy',
  request: GetKeyPolicy,
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    assertPolicyName(request.PolicyName);
    const { policy, namedIds } = found.key;
    return { Policy: shownPolicy(policy, namedIds, ports.projection), PolicyName: DEFAULT };
  },
});

class PutKeyPolicy implements PutKeyPolicyRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(POLICY_NAME) PolicyName?: string;
  @Required(POLICY) Policy!: string;
  @Optional(BOOLEAN) BypassPolicyLockoutSafetyCheck?: boolean;
}

export const putKeyPolicy = control<PutKeyPolicy, undefined>({
  name: 'PutKeyPolicy',
  request: PutKeyPolicy,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found, { context: bypassContext(request) });
    assertPolicyName(request.PolicyName);
    const { Policy, BypassPolicyLockoutSafetyCheck: bypass } = request;
    const checked = checkKeyPolicy(Policy, bypass, call, ports.projection, found.arn);
    await ports.runCommand(found.ref, { type: 'PutKeyPolicy', ...checked }, call);
    return undefined;
  },
});

class ListKeyPolicies implements ListKeyPoliciesRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
}

const PAGE_SIZES = { byDefault: 100, atMost: 1000 };

export const listKeyPolicies = control<ListKeyPolicies, Wire<ListKeyPoliciesResponse>>({
  name: 'ListKeyPolicies',
  request: ListKeyPolicies,
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    const page = pageOfList([DEFAULT], pageAsked(request, call, PAGE_SIZES, found.arn));
    return { PolicyNames: page.items, ...pageFields(page) };
  },
});
