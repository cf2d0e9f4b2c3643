import { aliasNotFound } from '#domain/alias/alias';
import { aliasArn, keyArn, parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { keyNotFound, livingKeyAt } from '#domain/key/living';
import { factsOf, type LivingKey } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import { isUnavailable } from '#views/key-store';
import type { Projection } from '#views/projection';
import { type ManagedKey, unmintedKey } from './managed-keys';
import type { Call } from './operation';

export interface FoundKey {
  ref: AggregateRef<'key'>;
  keyId: string;
  arn: string;
  key: LivingKey;
  /** `alias/<name>`, where the request named the key by an alias. */
  viaAlias?: string;
  /** Set while it is no more than what `alias/aws/<service>` is going to name. */
  toMint?: ManagedKey;
}

/** What KeyId may be: `key` takes a key id or key ARN; `any` an alias name or alias ARN as well. */
export type Accepts = 'key' | 'any';

const KEY_ID = /^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32})$/;

/** Operations of the API that take a key of another account, as the documentation of each says. */
const ACROSS_ACCOUNTS: ReadonlySet<string> = new Set([
  'CreateGrant',
  'Decapsulate',
  'Decrypt',
  'DeriveSharedSecret',
  'DescribeKey',
  'Encapsulate',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'GetKeyRotationStatus',
  'GetPublicKey',
  'ListGrants',
  'ReEncrypt',
  'RetireGrant',
  'RevokeGrant',
  'Sign',
  'Verify',
  'VerifyMac',
]);

export const takesKeysOfOtherAccounts = (operation: string): boolean => ACROSS_ACCOUNTS.has(operation);

/**
 * The key that a request's KeyId names, if it exists at `call.now`. One of another account is yet to be authorised, and
 * one that does not exist there is refused like one that nothing allows: `action` is what that refusal names. Throws
 * NotFoundException, InvalidArnException or AccessDeniedException.
 */
export function findKey(
  keyId: string,
  accepts: Accepts,
  call: Call,
  projection: Projection,
  action = call.operation,
): FoundKey {
  const { region, account } = call.caller;
  if (keyId.length === 36 && KEY_ID.test(keyId))
    return keyById(region, account, keyId, call, projection, quoted(keyId));
  const { resource, inArn, account: owner } = resourceOf(keyId, call, action);
  const isAlias = resource.startsWith('alias/');
  if (isAlias && accepts === 'key') {
    throw new KmsError('InvalidArnException', 'Key Aliases are not supported for this operation.');
  }
  if (owner !== account) {
    const found = isAlias
      ? aliasedKey(region, owner, resource, call, projection)
      : existingKey(region, owner, resource.slice('key/'.length), call, projection);
    if (!found) throw nowhereFor(call, action, 'this resource');
    return found;
  }
  if (isAlias) {
    const found = aliasedKey(region, account, resource, call, projection) ?? unmintedAlias(resource, call);
    if (!found) throw aliasNotFound(aliasArn(region, account, resource));
    return found;
  }
  const id = inArn ? resource.slice('key/'.length) : resource;
  return keyById(region, account, id, call, projection, inArn ? id : quoted(id));
}

/**
 * The key that an alias points at. `aliasName` includes `alias/`. None while the key has been deleted and its alias is
 * about to be: it is gone already for callers.
 */
function aliasedKey(
  region: string,
  account: string,
  aliasName: string,
  call: Call,
  projection: Projection,
): FoundKey | undefined {
  const alias = projection.alias(region, account, aliasName.slice('alias/'.length))?.state;
  if (alias?.aliasState !== 'Active') return undefined;
  const found = existingKey(region, account, alias.targetKeyId, call, projection);
  return found && { ...found, viaAlias: aliasName };
}

const unmintedAlias = (aliasName: string, { caller, now }: Call): FoundKey | undefined =>
  unmintedKey(caller.region, caller.account, aliasName.slice('alias/'.length), now);

/** Whether the key exists for callers at `call.now`. */
export function existingKey(
  region: string,
  account: string,
  keyId: string,
  call: Pick<Call, 'now'>,
  projection: Projection,
): FoundKey | undefined {
  const folded = projection.key(region, account, keyId);
  const key = folded && livingKeyAt(folded.state, call.now);
  if (!key) return undefined;
  const shown = isUnavailable(projection, folded.ref, key) ? unavailable(key) : key;
  return { ref: folded.ref, keyId, arn: keyArn(region, account, keyId), key: shown };
}

/** By the state object: policies are compiled by that. */
const unavailableKeys = new WeakMap<LivingKey, LivingKey>();

/** The key while its custom key store is not connected. To be deleted it still is. */
function unavailable(key: LivingKey): LivingKey {
  if (key.keyState !== 'Enabled' && key.keyState !== 'Disabled') return key;
  const known = unavailableKeys.get(key);
  if (known) return known;
  const shown: LivingKey = { keyState: 'Unavailable', ...factsOf(key), restores: key.keyState };
  unavailableKeys.set(key, shown);
  return shown;
}

/** The same key as it is in the view now. Throws NotFoundException once it is gone. */
export function foundAnew(before: FoundKey, call: Call, projection: Projection): FoundKey {
  const { ref, keyId, arn, viaAlias } = before;
  const found = existingKey(ref.region, ref.account, keyId, call, projection);
  if (!found && before.toMint) return before;
  if (!found) throw keyNotFound(arn);
  return viaAlias === undefined ? found : { ...found, viaAlias };
}

/**
 * The alias or key resource in an identifier, and whose it is; throws for an ARN that is not one, of another region, or of
 * another account where the operation takes none.
 */
export function resourceOf(
  identifier: string,
  call: Call,
  action = call.operation,
): { resource: string; inArn: boolean; account: string } {
  const { region, account } = call.caller;
  if (!identifier.startsWith('arn:')) return { resource: identifier, inArn: false, account };
  const arn = parseKmsArn(identifier);
  if (!arn) throw new KmsError('InvalidArnException', `${identifier} is not a valid key or alias ARN`);
  if (arn.region !== region) throw new KmsError('NotFoundException', `Invalid arn ${arn.region}`);
  if (arn.account !== account && !takesKeysOfOtherAccounts(call.operation)) {
    throw nowhereFor(call, action, 'this resource');
  }
  return { resource: arn.resource, inArn: true, account: arn.account };
}

/** AWS's refusal of what is not in the caller's region and account: it does not say which of its reasons holds. */
export const nowhereFor = (call: Call, action: string, what: string): KmsError =>
  new KmsError(
    'AccessDeniedException',
    `User: ${call.caller.principalArn} is not authorized to perform: kms:${action} on ${what} because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`,
  );

const quoted = (text: string): string => `'${text}'`;

function keyById(
  region: string,
  account: string,
  keyId: string,
  call: Call,
  projection: Projection,
  shown: string,
): FoundKey {
  const found = existingKey(region, account, keyId, call, projection);
  if (found) return found;
  if (!KEY_ID.test(keyId)) throw new KmsError('NotFoundException', `Invalid keyId ${shown}`);
  throw keyNotFound(keyArn(region, account, keyId));
}
