import { KmsError } from '#domain/errors';
import { type KeyOperation, STATE_TABLE } from '#domain/key/state-table';
import { userRef } from '#domain/principal/principal-id';
import { MemoryEventStore } from '#event-store/memory-event-store';
import { endOffLoop } from '#hsm/off-loop';
import { Projection } from '#views/projection';
import { KMS_MODEL } from '../../../test/conformance/kms-model';
import { reasonFor } from '../../../test/conformance/not-shown';
import { everyOperation, type Held, type Step } from '../../../test/support/every-operation';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import { wrap } from '../../../test/support/wrapping';
import { OPERATION_TABLE } from './table';

/** May do everything. */
const BOB = { principalId: 'AIDABOBBOBBOBBOBBOB1' };
/** May do nothing. */
const ANN = { principalId: 'AIDAANNANNANNANNANN1' };
/** As long as one of a 2,048-bit wrapping key. */
const WRONG_CIPHERTEXT = Buffer.alloc(256, 1).toString('base64');
const MISSING_KEY = '00000000-0000-0000-0000-000000000000';

type Request = Record<string, unknown>;

/** A log whose leader does not say any more what is in it. */
class LogThatGoesAway extends MemoryEventStore {
  isGone = false;

  override async lastPosition(): Promise<number> {
    if (this.isGone) throw new Error('no answer');
    return super.lastPosition();
  }
}

/** All that there is where an operation can be done: what the steps before it made. */
class Subject {
  readonly log = new LogThatGoesAway();
  readonly kms = new MemoryOperations(this.log);
  readonly held: Held = {};
  input: Request = {};

  constructor(readonly operation: string) {}

  async prepare(): Promise<void> {
    for (const [name, { principalId }] of Object.entries({ ann: ANN, bob: BOB })) {
      const ref = userRef(ACCOUNT, name);
      await this.kms.runCommand(ref, { type: 'CreateUser', name, path: '/', uniqueId: principalId, tags: [] });
    }
    await this.kms.runCommand(userRef(ACCOUNT, 'bob'), { type: 'PutPolicy', policyName: 'all', policy: allowing('*') });
    for (const step of everyOperation(ACCOUNT, 'declared', Buffer.alloc(16, 's'))) {
      if (step.operation === this.operation) {
        this.input = step.input(this.held);
        return;
      }
      await this.perform(step);
    }
    throw new Error(`no step for ${this.operation}`);
  }

  private async perform(step: Step): Promise<void> {
    const { code, message, body } = await this.kms.call(step.operation, step.input(this.held), BOB);
    if (code !== 'OK') throw new Error(`${step.operation}: ${code}: ${message}`);
    step.keep?.(body, this.held);
  }

  get members(): Record<string, string> {
    return KMS_MODEL.operations[this.operation]!.input.members;
  }

  /** The members that name a key. */
  get keyMembers(): string[] {
    const names = Object.keys(this.members).filter((name) => this.members[name] === 'KeyIdType');
    const given = names.filter((name) => this.input[name] !== undefined);
    return given.length > 0 ? given : names;
  }

  ask(more: Request = {}, who = BOB) {
    return this.kms.call(this.operation, { ...this.input, ...more }, who);
  }

  /** With another key. A grant that is named by its token alone would be one of its own key. */
  askOf(keyId: string, more: Request = {}) {
    const ofGrant = this.operation === 'RetireGrant' ? { GrantToken: undefined, GrantId: '0' } : {};
    return this.ask({ ...Object.fromEntries(this.keyMembers.map((name) => [name, keyId])), ...ofGrant, ...more });
  }

