import type { ReEncryptRequest, ReEncryptResponse } from '@aws-sdk/client-kms';
import type { ParsedBlob } from '#crypto/ciphertext-blob';
import { assertNoContext, decryptAsymmetric, encryptAsymmetric, namedSource } from './asymmetric-crypto';
import { type Asked, authorizeKey } from './authorization';
import { authorizedSource } from './ciphertext-source';
import { DRY_RUN_MODIFIERS, type DryRunModifier, endDryRun, ignoresCiphertext } from './dry-run';
import { type FoundKey, findKey } from './key-lookup';
import { type Call, type DataPorts, data } from './operation';
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

type Algorithm = NonNullable<ReEncryptRequest['SourceEncryptionAlgorithm']>;
type Side = 'ReEncryptFrom' | 'ReEncryptTo';
type Context = Record<string, string> | undefined;

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

/** What is decrypted: a symmetric ciphertext has been parsed. */
interface Source {
  found: FoundKey;
  blob: ParsedBlob | undefined;
}

function sourceOf(
  { SourceKeyId }: ReEncrypt,
  algorithm: Algorithm,
  ciphertext: Uint8Array,
  askedOf: (found: FoundKey) => Asked,
  call: Call,
  ports: DataPorts,
): Source {
  const action = 'ReEncryptFrom';
  if (algorithm === SYMMETRIC) {
    return authorizedSource({ keyId: SourceKeyId, ciphertext, action, askedOf }, call, ports);
  }
  return { found: namedSource(SourceKeyId, 'SourceKeyId', action, askedOf, call, ports), blob: undefined };
}

/** Of one side of the re-encryption, by the name that AWS has for it. */
function assertFits(side: Side, found: FoundKey, algorithm: Algorithm, context: Context): void {
  assertUsable(found, side, algorithm);
  if (algorithm !== SYMMETRIC) assertNoContext(context);
}

function opened(
  { found, blob }: Source,
  algorithm: Algorithm,
  ciphertext: Uint8Array,
  context: Context,
  call: Call,
  ports: DataPorts,
): Uint8Array {
  return blob
    ? decryptFrom({ found, blob }, context, call, ports)
    : decryptAsymmetric(found, algorithm, ciphertext, call, ports);
}

function sealed(
  found: FoundKey,
  algorithm: Algorithm,
  plaintext: Uint8Array,
  context: Context,
  call: Call,
  ports: DataPorts,
): { ciphertext: Uint8Array; materialId?: string } {
  return algorithm === SYMMETRIC
    ? encryptUnder(found, plaintext, context, call, ports)
    : { ciphertext: encryptAsymmetric(found, algorithm, plaintext, call, ports) };
}

export const reEncrypt = data<ReEncrypt, Wire<ReEncryptResponse>>({
  name: 'ReEncrypt',
  request: ReEncrypt,
  recordedDefaults: { SourceEncryptionAlgorithm: SYMMETRIC, DestinationEncryptionAlgorithm: SYMMETRIC },
  run(request, call, ports) {
    const { SourceEncryptionAlgorithm = SYMMETRIC, DestinationEncryptionAlgorithm = SYMMETRIC } = request;
    const { SourceEncryptionContext, DestinationEncryptionContext } = request;
    const from: Asked = {
      ...cryptographic(SourceEncryptionContext, SourceEncryptionAlgorithm),
      action: 'ReEncryptFrom',
    };
    const to: Asked = {
      ...cryptographic(DestinationEncryptionContext, DestinationEncryptionAlgorithm),
      action: 'ReEncryptTo',
    };
    if (ignoresCiphertext(request)) {
      const sourceKeyId = present(request.SourceKeyId, KEY_ID, 'SourceKeyId');
      const found = findKey(sourceKeyId, 'any', call, ports.projection, from.action);
      const target = findKey(request.DestinationKeyId, 'any', call, ports.projection, to.action);
      authorizeKey(call, ports.projection, found, onSameKey(from, found, target));
      authorizeKey(call, ports.projection, target, onSameKey(to, found, target));
      assertFits('ReEncryptFrom', found, SourceEncryptionAlgorithm, SourceEncryptionContext);
      assertFits('ReEncryptTo', target, DestinationEncryptionAlgorithm, DestinationEncryptionContext);
      endDryRun(request.DryRun);
    }
    const ciphertextBlob = present(request.CiphertextBlob, CIPHERTEXT, 'CiphertextBlob');
    const destination = findKey(request.DestinationKeyId, 'any', call, ports.projection, to.action);
    const askedOf = (found: FoundKey): Asked => onSameKey(from, found, destination);
    const source = sourceOf(request, SourceEncryptionAlgorithm, ciphertextBlob, askedOf, call, ports);
    authorizeKey(call, ports.projection, destination, onSameKey(to, source.found, destination));
    assertFits('ReEncryptFrom', source.found, SourceEncryptionAlgorithm, SourceEncryptionContext);
    assertFits('ReEncryptTo', destination, DestinationEncryptionAlgorithm, DestinationEncryptionContext);
    assertLoaded(destination, ports);
    const plaintext = opened(source, SourceEncryptionAlgorithm, ciphertextBlob, SourceEncryptionContext, call, ports);
    // Not at once: under SM2 the plaintext is encrypted after this try is broken off.
    call.offLoop?.wipeAtEnd(plaintext);
    const made = sealed(
      destination,
      DestinationEncryptionAlgorithm,
      plaintext,
      DestinationEncryptionContext,
      call,
      ports,
    );
    endDryRun(request.DryRun);
    call.trail?.reEncrypted(source.blob?.materialId, made.materialId);
    return {
      CiphertextBlob: base64(made.ciphertext),
      SourceKeyId: source.found.arn,
      KeyId: destination.arn,
      SourceEncryptionAlgorithm,
      DestinationEncryptionAlgorithm,
      ...(source.blob && { SourceKeyMaterialId: source.blob.materialId }),
      ...(made.materialId !== undefined && { DestinationKeyMaterialId: made.materialId }),
    };
  },
});
