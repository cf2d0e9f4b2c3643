import type {
  DecryptRequest,
  DecryptResponse,
  EncryptRequest,
  EncryptResponse,
  ReEncryptRequest,
  ReEncryptResponse,
} from '@aws-sdk/client-kms';
import { DRY_RUN_MODIFIERS, type DryRunModifier, endDryRun, ignoresCiphertext } from './dry-run';
import { findKey } from './key-lookup';
import { data } from './operation';
import {
  assertNoRecipient,
  assertSameKey,
  assertUsable,
  currentBackingKey,
  decryptFrom,
  encryptUnder,
  namedSource,
  SYMMETRIC,
  sourceOf,
} from './symmetric-crypto';
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
import type { Wire } from './wire/wire';

type Algorithm = NonNullable<EncryptRequest['EncryptionAlgorithm']>;

class Encrypt implements EncryptRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'blob', min: 1, max: 4096 }) Plaintext!: Uint8Array;
  @Optional(CONTEXT) EncryptionContext?: Record<string, string>;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(ENCRYPTION_ALGORITHM) EncryptionAlgorithm?: Algorithm;
  @Optional(BOOLEAN) DryRun?: boolean;
}

export const encrypt = data<Encrypt, Wire<EncryptResponse>>({
  name: 'Encrypt',
  request: Encrypt,
  run(request, call, ports) {
    const found = findKey(request.KeyId, 'any', call, ports.projection);
    assertUsable(found, 'Encrypt', request.EncryptionAlgorithm);
    endDryRun(request.DryRun);
    const { ciphertext } = encryptUnder(found, request.Plaintext, request.EncryptionContext, ports);
    request.Plaintext.fill(0);
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
  @Optional({ kind: 'structure' }) Recipient?: DecryptRequest['Recipient'];
  @Optional(BOOLEAN) DryRun?: boolean;
  @Optional(DRY_RUN_MODIFIERS) DryRunModifiers?: DryRunModifier[];
}

export const decrypt = data<Decrypt, Wire<DecryptResponse>>({
  name: 'Decrypt',
  request: Decrypt,
  run(request, call, ports) {
    assertNoRecipient(request.Recipient);
    if (ignoresCiphertext(request)) {
      const found = findKey(present(request.KeyId, KEY_ID, 'KeyId'), 'any', call, ports.projection);
      assertUsable(found, 'Decrypt', request.EncryptionAlgorithm);
      endDryRun(request.DryRun);
    }
    const ciphertext = present(request.CiphertextBlob, CIPHERTEXT, 'CiphertextBlob');
    const named = namedSource(request.KeyId, call, ports);
    const source = sourceOf(ciphertext, call, ports);
    assertSameKey(named, source);
    assertUsable(source.found, 'Decrypt', request.EncryptionAlgorithm);
    const plaintext = decryptFrom(source, request.EncryptionContext, ports);
    try {
      endDryRun(request.DryRun);
      return {
        KeyId: source.found.arn,
        Plaintext: plaintext.toString('base64'),
        EncryptionAlgorithm: SYMMETRIC,
        KeyMaterialId: source.blob.materialId,
      };
    } finally {
      plaintext.fill(0);
    }
  },
});

class ReEncrypt implements ReEncryptRequest {
  /** Needed unless `ignoresCiphertext`. */
  @Optional(CIPHERTEXT) CiphertextBlob?: Uint8Array;
  @Optional(CONTEXT) SourceEncryptionContext?: Record<string, string>;
  @Optional(KEY_ID) SourceKeyId?: string;
  @Required(KEY_ID) DestinationKeyId!: string;
  @Optional(CONTEXT) DestinationEncryptionContext?: Record<string, string>;
  @Optional(ENCRYPTION_ALGORITHM) SourceEncryptionAlgorithm?: Algorithm;
  @Optional(ENCRYPTION_ALGORITHM) DestinationEncryptionAlgorithm?: Algorithm;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
  @Optional(DRY_RUN_MODIFIERS) DryRunModifiers?: DryRunModifier[];
}

export const reEncrypt = data<ReEncrypt, Wire<ReEncryptResponse>>({
  name: 'ReEncrypt',
  request: ReEncrypt,
  run(request, call, ports) {
    if (ignoresCiphertext(request)) {
      const found = findKey(present(request.SourceKeyId, KEY_ID, 'SourceKeyId'), 'any', call, ports.projection);
      assertUsable(found, 'ReEncrypt', request.SourceEncryptionAlgorithm);
      const target = findKey(request.DestinationKeyId, 'any', call, ports.projection);
      assertUsable(target, 'ReEncrypt', request.DestinationEncryptionAlgorithm);
      endDryRun(request.DryRun);
    }
    const ciphertextBlob = present(request.CiphertextBlob, CIPHERTEXT, 'CiphertextBlob');
    const named = namedSource(request.SourceKeyId, call, ports);
    const destination = findKey(request.DestinationKeyId, 'any', call, ports.projection);
    const source = sourceOf(ciphertextBlob, call, ports);
    assertSameKey(named, source);
    assertUsable(source.found, 'ReEncrypt', request.SourceEncryptionAlgorithm);
    assertUsable(destination, 'ReEncrypt', request.DestinationEncryptionAlgorithm);
    currentBackingKey(destination, ports);
    const plaintext = decryptFrom(source, request.SourceEncryptionContext, ports);
    try {
      endDryRun(request.DryRun);
      const { ciphertext, materialId } = encryptUnder(
        destination,
        plaintext,
        request.DestinationEncryptionContext,
        ports,
      );
      return {
        CiphertextBlob: ciphertext.toString('base64'),
        SourceKeyId: source.found.arn,
        KeyId: destination.arn,
        SourceEncryptionAlgorithm: SYMMETRIC,
        DestinationEncryptionAlgorithm: SYMMETRIC,
        SourceKeyMaterialId: source.blob.materialId,
        DestinationKeyMaterialId: materialId,
      };
    } finally {
      plaintext.fill(0);
    }
  },
});
