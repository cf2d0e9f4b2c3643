import { createPublicKey, type KeyObject } from 'node:crypto';
import type { GetPublicKeyRequest, GetPublicKeyResponse } from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { isAsymmetric } from '#domain/key/key-kinds';
import type { LivingKey } from '#domain/key/state';
import { assertStateAllows } from '#domain/key/state-table';
import { authorizeKey } from './authorization';
import { findKey } from './key-lookup';
import { algorithmsByUsage } from './key-metadata';
import { data } from './operation';
import { GRANT_TOKENS, KEY_ID, Optional, Required } from './wire/fields';
import type { Wire } from './wire/wire';

/** The public half of an asymmetric key. */
interface PublicHalf {
  /** SubjectPublicKeyInfo (RFC 5280), DER. */
  spki: Buffer;
  /** Undefined for what this OpenSSL knows nothing of, which are post-quantum keys. */
  readonly keyObject: KeyObject | undefined;
}

/** By the state object, of which each change of the key makes a new one. */
const halves = new WeakMap<LivingKey, PublicHalf>();

/** To be asked of asymmetric keys that have their material. */
export function publicHalf(key: LivingKey): PublicHalf {
  const known = halves.get(key);
  if (known) return known;
  const spki = Buffer.from(key.publicKey!, 'base64');
  const opaque = /^ML_/.test(key.keySpec);
  const half = { spki, keyObject: opaque ? undefined : createPublicKey({ key: spki, format: 'der', type: 'spki' }) };
  halves.set(key, half);
  return half;
}

class GetPublicKey implements GetPublicKeyRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
}

export const getPublicKey = data<GetPublicKey, Wire<GetPublicKeyResponse>>({
  name: 'GetPublicKey',
  request: GetPublicKey,
  quotaClass: 'GetPublicKey',
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'any', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    const { key, arn } = found;
    const { keySpec, keyUsage } = key;
    const hasPublicKey = isAsymmetric(keySpec);
    // In AWS's order, in which that a key is disabled counts for nothing.
    if (hasPublicKey || key.keyState !== 'Disabled') assertStateAllows('GetPublicKey', key.keyState, arn);
    if (!hasPublicKey) throw new KmsError('UnsupportedOperationException', '');
    return {
      KeyId: arn,
      PublicKey: key.publicKey!,
      CustomerMasterKeySpec: keySpec as NonNullable<GetPublicKeyResponse['CustomerMasterKeySpec']>,
      KeySpec: keySpec,
      KeyUsage: keyUsage,
      ...algorithmsByUsage(key),
    };
  },
});
