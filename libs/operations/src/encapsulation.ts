import type {
  DecapsulateRequest,
  DecapsulateResponse,
  EncapsulateRequest,
  EncapsulateResponse,
} from '@aws-sdk/client-kms';
import { invalidCiphertext } from '#crypto/ciphertext-blob';
import { type MlKemSpec, mlKemCiphertextLength } from '#crypto/ml-kem';
import { offLoop } from '#hsm/off-loop';
import { authorizeKey } from './authorization';
import { endDryRun } from './dry-run';
import { type FoundKey, findKey } from './key-lookup';
import { workedOut } from './off-loop';
import { type Call, type DataPorts, data } from './operation';
import { currentBackingKey } from './symmetric-crypto';
import { assertUsable } from './usable-keys';
import { BOOLEAN, CIPHERTEXT, GRANT_TOKENS, KEY_ID, Optional, Required } from './wire/fields';
import { base64, type Wire } from './wire/wire';

const ALGORITHM = { kind: 'enum', values: ['ML_KEM'] } as const;

class Encapsulate implements EncapsulateRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(ALGORITHM) EncapsulationAlgorithm!: 'ML_KEM';
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
}

class Decapsulate implements DecapsulateRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(CIPHERTEXT) SharedSecretCiphertextBlob!: Uint8Array;
  @Required(ALGORITHM) EncapsulationAlgorithm!: 'ML_KEM';
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
}

function usableKey(
  operation: 'Encapsulate' | 'Decapsulate',
  request: Encapsulate | Decapsulate,
  call: Call,
  ports: DataPorts,
): { found: FoundKey; keySpec: MlKemSpec } {
  const found = findKey(request.KeyId, 'any', call, ports.projection);
  authorizeKey(call, ports.projection, found);
  assertUsable(found, operation, request.EncapsulationAlgorithm);
  return { found, keySpec: found.key.keySpec as MlKemSpec };
}

export const encapsulate = data<Encapsulate, Wire<EncapsulateResponse>>({
  name: 'Encapsulate',
  request: Encapsulate,
  run(request, call, ports) {
    const { found, keySpec } = usableKey('Encapsulate', request, call, ports);
    const { materialId } = currentBackingKey(found, ports);
    endDryRun(request.DryRun);
    const publicKey = Buffer.from(found.key.publicKey!, 'base64');
    const { ciphertext, sharedSecret } = workedOut(call, `encapsulation with ${materialId}`, () =>
      offLoop('encapsulate', keySpec, publicKey),
    );
    return {
      KeyId: found.arn,
      SharedSecret: base64(sharedSecret),
      SharedSecretCiphertextBlob: base64(ciphertext),
      EncapsulationAlgorithm: request.EncapsulationAlgorithm,
    };
  },
});

export const decapsulate = data<Decapsulate, Wire<DecapsulateResponse>>({
  name: 'Decapsulate',
  request: Decapsulate,
  run(request, call, ports) {
    const { found, keySpec } = usableKey('Decapsulate', request, call, ports);
    const ciphertext = request.SharedSecretCiphertextBlob;
    const { keyObject, materialId } = currentBackingKey(found, ports);
    if (ciphertext.length !== mlKemCiphertextLength(keySpec)) throw invalidCiphertext();
    endDryRun(request.DryRun);
    const sharedSecret = workedOut(call, `decapsulation with ${materialId}`, () =>
      offLoop('decapsulate', keySpec, keyObject, ciphertext),
    );
    return {
      KeyId: found.arn,
      SharedSecret: base64(sharedSecret),
      EncapsulationAlgorithm: request.EncapsulationAlgorithm,
    };
  },
});
