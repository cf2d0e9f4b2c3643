import type {
  GenerateDataKeyRequest,
  GenerateDataKeyResponse,
  GenerateDataKeyWithoutPlaintextRequest,
  GenerateDataKeyWithoutPlaintextResponse,
  GenerateRandomRequest,
  GenerateRandomResponse,
} from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { authorizeAccount, authorizeKey } from './authorization';
import { endDryRun } from './dry-run';
import { findKey } from './key-lookup';
import { type Call, type DataPorts, data } from './operation';
import {
  assertNoRecipient,
  assertUsableForDataKeys,
  cryptographic,
  currentBackingKey,
  encryptUnder,
} from './symmetric-crypto';
import { BOOLEAN, CONTEXT, GRANT_TOKENS, KEY_ID, Optional, Required } from './wire/fields';
import type { Wire } from './wire/wire';

const DATA_KEY_BYTES = { AES_256: 32, AES_128: 16 } as const;
const NUMBER_OF_BYTES = { kind: 'integer', min: 1, max: 1024 } as const;

class DataKeyRequest implements GenerateDataKeyRequest, GenerateDataKeyWithoutPlaintextRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(CONTEXT) EncryptionContext?: Record<string, string>;
  @Optional(NUMBER_OF_BYTES) NumberOfBytes?: number;
  @Optional({ kind: 'enum', values: ['AES_256', 'AES_128'] }) KeySpec?: keyof typeof DATA_KEY_BYTES;
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional({ kind: 'structure' }) Recipient?: GenerateDataKeyRequest['Recipient'];
  @Optional(BOOLEAN) DryRun?: boolean;
}

function dataKeyLength({ KeySpec, NumberOfBytes }: DataKeyRequest): number {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
    throw new KmsError('ValidationException', 'Please specify either number of bytes or key spec.');
  }
  return KeySpec ? DATA_KEY_BYTES[KeySpec] : NumberOfBytes!;
}

function generate(
  operation: 'GenerateDataKey' | 'GenerateDataKeyWithoutPlaintext',
  request: DataKeyRequest,
  call: Call,
  ports: DataPorts,
): Wire<GenerateDataKeyResponse> {
  assertNoRecipient(request.Recipient);
  const found = findKey(request.KeyId, 'any', call, ports.projection);
  authorizeKey(call, ports.projection, found, cryptographic(request.EncryptionContext));
  const length = dataKeyLength(request);
  assertUsableForDataKeys(found, operation);
  currentBackingKey(found, ports);
  endDryRun(request.DryRun);
  const dataKey = ports.random(length);
  try {
    const { ciphertext, materialId } = encryptUnder(found, dataKey, request.EncryptionContext, ports);
    call.trail?.used(materialId);
    const plaintext = operation === 'GenerateDataKey' ? { Plaintext: dataKey.toString('base64') } : {};
    return { CiphertextBlob: ciphertext.toString('base64'), ...plaintext, KeyId: found.arn, KeyMaterialId: materialId };
  } finally {
    dataKey.fill(0);
  }
}

export const generateDataKey = data<DataKeyRequest, Wire<GenerateDataKeyResponse>>({
  name: 'GenerateDataKey',
  request: DataKeyRequest,
  run: (request, call, ports) => generate('GenerateDataKey', request, call, ports),
});

export const generateDataKeyWithoutPlaintext = data<DataKeyRequest, Wire<GenerateDataKeyWithoutPlaintextResponse>>({
  name: 'GenerateDataKeyWithoutPlaintext',
  request: DataKeyRequest,
  run: (request, call, ports) => generate('GenerateDataKeyWithoutPlaintext', request, call, ports),
});

class GenerateRandom implements GenerateRandomRequest {
  @Optional(NUMBER_OF_BYTES) NumberOfBytes?: number;
  @Optional({ kind: 'string', min: 1, max: 64 }) CustomKeyStoreId?: string;
  @Optional({ kind: 'structure' }) Recipient?: GenerateRandomRequest['Recipient'];
}

export const generateRandom = data<GenerateRandom, Wire<GenerateRandomResponse>>({
  name: 'GenerateRandom',
  request: GenerateRandom,
  quotaClass: 'symmetric',
  run(request, call, ports) {
    authorizeAccount(call);
    assertNoRecipient(request.Recipient);
    if (request.CustomKeyStoreId !== undefined) {
      throw new KmsError(
        'CustomKeyStoreNotFoundException',
        `Custom key store ${request.CustomKeyStoreId} does not exist`,
      );
    }
    if (request.NumberOfBytes === undefined) throw new KmsError('ValidationException', 'NumberOfBytes is required.');
    const bytes = ports.random(request.NumberOfBytes);
    const text = bytes.toString('base64');
    bytes.fill(0);
    return { Plaintext: text };
  },
});
