import type {
  DataKeyPairSpec,
  GenerateDataKeyPairRequest,
  GenerateDataKeyPairResponse,
  GenerateDataKeyPairWithoutPlaintextRequest,
  GenerateDataKeyPairWithoutPlaintextResponse,
} from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import { generatePair } from '#hsm/key-generation';
import { type Asked, authorizeKey } from './authorization';
import { endDryRun } from './dry-run';
import { findKey } from './key-lookup';
import { workedOut } from './off-loop';
import { type Call, type DataPorts, data } from './operation';
import { quotaClassOfPair } from './quotas/quota-classes';
import { RECIPIENT, type Recipient, recipientOf, secretFor } from './recipient';
import { assertLoaded, encryptUnder } from './symmetric-crypto';
import { assertUsableForDataKeys, cryptographic } from './usable-keys';
import { BOOLEAN, CONTEXT, GRANT_TOKENS, KEY_ID, Optional, Required } from './wire/fields';
import type { Wire } from './wire/wire';

/** In the order of the API model; last those of ML-KEM, which only the newest clients have. */
const PAIR_SPECS = [
  'RSA_2048',
  'RSA_3072',
  'RSA_4096',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ECC_NIST_P521',
  'ECC_SECG_P256K1',
  'SM2',
  'ECC_NIST_EDWARDS25519',
  'ML_KEM_512',
  'ML_KEM_768',
  'ML_KEM_1024',
] as const satisfies readonly DataKeyPairSpec[];

class DataKeyPairRequest implements GenerateDataKeyPairRequest, GenerateDataKeyPairWithoutPlaintextRequest {
  @Optional(CONTEXT) EncryptionContext?: Record<string, string>;
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'enum', values: PAIR_SPECS }) KeyPairSpec!: (typeof PAIR_SPECS)[number];
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional(BOOLEAN) DryRun?: boolean;
}

class GenerateDataKeyPair extends DataKeyPairRequest {
  @Optional(RECIPIENT) Recipient?: GenerateDataKeyPairRequest['Recipient'];
}

const asking = ({ EncryptionContext, KeyPairSpec }: DataKeyPairRequest, recipient?: Recipient): Asked => {
  const asked = cryptographic(EncryptionContext, undefined, recipient);
  return { ...asked, context: (key) => (key === 'kms:datakeypairspec' ? KeyPairSpec : asked.context?.(key)) };
};

function generate(
  operation: 'GenerateDataKeyPair' | 'GenerateDataKeyPairWithoutPlaintext',
  request: DataKeyPairRequest,
  recipient: Recipient | undefined,
  call: Call,
  ports: DataPorts,
): Wire<GenerateDataKeyPairResponse> {
  const { KeyPairSpec, EncryptionContext } = request;
  call.countAs?.(quotaClassOfPair(KeyPairSpec));
  const found = findKey(request.KeyId, 'any', call, ports.projection);
  authorizeKey(call, ports.projection, found, asking(request, recipient));
  assertUsableForDataKeys(found, operation);
  if (found.key.customKeyStoreId !== undefined) {
    throw new KmsError(
      'UnsupportedOperationException',
      `${found.arn} is in a custom key store, where no data key pairs are generated.`,
    );
  }
  assertLoaded(found, ports);
  endDryRun(request.DryRun);
  const { privateKey, publicKey } = workedOut(call, KeyPairSpec, () => generatePair(KeyPairSpec));
  const { ciphertext, materialId } = encryptUnder(found, privateKey, EncryptionContext, call, ports);
  call.trail?.used(materialId);
  return {
    PrivateKeyCiphertextBlob: ciphertext.toString('base64'),
    ...(operation === 'GenerateDataKeyPair' && secretFor(recipient, 'PrivateKeyPlaintext', privateKey, ports)),
    PublicKey: publicKey.toString('base64'),
    KeyId: found.arn,
    KeyPairSpec,
    KeyMaterialId: materialId,
  };
}

export const generateDataKeyPair = data<GenerateDataKeyPair, Wire<GenerateDataKeyPairResponse>>({
  name: 'GenerateDataKeyPair',
  request: GenerateDataKeyPair,
  run(request, call, ports) {
    const recipient = recipientOf(request.Recipient, call, ports);
    return generate('GenerateDataKeyPair', request, recipient, call, ports);
  },
});

export const generateDataKeyPairWithoutPlaintext = data<
  DataKeyPairRequest,
  Wire<GenerateDataKeyPairWithoutPlaintextResponse>
>({
  name: 'GenerateDataKeyPairWithoutPlaintext',
  request: DataKeyPairRequest,
  run: (request, call, ports) => generate('GenerateDataKeyPairWithoutPlaintext', request, undefined, call, ports),
});
