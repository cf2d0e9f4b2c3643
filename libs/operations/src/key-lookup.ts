import { aliasNotFound } from '#domain/alias/alias';
import { aliasArn, keyArn, parseKmsArn } from '#domain/arn';
import { KmsError } from '#domain/errors';
import { keyNotFound, livingKeyAt } from '#domain/key/decide';
import type { LivingKey } from '#domain/key/state';
import type { AggregateRef } from '#domain/subjects';
import type { Projection } from '#views/projection';
import type { Call } from './operation';

export interface FoundKey {
  ref: AggregateRef<'key'>;
  keyId: string;
  arn: string;
  key: LivingKey;
}

/** What KeyId may be: `key` takes a key id or key ARN; `any` an alias name or alias ARN as well. */
export type Accepts = 'key' | 'any';

const KEY_ID = /^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32})$/;

/** The key that a request's KeyId names, if it exists at `call.now`. Throws NotFoundException or InvalidArnException. */
export function findKey(keyId: string, accepts: Accepts, call: Call, projection: Projection): FoundKey {
  const { region, account } = call.caller;
  if (keyId.length === 36 && keyId.charCodeAt(8) === 45)
    return keyById(region, account, keyId, call, projection, quoted(keyId));
  const { resource, inArn } = resourceOf(keyId, call);
  if (resource.startsWith('alias/')) {
    if (accepts === 'key') {
      throw new KmsError('InvalidArnException', 'Key Aliases are not supported for this operation.');
    }
    return keyByAlias(region, account, resource, call, projection);
  }
  const id = inArn ? resource.slice('key/'.length) : resource;
  return keyById(region, account, id, call, projection, inArn ? id : quoted(id));
}

/** The key that an alias points at. `aliasName` includes `alias/`. */
function keyByAlias(region: string, account: string, aliasName: string, call: Call, projection: Projection): FoundKey {
  const alias = projection.alias(region, account, aliasName.slice('alias/'.length))?.state;
  if (alias?.aliasState !== 'Active') throw aliasNotFound(aliasArn(region, account, aliasName));
  const found = existingKey(region, account, alias.targetKeyId, call, projection);
  // The key has been deleted and its alias is about to be: it is gone already for callers.
  if (!found) throw aliasNotFound(aliasArn(region, account, aliasName));
  return found;
}

/** Whether the key exists for callers at `call.now`. */
export function existingKey(
  region: string,
  account: string,
  keyId: string,
  call: Call,
  projection: Projection,
): FoundKey | undefined {
  const folded = projection.key(region, account, keyId);
  const key = folded && livingKeyAt(folded.state, call.now);
  return key && { ref: folded.ref, keyId, arn: keyArn(region, account, keyId), key };
}

/** The alias or key resource in an identifier; throws for an ARN that is not one, or of another region or account. */
export function resourceOf(identifier: string, call: Call): { resource: string; inArn: boolean } {
  if (!identifier.startsWith('arn:')) return { resource: identifier, inArn: false };
  const arn = parseKmsArn(identifier);
  if (!arn) throw new KmsError('InvalidArnException', `${identifier} is not a valid key or alias ARN`);
  if (arn.region !== call.caller.region) throw new KmsError('NotFoundException', `Invalid arn ${arn.region}`);
  if (arn.account !== call.caller.account) {
    if (arn.resource.startsWith('alias/')) throw aliasNotFound(identifier);
    throw nowhereFor(call, call.operation, 'this resource');
  }
  return { resource: arn.resource, inArn: true };
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
