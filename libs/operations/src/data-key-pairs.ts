import type {
  DataKeyPairSpec,
  GenerateDataKeyPairRequest,
  GenerateDataKeyPairResponse,
  GenerateDataKeyPairWithoutPlaintextRequest,
  GenerateDataKeyPairWithoutPlaintextResponse,
} from '@aws-sdk/client-kms';
import { generatePair } from '#hsm/key-generation';
import { authorizeKey } from './authorization';
import { endDryRun } from './dry-run';
import { findKey } from './key-lookup';
import { type Call, type DataPorts, data } from './operation';
import { assertNoRecipient, assertUsable, cryptographic, currentBackingKey, encryptUnder } from './symmetric-crypto';
import { BOOLEAN, CONTEXT, GRANT_TOKENS, KEY_ID, Optional, Required } from './wire/fields';
import type { Wire } from './wire/wire';

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
] as const satisfies readonly DataKeyPairSpec[];

class DataKeyPairRequest implements GenerateDataKeyPairRequest, GenerateDataKeyPairWithoutPlaintextRequest {
  @Optional(CONTEXT) EncryptionContext?: Record<string, string>;
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'enum', values: PAIR_SPECS }) KeyPairSpec!: (typeof PAIR_SPECS)[number];
  @Optional(GRANT_TOKENS) GrantTokens?: string[];
  @Optional({ kind: 'structure' }) Recipient?: GenerateDataKeyPairRequest['Recipient'];
  @Optional(BOOLEAN) DryRun?: boolean;
}
