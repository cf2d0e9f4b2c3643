import type {
  GenerateDataKeyRequest,
  GenerateDataKeyResponse,
  GenerateDataKeyWithoutPlaintextRequest,
  GenerateDataKeyWithoutPlaintextResponse,
  GenerateRandomRequest,
  GenerateRandomResponse,
} from '@aws-sdk/client-kms';
import { KmsError, RequestFault } from '#domain/errors';
import { authorizeAccount, authorizeKey } from './authorization';
import { answered } from './custom-key-stores/store-crypto';
import { asking } from './custom-key-stores/store-failures';
import { connectedStore, findStore } from './custom-key-stores/store-lookup';
import { endDryRun } from './dry-run';
import { type FoundKey, findKey } from './key-lookup';
import { type Call, type DataPorts, data } from './operation';
import { RECIPIENT, type Recipient, recipientOf, secretFor } from './recipient';
import { assertLoaded, encryptUnder } from './symmetric-crypto';
import { assertUsableForDataKeys, cryptographic } from './usable-keys';
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
  @Optional(BOOLEAN) DryRun?: boolean;
}

class GenerateDataKey extends DataKeyRequest {
  @Optional(RECIPIENT) Recipient?: GenerateDataKeyRequest['Recipient'];
}

function dataKeyLength({ KeySpec, NumberOfBytes }: DataKeyRequest): number {
  if ((KeySpec === undefined) === (NumberOfBytes === undefined)) {
    throw new RequestFault('Please specify either number of bytes or key spec.');
  }
  return KeySpec ? DATA_KEY_BYTES[KeySpec] : NumberOfBytes!;
}

function generate(
  operation: 'GenerateDataKey' | 'GenerateDataKeyWithoutPlaintext',
  request: DataKeyRequest,
  recipient: Recipient | undefined,
  call: Call,
  ports: DataPorts,
): Wire<GenerateDataKeyResponse> {
  const found = findKey(request.KeyId, 'any', call, ports.projection);
  authorizeKey(call, ports.projection, found, cryptographic(request.EncryptionContext, undefined, recipient));
  const length = dataKeyLength(request);
  assertUsableForDataKeys(found, operation);
  assertLoaded(found, ports);
  endDryRun(request.DryRun);
  const dataKey = newDataKey(found, length, call, ports);
  try {
    const { ciphertext, materialId } = encryptUnder(found, dataKey, request.EncryptionContext, call, ports);
    call.trail?.used(materialId);
    return {
      CiphertextBlob: ciphertext.toString('base64'),
      ...(operation === 'GenerateDataKey' && secretFor(recipient, 'Plaintext', dataKey, ports)),
      KeyId: found.arn,
      ...(!recipient && { KeyMaterialId: materialId }),
    };
  } finally {
    // What a custom key store encrypts is needed until the end of the call, and zeroised then.
    if (!isInStore(found)) dataKey.fill(0);
  }
}

const isInStore = ({ key }: FoundKey): boolean => key.customKeyStoreId !== undefined;

/** The same however often the operation is begun anew. */
function newDataKey(found: FoundKey, length: number, call: Call, ports: DataPorts): Buffer {
  const make = () => ports.random(length);
  return isInStore(found) && call.offLoop ? call.offLoop.once('the data key', make) : make();
}

export const generateDataKey = data<GenerateDataKey, Wire<GenerateDataKeyResponse>>({
  name: 'GenerateDataKey',
  request: GenerateDataKey,
  run(request, call, ports) {
    const recipient = recipientOf(request.Recipient, call, ports);
    return generate('GenerateDataKey', request, recipient, call, ports);
  },
});

export const generateDataKeyWithoutPlaintext = data<DataKeyRequest, Wire<GenerateDataKeyWithoutPlaintextResponse>>({
  name: 'GenerateDataKeyWithoutPlaintext',
  request: DataKeyRequest,
  run: (request, call, ports) => generate('GenerateDataKeyWithoutPlaintext', request, undefined, call, ports),
});

/** From an HSM of the store's cluster, where a store is named. */
function randomBytes({ CustomKeyStoreId, NumberOfBytes }: GenerateRandom, call: Call, ports: DataPorts): Buffer {
  if (CustomKeyStoreId === undefined) return ports.random(lengthOf(NumberOfBytes));
  const { ref, state } = findStore(CustomKeyStoreId, call, ports.projection);
  if (state.backing.storeType !== 'AWS_CLOUDHSM') {
    throw new KmsError('UnsupportedOperationException', 'External key stores generate no random bytes.');
  }
  connectedStore(CustomKeyStoreId, call, ports.projection);
  const length = lengthOf(NumberOfBytes);
  const generate = () => asking('random', async () => (await ports.keyStores.cluster(ref)).random(length));
  return answered(call, 'random bytes', generate, ref);
}

function lengthOf(numberOfBytes: number | undefined): number {
  if (numberOfBytes === undefined) throw new RequestFault('NumberOfBytes is required.');
  return numberOfBytes;
}

class GenerateRandom implements GenerateRandomRequest {
  @Optional(NUMBER_OF_BYTES) NumberOfBytes?: number;
  @Optional({ kind: 'string', min: 1, max: 64 }) CustomKeyStoreId?: string;
  @Optional(RECIPIENT) Recipient?: GenerateRandomRequest['Recipient'];
}

export const generateRandom = data<GenerateRandom, Wire<GenerateRandomResponse>>({
  name: 'GenerateRandom',
  request: GenerateRandom,
  run(request, call, ports) {
    const recipient = recipientOf(request.Recipient, call, ports);
    if (request.CustomKeyStoreId === undefined) call.countAs?.('symmetric');
    else call.countAs?.('custom-key-store', request.CustomKeyStoreId);
    authorizeAccount(call, { recipient });
    const bytes = randomBytes(request, call, ports);
    try {
      return secretFor(recipient, 'Plaintext', bytes, ports);
    } finally {
      bytes.fill(0);
    }
  },
});
