import type {
  CreateKeyRequest,
  CreateKeyResponse,
  DescribeKeyRequest,
  DescribeKeyResponse,
  DisableKeyRequest,
  EnableKeyRequest,
  ListKeysRequest,
  ListKeysResponse,
  UpdateKeyDescriptionRequest,
} from '@aws-sdk/client-kms';
import { isImportable } from '#crypto/imported-material';
import { keyArn } from '#domain/arn';
import { KmsError, RequestFault } from '#domain/errors';
import type { KeyOrigin } from '#domain/key/events';
import { fittingUsage, KEY_SPECS, KEY_USAGES, type KeySpec, type KeyUsage } from '#domain/key/key-kinds';
import type { ContextLookup } from '#policy/variables';
import { authorizeAccount, authorizeKey } from './authorization';
import { fixedContext, tagContext } from './condition-context';
import { CUSTOM_KEY_STORE_ID, XKS_KEY_ID } from './custom-key-stores/fields';
import { assertPlaced, placeInStore } from './custom-key-stores/key-in-store';
import { existingKey, findKey } from './key-lookup';
import { keyMetadata } from './key-metadata';
import { newKeyPolicy } from './key-policy';
import type { Limit } from './limits';
import { type Call, type ControlPorts, control } from './operation';
import { pageAsked, pageFields, positionOf, takePage } from './pagination';
import { asTags, domainTags } from './tags';
import { BOOLEAN, GRANT_TOKENS, KEY_ID, LIMIT, MARKER, Optional, POLICY, Required, TAGS } from './wire/fields';
import type { Wire } from './wire/wire';

const ORIGINS = ['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] as const;
const KEYS_PER_ACCOUNT_AND_REGION = 100_000;
export const DESCRIPTION = { kind: 'string', min: 0, max: 8192 } as const;

class CreateKey implements CreateKeyRequest {
  @Optional(POLICY) Policy?: string;
  @Optional(DESCRIPTION) Description?: string;
  @Optional({ kind: 'enum', values: KEY_USAGES }) KeyUsage?: KeyUsage;
  @Optional({ kind: 'enum', values: KEY_SPECS }) CustomerMasterKeySpec?: NonNullable<
    CreateKeyRequest['CustomerMasterKeySpec']
  >;
  @Optional({ kind: 'enum', values: KEY_SPECS }) KeySpec?: KeySpec;
  @Optional({ kind: 'enum', values: ORIGINS }) Origin?: (typeof ORIGINS)[number];
  @Optional(CUSTOM_KEY_STORE_ID) CustomKeyStoreId?: string;
  @Optional(XKS_KEY_ID) XksKeyId?: string;
  @Optional(BOOLEAN) BypassPolicyLockoutSafetyCheck?: boolean;
  @Optional(TAGS) Tags?: { TagKey: string; TagValue: string }[];
  @Optional(BOOLEAN) MultiRegion?: boolean;
}

/** What the key is to be. Throws ValidationException or UnsupportedOperationException for what no key can be. */
function keyKind(request: CreateKey): { keySpec: KeySpec; keyUsage: KeyUsage; origin: KeyOrigin } {
  if (request.KeySpec !== undefined && request.CustomerMasterKeySpec !== undefined) {
    throw new RequestFault(
      'You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.',
    );
  }
  const keySpec = request.KeySpec ?? request.CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
  const keyUsage = fittingUsage(keySpec, request.KeyUsage);
  const origin = request.Origin ?? 'AWS_KMS';
  if (origin === 'EXTERNAL' && !isImportable(keySpec)) {
    throw new KmsError('UnsupportedOperationException', `KeySpec ${keySpec} is not supported for Origin EXTERNAL.`);
  }
  assertPlaced(request, origin, keySpec);
  return { keySpec, keyUsage, origin };
}

/** Tags at creation need the permission to tag as well. */
function authorizeCreation(request: CreateKey, call: Call): void {
  const keySpec = request.KeySpec ?? request.CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
  const keyUsage = request.KeyUsage ?? 'ENCRYPT_DECRYPT';
  const tags = tagContext(asTags(request.Tags ?? []));
  const fixed = fixedContext({
    'kms:bypasspolicylockoutsafetycheck': request.BypassPolicyLockoutSafetyCheck ?? false,
    'kms:customermasterkeyspec': keySpec,
    'kms:customermasterkeyusage': keyUsage,
    'kms:keyorigin': request.Origin ?? 'AWS_KMS',
    'kms:keyspec': keySpec,
    'kms:keyusage': keyUsage,
    'kms:multiregion': request.MultiRegion ?? false,
    'kms:multiregionkeytype': request.MultiRegion ? 'PRIMARY' : undefined,
  });
  const context: ContextLookup = (key) => fixed(key) ?? tags(key);
  authorizeAccount(call, { context });
  if (request.Tags && request.Tags.length > 0) authorizeAccount(call, { action: 'TagResource', context });
}

export const keysOf = (region: string, account: string, { projection }: ControlPorts): Limit => ({
  of: `keys of ${account} in ${region}`,
  max: KEYS_PER_ACCOUNT_AND_REGION,
  count: () => projection.keyCount(region, account),
  has: (keyId) => projection.key(region, account, keyId) !== undefined,
  refusal: () =>
    new KmsError(
      'LimitExceededException',
      `There can be at most ${KEYS_PER_ACCOUNT_AND_REGION} keys in an account and region`,
    ),
});

export const createKey = control<CreateKey, Wire<CreateKeyResponse>>({
  name: 'CreateKey',
  request: CreateKey,
  async run(request, call, ports) {
    authorizeCreation(request, call);
    const kind = keyKind(request);
    const { region, account } = call.caller;
    const inStore = placeInStore(request, call, ports);
    const tags = domainTags(request.Tags ?? []);
    const checked = newKeyPolicy(request, call, ports.projection);
    const multiRegion = request.MultiRegion ?? false;
    // A key pair takes its time, after which all begins anew: for this key.
    const keyId = call.offLoop?.once('the new key', () => ports.newKeyId(multiRegion)) ?? ports.newKeyId(multiRegion);
    const ref = { region, account, aggregate: 'key', id: keyId } as const;
    const command = {
      type: 'CreateKey',
      description: request.Description ?? '',
      ...kind,
      multiRegion,
      ...inStore.facts,
      ...checked,
      tags,
    } as const;
    const create = () => inStore.within(keyId, () => ports.runCommand(ref, command, call));
    await ports.limits.within(keysOf(region, account, ports), keyId, call, create);
    const found = existingKey(region, account, keyId, call, ports.projection);
    if (!found) throw new KmsError('KMSInternalException', `${keyArn(region, account, keyId)} was created and is gone`);
    call.trail?.about(found.arn, account);
    return { KeyMetadata: keyMetadata(found, call, ports.projection) };
  },
});

class DescribeKey implements DescribeKeyRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
}

