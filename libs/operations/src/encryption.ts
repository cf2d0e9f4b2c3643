import type { DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse } from '@aws-sdk/client-kms';
import { assertNoContext, decryptAsymmetric, encryptAsymmetric, namedSource } from './asymmetric-crypto';
import { authorizeKey } from './authorization';
import { authorizedSource } from './ciphertext-source';
import { DRY_RUN_MODIFIERS, type DryRunModifier, endDryRun, ignoresCiphertext } from './dry-run';
import { findKey } from './key-lookup';
import { type Call, type DataPorts, data } from './operation';
import { RECIPIENT, type Recipient, recipientOf, secretFor } from './recipient';
import { assertLoaded, decryptFrom, encryptUnder } from './symmetric-crypto';
import { assertUsable, cryptographic, SYMMETRIC } from './usable-keys';
import {
  BOOLEAN,
  CIPHERTEXT,
  CONTEXT,
  ENCRYPTION_ALGORITHM,
  GRANT_TOKENS,
  KEY_ID,
  Optional,
  Required,
} from './wire/fields';
import { present } from './wire/present';
import { base64, type Wire } from './wire/wire';

type Algorithm = NonNullable<EncryptRequest['EncryptionAlgorithm']>;

class Encrypt implements EncryptRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'blob', min: 1, max: 4096, sensitive: true }) Plaintext!: Uint8Array;
  @Optional(CONTEXT) EncryptionContext?: Record<string, string>;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(ENCRYPTION_ALGORITHM) EncryptionAlgorithm?: Algorithm;
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const encrypt = data<Encrypt, Wire<EncryptResponse>>({
  name: 'Encrypt',
  request: Encrypt,
  recordedDefaults: { EncryptionAlgorithm: SYMMETRIC },
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'any', call, ports.projection);
    authorizeKey(call, ports.projection, found, cryptographic(request.EncryptionContext, request.EncryptionAlgorithm));
    const { EncryptionAlgorithm = SYMMETRIC } = request;
    assertUsable(found, 'Encrypt', EncryptionAlgorithm);
    if (EncryptionAlgorithm !== SYMMETRIC) {
      assertNoContext(request.EncryptionContext);
      const ciphertext = encryptAsymmetric(found, EncryptionAlgorithm, request.Plaintext, call, ports);
      endDryRun(request.DryRun);
      return { CiphertextBlob: base64(ciphertext), KeyId: found.arn, EncryptionAlgorithm };
    }
    assertLoaded(found, ports);
    endDryRun(request.DryRun);
    const { ciphertext, materialId } = encryptUnder(found, request.Plaintext, request.EncryptionContext, call, ports);
    call.trail?.used(materialId);
    return {
      CiphertextBlob: ciphertext.toString('base64'),
      KeyId: found.arn,
      EncryptionAlgorithm: SYMMETRIC,
    };
  },
});

class Decrypt implements DecryptRequest {
  /** Needed unless `ignoresCiphertext`. */
  @Optional(CIPHERTEXT) CiphertextBlob?: Uint8Array;
  @Optional(CONTEXT) EncryptionContext?: Record<string, string>;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(KEY_ID) KeyId?: string;
  @Optional(ENCRYPTION_ALGORITHM) EncryptionAlgorithm?: Algorithm;
  @Optional(RECIPIENT) Recipient?: DecryptRequest['Recipient'];
  @Optional(BOOLEAN) DryRun?: boolean;
  @Optional(DRY_RUN_MODIFIERS) DryRunModifiers?: DryRunModifier[];
}

/** With an asymmetric key, which the request names. */
function decryptNamed(
  request: Decrypt,
  algorithm: Algorithm,
  ciphertext: Uint8Array,
  recipient: Recipient | undefined,
  call: Call,
  ports: DataPorts,
): Wire<DecryptResponse> {
  const asked = cryptographic(request.EncryptionContext, algorithm, recipient);
  const found = namedSource(request.KeyId, 'KeyId', 'Decrypt', () => asked, call, ports);
  assertUsable(found, 'Decrypt', algorithm);
  assertNoContext(request.EncryptionContext);
  const plaintext = decryptAsymmetric(found, algorithm, ciphertext, call, ports);
  endDryRun(request.DryRun);
  return {
    KeyId: found.arn,
    ...secretFor(recipient, 'Plaintext', plaintext, ports),
    EncryptionAlgorithm: algorithm,
  };
}

export const decrypt = data<Decrypt, Wire<DecryptResponse>>({
  name: 'Decrypt',
  request: Decrypt,
  recordedDefaults: { EncryptionAlgorithm: SYMMETRIC },
  run(request, call, ports) {
    const recipient = recipientOf(request.Recipient, call, ports);
    const { EncryptionAlgorithm = SYMMETRIC } = request;
    const asked = cryptographic(request.EncryptionContext, EncryptionAlgorithm, recipient);
    if (ignoresCiphertext(request)) {
      const found = findKey(present(request.KeyId, KEY_ID, 'KeyId'), 'any', call, ports.projection);
      authorizeKey(call, ports.projection, found, asked);
      assertUsable(found, 'Decrypt', EncryptionAlgorithm);
      if (EncryptionAlgorithm !== SYMMETRIC) assertNoContext(request.EncryptionContext);
      endDryRun(request.DryRun);
    }
    const ciphertext = present(request.CiphertextBlob, CIPHERTEXT, 'CiphertextBlob');
    if (EncryptionAlgorithm !== SYMMETRIC) {
      return decryptNamed(request, EncryptionAlgorithm, ciphertext, recipient, call, ports);
    }
    const source = authorizedSource(
      { keyId: request.KeyId, ciphertext, action: 'Decrypt', askedOf: () => asked },
      call,
      ports,
    );
    assertUsable(source.found, 'Decrypt');
    const plaintext = decryptFrom(source, request.EncryptionContext, call, ports);
    try {
      endDryRun(request.DryRun);
      call.trail?.used(source.blob.materialId);
      return {
        KeyId: source.found.arn,
        ...secretFor(recipient, 'Plaintext', plaintext, ports),
        EncryptionAlgorithm: SYMMETRIC,
        ...(!recipient && { KeyMaterialId: source.blob.materialId }),
      };
    } finally {
      plaintext.fill(0);
    }
  },
});
