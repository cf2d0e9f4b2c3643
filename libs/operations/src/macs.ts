import type { GenerateMacRequest, GenerateMacResponse, VerifyMacRequest, VerifyMacResponse } from '@aws-sdk/client-kms';
import { isMacOf, MAC_ALGORITHMS, type MacAlgorithm, generateMac as macOf } from '#crypto/macs';
import { KmsError } from '#domain/errors';
import { authorizeKey } from './authorization';
import { fixedContext } from './condition-context';
import { endDryRun } from './dry-run';
import { findKey } from './key-lookup';
import { type Call, type DataPorts, data } from './operation';
import { currentBackingKey } from './symmetric-crypto';
import { assertUsable } from './usable-keys';
import { BOOLEAN, GRANT_TOKENS, KEY_ID, MESSAGE, Optional, Required, SIGNATURE } from './wire/fields';
import type { Wire } from './wire/wire';

const MAC_ALGORITHM = { kind: 'enum', values: MAC_ALGORITHMS } as const;

/** ARN and material of the key, which the caller may use for this. */
function macKey(
  operation: 'GenerateMac' | 'VerifyMac',
  { KeyId, MacAlgorithm }: { KeyId: string; MacAlgorithm: MacAlgorithm },
  call: Call,
  ports: DataPorts,
) {
  const found = findKey(KeyId, 'any', call, ports.projection);
  const context = fixedContext({ 'kms:macalgorithm': MacAlgorithm });
  authorizeKey(call, ports.projection, found, { context });
  assertUsable(found, operation, MacAlgorithm);
  return { arn: found.arn, keyObject: currentBackingKey(found, ports).keyObject };
}

class GenerateMac implements GenerateMacRequest {
  @Required(MESSAGE) Message!: Uint8Array;
  @Required(KEY_ID) KeyId!: string;
  @Required(MAC_ALGORITHM) MacAlgorithm!: MacAlgorithm;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const generateMac = data<GenerateMac, Wire<GenerateMacResponse>>({
  name: 'GenerateMac',
  request: GenerateMac,
  run(request, call, ports) {
    const { MacAlgorithm, Message } = request;
    const { arn, keyObject } = macKey('GenerateMac', request, call, ports);
    endDryRun(request.DryRun);
    return { KeyId: arn, Mac: macOf(MacAlgorithm, keyObject, Message).toString('base64'), MacAlgorithm };
  },
});

class VerifyMac implements VerifyMacRequest {
  @Required(MESSAGE) Message!: Uint8Array;
  @Required(KEY_ID) KeyId!: string;
  @Required(MAC_ALGORITHM) MacAlgorithm!: MacAlgorithm;
  @Required(SIGNATURE) Mac!: Uint8Array;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const verifyMac = data<VerifyMac, Wire<VerifyMacResponse>>({
  name: 'VerifyMac',
  request: VerifyMac,
  run(request, call, ports) {
    const { MacAlgorithm, Message, Mac } = request;
    const { arn, keyObject } = macKey('VerifyMac', request, call, ports);
    if (!isMacOf(MacAlgorithm, keyObject, Message, Mac)) throw new KmsError('KMSInvalidMacException', '');
    endDryRun(request.DryRun);
    return { KeyId: arn, MacValid: true, MacAlgorithm };
  },
});
