import type { RetireGrantRequest, RevokeGrantRequest } from '@aws-sdk/client-kms';
import { RequestFault } from '#domain/errors';
import { authorizeKey } from '../authorization';
import { endDryRun } from '../dry-run';
import { findKey } from '../key-lookup';
import { type Call, control } from '../operation';
import { BOOLEAN, GRANT_ID, GRANT_TOKEN, KEY_ID, Optional, Required } from '../wire/fields';
import { findGrant } from './grant-lookup';
import { retirableGrant } from './retiring';

class RevokeGrant implements RevokeGrantRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(GRANT_ID) GrantId!: string;
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const revokeGrant = control<RevokeGrant, undefined>({
  name: 'RevokeGrant',
  request: RevokeGrant,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found);
    const { ref } = findGrant(request.GrantId, found, ports.projection);
    endDryRun(request.DryRun);
    await ports.runCommand(ref, { type: 'RevokeGrant', keyId: found.keyId }, call);
    return undefined;
  },
});

class RetireGrant implements RetireGrantRequest {
  @Optional(GRANT_TOKEN) GrantToken?: string;
  @Optional(KEY_ID) KeyId?: string;
  @Optional(GRANT_ID) GrantId?: string;
  @Optional(BOOLEAN) DryRun?: boolean;
}

/** Which grant the request means. Throws ValidationException where it names none, or two. */
function namedGrant(request: RetireGrant, { grantToken }: Call): { keyId: string; grantId: string } {
  const { GrantToken: token, KeyId: keyId, GrantId: grantId } = request;
  if (token === undefined && keyId !== undefined && grantId !== undefined) return { keyId, grantId };
  if (!grantToken || keyId !== undefined || grantId !== undefined) {
    throw new RequestFault('Specify either GrantToken, or both KeyId and GrantId.');
  }
  return { keyId: grantToken.keyArn, grantId: grantToken.grantId };
}

export const retireGrant = control<RetireGrant, undefined>({
  name: 'RetireGrant',
  request: RetireGrant,
  async run(request, call, ports) {
    const { keyId, grantId } = namedGrant(request, call);
    const found = findKey(keyId, 'key', call, ports.projection);
    const { ref } = retirableGrant(grantId, found, call, ports.projection);
    endDryRun(request.DryRun);
    await ports.runCommand(ref, { type: 'RetireGrant', keyId: found.keyId }, call);
    return undefined;
  },
});
