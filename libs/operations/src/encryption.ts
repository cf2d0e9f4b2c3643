import type {
  DecryptRequest,
  DecryptResponse,
  EncryptRequest,
  EncryptResponse,
  ReEncryptRequest,
  ReEncryptResponse,
} from '@aws-sdk/client-kms';
import { type Asked, authorizeKey } from './authorization';
import { DRY_RUN_MODIFIERS, type DryRunModifier, endDryRun, ignoresCiphertext } from './dry-run';
import { type FoundKey, findKey } from './key-lookup';
import { data } from './operation';
import { RECIPIENT, recipientOf, secretFor } from './recipient';
import {
  assertUsable,
  authorizedSource,
  cryptographic,
  currentBackingKey,
  decryptFrom,
  encryptUnder,
  SYMMETRIC,
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
    assertUsable(found, 'Encrypt', request.EncryptionAlgorithm);
    currentBackingKey(found, ports);
    endDryRun(request.DryRun);
    const { ciphertext, materialId } = encryptUnder(found, request.Plaintext, request.EncryptionContext, ports);
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

export const decrypt = data<Decrypt, Wire<DecryptResponse>>({
  name: 'Decrypt',
  request: Decrypt,
  recordedDefaults: { EncryptionAlgorithm: SYMMETRIC },
  run(request, call, ports) {
    const recipient = recipientOf(request.Recipient, call, ports);
    const asked = cryptographic(request.EncryptionContext, request.EncryptionAlgorithm, recipient);
    if (ignoresCiphertext(request)) {
      const found = findKey(present(request.KeyId, KEY_ID, 'KeyId'), 'any', call, ports.projection);
      authorizeKey(call, ports.projection, found, asked);
      assertUsable(found, 'Decrypt', request.EncryptionAlgorithm);
      endDryRun(request.DryRun);
    }
    const ciphertext = present(request.CiphertextBlob, CIPHERTEXT, 'CiphertextBlob');
    const source = authorizedSource(
      { keyId: request.KeyId, ciphertext, action: 'Decrypt', askedOf: () => asked },
      call,
      ports,
    );
    assertUsable(source.found, 'Decrypt', request.EncryptionAlgorithm);
    const plaintext = decryptFrom(source, request.EncryptionContext, ports);
    call.trail?.used(source.blob.materialId);
    try {
      endDryRun(request.DryRun);
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

/** Both sides are asked whether the key stays the same. */
const onSameKey = (asked: Asked, source: FoundKey, destination: FoundKey): Asked => ({
  ...asked,
  context: (key) => (key === 'kms:reencryptonsamekey' ? String(source.arn === destination.arn) : asked.context?.(key)),
});

export const reEncrypt = data<ReEncrypt, Wire<ReEncryptResponse>>({
  name: 'ReEncrypt',
  request: ReEncrypt,
  recordedDefaults: { SourceEncryptionAlgorithm: SYMMETRIC, DestinationEncryptionAlgorithm: SYMMETRIC },
  run(request, call, ports) {
    const from: Asked = {
      ...cryptographic(request.SourceEncryptionContext, request.SourceEncryptionAlgorithm),
      action: 'ReEncryptFrom',
    };
    const to: Asked = {
      ...cryptographic(request.DestinationEncryptionContext, request.DestinationEncryptionAlgorithm),
      action: 'ReEncryptTo',
    };
    if (ignoresCiphertext(request)) {
      const sourceKeyId = present(request.SourceKeyId, KEY_ID, 'SourceKeyId');
      const found = findKey(sourceKeyId, 'any', call, ports.projection, from.action);
      const target = findKey(request.DestinationKeyId, 'any', call, ports.projection, to.action);
      authorizeKey(call, ports.projection, found, onSameKey(from, found, target));
      authorizeKey(call, ports.projection, target, onSameKey(to, found, target));
      assertUsable(found, 'ReEncrypt', request.SourceEncryptionAlgorithm);
      assertUsable(target, 'ReEncrypt', request.DestinationEncryptionAlgorithm);
      endDryRun(request.DryRun);
    }
    const ciphertextBlob = present(request.CiphertextBlob, CIPHERTEXT, 'CiphertextBlob');
    const destination = findKey(request.DestinationKeyId, 'any', call, ports.projection, to.action);
    const source = authorizedSource(
      {
        keyId: request.SourceKeyId,
        ciphertext: ciphertextBlob,
        action: 'ReEncryptFrom',
        askedOf: (found) => onSameKey(from, found, destination),
      },
      call,
      ports,
    );
    authorizeKey(call, ports.projection, destination, onSameKey(to, source.found, destination));
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
      call.trail?.used(materialId, source.blob.materialId);
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