  newHmacKey(): Promise<string> {
    return this.newKeyOf({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' });
  }

  async newKeyOf(kind: Request): Promise<string> {
    const { body } = await this.kms.call('CreateKey', kind);
    return (body['KeyMetadata'] as { KeyId: string }).KeyId;
  }

  /** With a key that has as many aliases as it can have. */
  async askWithManyAliases() {
    const { KeyId } = await this.kms.newKey();
    for (let at = 0; at < MANY_ALIASES; at++) {
      await this.kms.call('CreateAlias', { AliasName: `alias/many-${at}`, TargetKeyId: KeyId }, BOB);
    }
    return this.ask({ TargetKeyId: KeyId });
  }

  /** With the key after it has been changed in some way. */
  async askAfter(operation: 'DisableKey' | 'ScheduleKeyDeletion' | 'CancelKeyDeletion') {
    const keyIds = new Set(this.keyMembers.map((name) => this.input[name] ?? this.held['KeyId']));
    for (const KeyId of keyIds) await this.kms.call(operation, { KeyId }, BOB);
    return this.ask();
  }
}

type Way = (subject: Subject) => ReturnType<Subject['ask']>;

const MANY_ALIASES = 50;
const MANY_ROTATIONS = 25;
const tags = (length: number, name: string) => Array.from({ length }, (_, at) => ({ TagKey: name + at, TagValue: '' }));

const LIMITS_PASSED: Record<string, Way> = {
  CreateAlias: (subject) => subject.askWithManyAliases(),
  CreateGrant(subject) {
    jest.spyOn(Projection.prototype, 'grantCount').mockReturnValue(50_000);
    return subject.ask();
  },
  CreateKey(subject) {
    jest.spyOn(Projection.prototype, 'keyCount').mockReturnValue(100_000);
    return subject.ask();
  },
  PutKeyPolicy: (subject) => subject.ask({ Policy: `${String(subject.input['Policy'])}${' '.repeat(32_768)}` }),
  ReplicateKey(subject) {
    jest.spyOn(Projection.prototype, 'keyCount').mockReturnValue(100_000);
    return subject.ask();
  },
  async RotateKeyOnDemand(subject) {
    for (let rotation = 0; rotation < MANY_ROTATIONS; rotation++) await subject.ask();
    return subject.ask();
  },
  async TagResource(subject) {
    await subject.ask({ Tags: tags(49, 'a') });
    return subject.ask({ Tags: tags(2, 'b') });
  },
  UpdateAlias: (subject) => subject.askWithManyAliases(),
};

const ciphertextMember = (operation: string): string | undefined =>
  Object.keys(KMS_MODEL.operations[operation]!.input.members).find((name) =>
    /CiphertextBlob$|^EncryptedKeyMaterial$/.test(name),
  );

/** How each error comes about. */
const WAYS: Record<string, Way> = {
  async AlreadyExistsException(subject) {
    await subject.ask();
    return subject.ask();
  },
  DependencyTimeoutException(subject) {
    // Not even a refusal is certain then.
    subject.kms.toleratesFaults = true;
    subject.log.isGone = true;
    subject.kms.onLastUse = () => Promise.reject(new KmsError('DependencyTimeoutException', 'cannot be told now'));
    return subject.ask({}, subject.operation === 'GetKeyLastUsage' ? BOB : ANN);
  },
  DisabledException: (subject) => subject.askAfter('DisableKey'),
  DryRunOperationException: (subject) => subject.ask({ DryRun: true }),
  ExpiredImportTokenException(subject) {
    subject.kms.now += 24 * 3_600_000 + 1;
    return subject.ask();
  },
  async IncorrectKeyMaterialException(subject) {
    await subject.ask();
    const wrapped = wrap(
      'RSAES_OAEP_SHA_256',
      Buffer.from(subject.held['WrappingKey']!, 'base64'),
      Buffer.alloc(32, 2),
    );
    return subject.ask({ EncryptedKeyMaterial: wrapped.toString('base64') });
  },
  async IncorrectKeyException(subject) {
    const { KeyId } = await subject.kms.newKey();
    return subject.ask({ [subject.operation === 'ReEncrypt' ? 'SourceKeyId' : 'KeyId']: KeyId });
  },
  InvalidArnException(subject) {
    if (subject.operation === 'ListRetirableGrants') return subject.ask({ RetiringPrincipal: 'arn:aws:s3:::bucket' });
    return subject.askOf('arn:aws:kms:us-east-1:000000000000:nothing');
  },
  CustomKeyStoreNotFoundException: (subject) =>
    subject.ask({
      CustomKeyStoreId: 'cks-1234567890abcdef0',
      ...(subject.operation === 'CreateKey' && { Origin: 'AWS_CLOUDHSM' }),
    }),
  InvalidCiphertextException: (subject) => subject.ask({ [ciphertextMember(subject.operation)!]: WRONG_CIPHERTEXT }),
  InvalidImportTokenException: (subject) => subject.ask({ ImportToken: 'AAAA' }),
  InvalidGrantIdException: (subject) => subject.askOf(subject.held['KeyId']!, { GrantId: 'no id' }),
  InvalidGrantTokenException: (subject) =>
    subject.ask(subject.members['GrantTokens'] ? { GrantTokens: ['AQIDBA=='] } : { GrantToken: 'AQIDBA==' }),
  async InvalidKeyUsageException(subject) {
    if (subject.operation === 'Decrypt') {
      return subject.ask({ KeyId: subject.held['KeyId'], EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' });
    }
    const encrypts = /Encrypt|GenerateDataKey/.test(subject.operation);
    return subject.askOf(encrypts ? await subject.newHmacKey() : (await subject.kms.newKey()).KeyId);
  },
  InvalidMarkerException: (subject) => subject.ask({ Marker: 'of no page' }),
  KMSInternalException(subject) {
    subject.kms.toleratesFaults = true;
    subject.kms.fault = new Error('secret details');
    return subject.ask();
  },
  KMSInvalidMacException: (subject) => subject.ask({ Mac: 'AAAA' }),
  KMSInvalidSignatureException: (subject) => subject.ask({ Signature: 'AAAA' }),
  KMSInvalidStateException: (subject) =>
    subject.askAfter(subject.operation === 'CancelKeyDeletion' ? 'CancelKeyDeletion' : 'ScheduleKeyDeletion'),
  LimitExceededException: (subject) => LIMITS_PASSED[subject.operation]!(subject),
  MalformedPolicyDocumentException: (subject) => subject.ask({ Policy: '{' }),
  NotFoundException: (subject) =>
    subject.operation === 'DeleteAlias' ? subject.ask({ AliasName: 'alias/missing' }) : subject.askOf(MISSING_KEY),
  TagException: (subject) =>
    subject.ask(
      subject.members['TagKeys']
        ? { TagKeys: ['aws:a'] }
        : { Tags: ['a', 'a'].map((TagKey) => ({ TagKey, TagValue: '' })) },
    ),
  async UnsupportedOperationException(subject) {
    if (subject.operation === 'CreateKey') {
      return subject.ask({ Origin: 'EXTERNAL', KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY' });
    }
    if (subject.operation === 'DisableKeyRotation')
      return subject.askOf(await subject.newKeyOf({ Origin: 'EXTERNAL' }));
    const rotates = subject.operation.includes('Rotat');
    return subject.askOf(rotates ? await subject.newHmacKey() : (await subject.kms.newKey()).KeyId);
  },
};

/** What is not supported of keys in custom key stores alone: shown where those are tested. */
const OF_CUSTOM_KEY_STORES = [
  ...['GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext', 'GenerateRandom', 'GetKeyRotationStatus'],
];

/** By the table of key states, and by what there is to give wrongly. */
function comesAboutSo(operation: string, code: string): boolean {
  const states = STATE_TABLE[operation as KeyOperation] as (typeof STATE_TABLE)[KeyOperation] | undefined;
  switch (code) {
    case 'DisabledException':
      return states?.Disabled === 'disabled';
    case 'InvalidCiphertextException':
      return ciphertextMember(operation) !== undefined;
    case 'KMSInvalidStateException':
      return states?.PendingDeletion === 'invalid' || states?.Enabled === 'invalid';
    case 'LimitExceededException':
      return operation in LIMITS_PASSED;
    case 'UnsupportedOperationException':
      return !OF_CUSTOM_KEY_STORES.includes(operation);
    default:
      return code in WAYS;
  }
}

const pairs = Object.entries(KMS_MODEL.operations).flatMap(([operation, { errors }]) =>
  OPERATION_TABLE.has(operation)
    ? errors
        .filter((code) => comesAboutSo(operation, code) && reasonFor(operation, code) === undefined)
        .map((code): [string, string] => [operation, code])
    : [],
);

afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(endOffLoop);

test.each(pairs)('%s answers with the %s that it declares', async (operation, code) => {
  const subject = new Subject(operation);
  await subject.prepare();
  const answer = await WAYS[code]!(subject);
  expect(answer).toMatchObject({ code, message: expect.not.stringContaining('secret') as string });
});
