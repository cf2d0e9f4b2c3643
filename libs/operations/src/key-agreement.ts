import type { DeriveSharedSecretRequest, DeriveSharedSecretResponse } from '@aws-sdk/client-kms';
import { type AgreementSpec, isSlowAgreement, peerKey, sharedSecret } from '#crypto/ecdh';
import { offLoop } from '#hsm/off-loop';
import { authorizeKey } from './authorization';
import { fixedContext } from './condition-context';
import { endDryRun } from './dry-run';
import { findKey } from './key-lookup';
import { workedOut } from './off-loop';
import { data } from './operation';
import { RECIPIENT, recipientOf, secretFor } from './recipient';
import { currentBackingKey } from './symmetric-crypto';
import { assertUsable } from './usable-keys';
import { BOOLEAN, GRANT_TOKENS, KEY_ID, Optional, PUBLIC_KEY, Required } from './wire/fields';
import type { Wire } from './wire/wire';

class DeriveSharedSecret implements DeriveSharedSecretRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'enum', values: ['ECDH'] }) KeyAgreementAlgorithm!: 'ECDH';
  @Required(PUBLIC_KEY) PublicKey!: Uint8Array;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
  @Optional(RECIPIENT) Recipient?: DeriveSharedSecretRequest['Recipient'];
}

export const deriveSharedSecret = data<DeriveSharedSecret, Wire<DeriveSharedSecretResponse>>({
  name: 'DeriveSharedSecret',
  request: DeriveSharedSecret,
  run(request, call, ports) {
    const recipient = recipientOf(request.Recipient, call, ports);
    const { KeyAgreementAlgorithm } = request;
    const found = findKey(request.KeyId, 'any', call, ports.projection);
    authorizeKey(call, ports.projection, found, {
      context: fixedContext({ 'kms:keyagreementalgorithm': KeyAgreementAlgorithm }),
      recipient,
    });
    assertUsable(found, 'DeriveSharedSecret', KeyAgreementAlgorithm);
    const keySpec = found.key.keySpec as AgreementSpec;
    const { keyObject, materialId } = currentBackingKey(found, ports);
    const peer = peerKey(keySpec, request.PublicKey);
    endDryRun(request.DryRun);
    const secret = isSlowAgreement(keySpec)
      ? workedOut(call, `${KeyAgreementAlgorithm} with ${materialId}`, () => offLoop('agree', keySpec, keyObject, peer))
      : sharedSecret(keySpec, keyObject, peer);
    try {
      return {
        KeyId: found.arn,
        ...secretFor(recipient, 'SharedSecret', secret, ports),
        KeyAgreementAlgorithm,
        KeyOrigin: found.key.origin,
      };
    } finally {
      secret.fill(0);
    }
  },
});