export const describeKey = control<DescribeKey, Wire<DescribeKeyResponse>>({
  name: 'DescribeKey',
  request: DescribeKey,
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'any', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    return { KeyMetadata: keyMetadata(found, call, ports.projection) };
  },
});

class ListKeys implements ListKeysRequest {
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
}

const PAGE_SIZES = { byDefault: 100, atMost: 1000 };

export const listKeys = control<ListKeys, Wire<ListKeysResponse>>({
  name: 'ListKeys',
  request: ListKeys,
  run(request, call, { projection }) {
    authorizeAccount(call);
    const { region, account } = call.caller;
    const asked = pageAsked(request, call, PAGE_SIZES);
    const keyIds = existing(projection.keyIdsAfter(region, account, positionOf(asked)), call, projection);
    const page = takePage(keyIds, asked, (keyId) => keyId);
    return {
      Keys: page.items.map((keyId) => ({ KeyId: keyId, KeyArn: keyArn(region, account, keyId) })),
      ...pageFields(page),
    };
  },
});

function* existing(keyIds: Iterable<string>, call: Call, projection: ControlPorts['projection']): Iterable<string> {
  for (const keyId of keyIds) {
    if (existingKey(call.caller.region, call.caller.account, keyId, call, projection)) yield keyId;
  }
}

class KeyIdOnly implements EnableKeyRequest, DisableKeyRequest {
  @Required(KEY_ID) KeyId!: string;
}

const switchKey = (name: 'EnableKey' | 'DisableKey') =>
  control<KeyIdOnly, undefined>({
    name,
    request: KeyIdOnly,
    async run(request, call, ports) {
      const found = findKey(request.KeyId, 'key', call, ports.projection);
      authorizeKey(call, ports.projection, found);
      await ports.runCommand(found.ref, { type: name }, call);
      return undefined;
    },
  });

export const enableKey = switchKey('EnableKey');
export const disableKey = switchKey('DisableKey');

class UpdateKeyDescription implements UpdateKeyDescriptionRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(DESCRIPTION) Description!: string;
}

export const updateKeyDescription = control<UpdateKeyDescription, undefined>({
  name: 'UpdateKeyDescription',
  request: UpdateKeyDescription,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    await ports.runCommand(found.ref, { type: 'UpdateKeyDescription', description: request.Description }, call);
    return undefined;
  },
});
