import { createHash } from 'node:crypto';
import type { KMSClient } from '@aws-sdk/client-kms';
import type { Kind } from '../key-sequences/kinds';
import { pooledMaterial, pooledPair } from '../key-sequences/pooled-pairs';
import { wrap } from '../wrapping';
import { type Input, send } from './client';
import { messageTypesOf } from './expected';

const GRANTEE = 'arn:aws:iam::999999999999:root';
export const PLAINTEXT = Buffer.from('the quick brown fox');
/** As long as any ciphertext or signature may be, and nobody's. */
export const JUNK = Buffer.alloc(64, 7);
const FOR_EVER = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' };

/** A message, or what stands for one, of the type that the algorithm takes. */
export function signedBy(SigningAlgorithm: string, MessageType = messageTypesOf(SigningAlgorithm)[0]!): Input {
  if (MessageType === 'RAW') return { SigningAlgorithm, MessageType, Message: PLAINTEXT };
  const length = MessageType === 'EXTERNAL_MU' ? 64 : Number(/\d{3}$/.exec(SigningAlgorithm)?.[0] ?? 256) / 8;
  const Message = createHash('shake256', { outputLength: length }).update(PLAINTEXT).digest();
  return { SigningAlgorithm, MessageType, Message };
}

/** A key of one kind, what was made with it while it could be used, and a request of each operation that fits it. */
export class Subject {
  arn = '';
  keyId = '';
  /** Of another key, which is symmetric. */
  other: { keyId: string; ciphertext: Uint8Array } = { keyId: '', ciphertext: JUNK };
  private readonly made: Input = {};
  /** One to be retired, one to be revoked. */
  private readonly grantIds: string[] = [];
  private policy = '';

  constructor(
    readonly kind: Kind,
    private readonly kms: KMSClient,
  ) {}

  get role(): 'PRIMARY' | undefined {
    return this.kind.multiRegion ? 'PRIMARY' : undefined;
  }

  async create(): Promise<this> {
    const { keySpec: KeySpec, keyUsage: KeyUsage, origin: Origin, multiRegion: MultiRegion } = this.kind;
    const { KeyMetadata } = await this.ask('CreateKey', { KeySpec, KeyUsage, Origin, MultiRegion });
    const { Arn, KeyId } = KeyMetadata as { Arn: string; KeyId: string };
    this.arn = Arn;
    this.keyId = KeyId;
    this.policy = String((await this.ask('GetKeyPolicy', { KeyId }))['Policy']);
    await this.ask('CreateAlias', { AliasName: `alias/${KeyId}`, TargetKeyId: KeyId });
    return this;
  }

  private ask(operation: string, input: Input) {
    return send(this.kms, operation, input);
  }

  /** Of a key with imported material. */
  async import(index = 0): Promise<void> {
    const { kind, keyId: KeyId } = this;
    const WrappingAlgorithm = wrappingFor(kind.keySpec);
    const asked = { KeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' };
    const { ImportToken, PublicKey } = await this.ask('GetParametersForImport', asked);
    const material = await pooledMaterial(kind.keySpec, index);
    const EncryptedKeyMaterial = wrap(WrappingAlgorithm, PublicKey as Uint8Array, material);
    const brought = { KeyId, ImportToken, EncryptedKeyMaterial, ...FOR_EVER };
    await this.ask('ImportKeyMaterial', brought);
    this.made['ImportKeyMaterial'] = brought;
  }

  /** What can be made with the key now, for operations that take it. */
  async make(): Promise<void> {
    const { keyUsage, algorithms } = this.kind;
    const { keyId: KeyId, made } = this;
    const [algorithm] = algorithms;
    const grant = { KeyId, GranteePrincipal: GRANTEE, Operations: ['DescribeKey'] };
    for (let grants = 0; grants < 2; grants++) {
      this.grantIds.push(String((await this.ask('CreateGrant', grant))['GrantId']));
    }
    if (keyUsage === 'ENCRYPT_DECRYPT') {
      const asked = { KeyId, Plaintext: PLAINTEXT, EncryptionAlgorithm: algorithm };
      made['ciphertext'] = (await this.ask('Encrypt', asked))['CiphertextBlob'];
    } else if (keyUsage === 'SIGN_VERIFY') {
      made['signature'] = (await this.ask('Sign', { KeyId, ...signedBy(algorithm!) }))['Signature'];
    } else if (keyUsage === 'GENERATE_VERIFY_MAC') {
      const asked = { KeyId, Message: PLAINTEXT, MacAlgorithm: algorithm };
      made['mac'] = (await this.ask('GenerateMac', asked))['Mac'];
    } else if (keyUsage === 'ENCAPSULATE_DECAPSULATE') {
      const asked = { KeyId, EncapsulationAlgorithm: algorithm };
      made['encapsulated'] = (await this.ask('Encapsulate', asked))['SharedSecretCiphertextBlob'];
    }
  }

  /** An algorithm of the key where it is for this, else another. */
  private algorithm(keyUsage: string, other: string): string {
    return this.kind.keyUsage === keyUsage ? this.kind.algorithms[0]! : other;
  }

  /** Every operation about a key, asked rightly. */
  async requests(): Promise<Record<string, Input>> {
    return { ...this.onAnyKey(), ...(await this.cryptographic()) };
  }

  private onAnyKey(): Record<string, Input> {
    const { keyId: KeyId, kind } = this;
    const [retired = '0', revoked = '0'] = this.grantIds.slice(-2);
    const parameters = { WrappingAlgorithm: wrappingFor(kind.keySpec), WrappingKeySpec: 'RSA_2048' };
    const alias = `alias/${KeyId}`;
    const onlyKey = [
      ...['DescribeKey', 'GetKeyPolicy', 'GetKeyRotationStatus', 'ListAliases', 'ListGrants', 'ListKeyPolicies'],
      ...['ListKeyRotations', 'ListResourceTags', 'EnableKey', 'DisableKey', 'CancelKeyDeletion', 'GetPublicKey'],
      ...['EnableKeyRotation', 'DisableKeyRotation', 'RotateKeyOnDemand', 'DeleteImportedKeyMaterial'],
    ];
    return {
      ...Object.fromEntries(onlyKey.map((operation) => [operation, { KeyId }])),
      ScheduleKeyDeletion: { KeyId, PendingWindowInDays: 7 },
      PutKeyPolicy: { KeyId, Policy: this.policy },
      UpdateKeyDescription: { KeyId, Description: 'changed' },
      TagResource: { KeyId, Tags: [{ TagKey: 'team', TagValue: 'red' }] },
      UntagResource: { KeyId, TagKeys: ['team'] },
      CreateAlias: { AliasName: `${alias}/${kind.origin}/${this.aliasesMade++}`, TargetKeyId: KeyId },
      UpdateAlias: { AliasName: alias, TargetKeyId: KeyId },
      DeleteAlias: { AliasName: alias },
      CreateGrant: { KeyId, GranteePrincipal: GRANTEE, Operations: ['DescribeKey'], Name: 'asked' },
      RetireGrant: { KeyId, GrantId: retired },
      RevokeGrant: { KeyId, GrantId: revoked },
      ReplicateKey: { KeyId, ReplicaRegion: 'eu-west-1' },
      UpdatePrimaryRegion: { KeyId, PrimaryRegion: 'eu-west-1' },
      GetParametersForImport: { KeyId, ...parameters },
      ImportKeyMaterial: (this.made['ImportKeyMaterial'] as Input | undefined) ?? {
        ...{ KeyId, ImportToken: JUNK, EncryptedKeyMaterial: JUNK, ...FOR_EVER },
      },
    };
  }

  private aliasesMade = 0;

  private async cryptographic(): Promise<Record<string, Input>> {
    const { keyId: KeyId, made, kind } = this;
    const { ciphertext = JUNK, signature = JUNK, mac = JUNK, encapsulated = JUNK } = made;
    const EncryptionAlgorithm = this.algorithm('ENCRYPT_DECRYPT', 'RSAES_OAEP_SHA_256');
    const authenticated = {
      ...{ KeyId, Message: PLAINTEXT, MacAlgorithm: this.algorithm('GENERATE_VERIFY_MAC', 'HMAC_SHA_256') },
    };
    const signed = { KeyId, ...signedBy(this.algorithm('SIGN_VERIFY', 'ECDSA_SHA_256')) };
    const peer = await pooledPair(kind.keyUsage === 'KEY_AGREEMENT' ? kind.keySpec : 'ECC_NIST_P256', 9);
    const encapsulation = { KeyId, EncapsulationAlgorithm: 'ML_KEM' };
    const dataKey = { KeyId, KeySpec: 'AES_256' };
    const pair = { KeyId, KeyPairSpec: 'ECC_NIST_P256' };
    return {
      Encrypt: { KeyId, Plaintext: PLAINTEXT, EncryptionAlgorithm },
      Decrypt: { KeyId, CiphertextBlob: ciphertext, EncryptionAlgorithm },
      ReEncrypt: {
        ...{ CiphertextBlob: ciphertext, SourceKeyId: KeyId, SourceEncryptionAlgorithm: EncryptionAlgorithm },
        DestinationKeyId: this.other.keyId,
      },
      GenerateDataKey: dataKey,
      GenerateDataKeyWithoutPlaintext: dataKey,
      GenerateDataKeyPair: pair,
      GenerateDataKeyPairWithoutPlaintext: pair,
      Sign: signed,
      Verify: { ...signed, Signature: signature },
      GenerateMac: authenticated,
      VerifyMac: { ...authenticated, Mac: mac },
      DeriveSharedSecret: { KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: peer.publicKey },
      Encapsulate: encapsulation,
      Decapsulate: { ...encapsulation, SharedSecretCiphertextBlob: encapsulated },
    };
  }
}

/** What wraps material of any length has an AES key in between. */
export const wrappingFor = (keySpec: string): string =>
  /^RSA_|P521$/.test(keySpec) ? 'RSA_AES_KEY_WRAP_SHA_256' : 'RSAES_OAEP_SHA_256';
