import type { KMSClient } from '@aws-sdk/client-kms';
import { pooledPair } from '../key-sequences/pooled-pairs';
import { algorithmsFor, MAKES_DATA_KEYS } from '../published-key-kinds';
import { OK, type Outcome, type Outcomes, send } from './client';
import { GRANT_OPERATIONS, grantable, ofDataKeys, type Side, withAlgorithm, withMessage, wrongUsage } from './expected';
import { JUNK, PLAINTEXT, type Subject, signedBy } from './subject';

/** Asks an enabled key for everything of one family of operations, with every algorithm that there is. */
export type Asks = (subject: Subject, outcomes: Outcomes, kms: KMSClient) => Promise<unknown>;

const together = <T>(items: readonly T[], ask: (item: T) => Promise<unknown>): Promise<unknown> =>
  Promise.all(items.map(ask));

export const encryption: Asks = (subject, outcomes, kms) =>
  together(algorithmsFor('ENCRYPT_DECRYPT'), async (algorithm) => {
    const { keyId: KeyId, arn, kind, other } = subject;
    const expected = (operation: string, side?: Side): Outcome => withAlgorithm(operation, algorithm, kind, arn, side);
    const encrypting = { KeyId, Plaintext: PLAINTEXT, EncryptionAlgorithm: algorithm };
    void outcomes.ask(`Encrypt ${algorithm}`, 'Encrypt', encrypting, expected('Encrypt'));
    const to = { DestinationKeyId: KeyId, DestinationEncryptionAlgorithm: algorithm };
    const bringing = { CiphertextBlob: other.ciphertext, ...to };
    void outcomes.ask(`to ${algorithm}`, 'ReEncrypt', bringing, expected('ReEncrypt', 'ReEncryptTo'));
    const isItsOwn = expected('Encrypt') === OK;
    const CiphertextBlob = isItsOwn ? (await send(kms, 'Encrypt', encrypting))['CiphertextBlob'] : JUNK;
    // A symmetric ciphertext is looked at before the key is: it is to name one.
    const isNobodys = algorithm === 'SYMMETRIC_DEFAULT' && !isItsOwn;
    const opening = (operation: string, side?: Side): Outcome =>
      isNobodys ? { code: 'InvalidCiphertextException' } : expected(operation, side);
    const decrypting = { KeyId, CiphertextBlob, EncryptionAlgorithm: algorithm };
    void outcomes.ask(`Decrypt ${algorithm}`, 'Decrypt', decrypting, opening('Decrypt'));
    const from = { CiphertextBlob, SourceKeyId: KeyId, SourceEncryptionAlgorithm: algorithm };
    const taking = { ...from, DestinationKeyId: other.keyId };
    void outcomes.ask(`from ${algorithm}`, 'ReEncrypt', taking, opening('ReEncrypt', 'ReEncryptFrom'));
  });

const DATA_KEYS = [{ KeySpec: 'AES_256' }, { KeySpec: 'AES_128' }, { NumberOfBytes: 64 }];
const PAIRS = [{ KeyPairSpec: 'ECC_NIST_P256' }, { KeyPairSpec: 'ML_KEM_512' }];

export const dataKeys: Asks = async ({ keyId: KeyId, kind, arn }, outcomes) => {
  for (const operation of MAKES_DATA_KEYS) {
    for (const asked of operation.includes('Pair') ? PAIRS : DATA_KEYS) {
      const what = `${operation} ${Object.values(asked).join()}`;
      void outcomes.ask(what, operation, { KeyId, ...asked }, ofDataKeys(operation, kind, arn));
    }
  }
};

export const signatures: Asks = ({ keyId: KeyId, kind, arn }, outcomes, kms) =>
  together(algorithmsFor('SIGN_VERIFY'), (algorithm) =>
    // What does not fit the key is refused before the type of a message is looked at.
    together(kind.algorithms.includes(algorithm) ? ['RAW', 'DIGEST', 'EXTERNAL_MU'] : ['RAW'], async (type) => {
      const signing = { KeyId, ...signedBy(algorithm, type) };
      const expected = (operation: string) => withMessage(operation, algorithm, type, kind, arn);
      void outcomes.ask(`Sign ${algorithm} ${type}`, 'Sign', signing, expected('Sign'));
      const isSigned = expected('Sign') === OK;
      const Signature = isSigned ? (await send(kms, 'Sign', signing))['Signature'] : JUNK;
      void outcomes.ask(`Verify ${algorithm} ${type}`, 'Verify', { ...signing, Signature }, expected('Verify'));
      if (!isSigned) return;
      const wrong = { ...signing, Signature: JUNK };
      void outcomes.ask(`nobody's ${algorithm} ${type}`, 'Verify', wrong, { code: 'KMSInvalidSignatureException' });
    }),
  );

export const macs: Asks = ({ keyId: KeyId, kind, arn }, outcomes, kms) =>
  together(algorithmsFor('GENERATE_VERIFY_MAC'), async (algorithm) => {
    const asked = { KeyId, Message: PLAINTEXT, MacAlgorithm: algorithm };
    const expected = (operation: string) => withAlgorithm(operation, algorithm, kind, arn);
    void outcomes.ask(`GenerateMac ${algorithm}`, 'GenerateMac', asked, expected('GenerateMac'));
    const isMade = expected('GenerateMac') === OK;
    const Mac = isMade ? (await send(kms, 'GenerateMac', asked))['Mac'] : JUNK;
    void outcomes.ask(`VerifyMac ${algorithm}`, 'VerifyMac', { ...asked, Mac }, expected('VerifyMac'));
    if (!isMade) return;
    void outcomes.ask("nobody's", 'VerifyMac', { ...asked, Mac: JUNK }, { code: 'KMSInvalidMacException' });
  });

export const secrets: Asks = async (subject, outcomes) => {
  const { kind, arn } = subject;
  const requests = await subject.requests();
  for (const operation of ['DeriveSharedSecret', 'Encapsulate', 'Decapsulate']) {
    const expected = wrongUsage(operation, kind, arn) ?? OK;
    void outcomes.ask(operation, operation, requests[operation]!, expected);
  }
  const junk = { ...requests['Decapsulate'], SharedSecretCiphertextBlob: JUNK };
  const noCiphertext = wrongUsage('Decapsulate', kind, arn) ?? { code: 'InvalidCiphertextException' };
  void outcomes.ask('Decapsulate nothing', 'Decapsulate', junk, noCiphertext);
  await together(['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_SECG_P256K1'], async (curve) => {
    const { publicKey } = await pooledPair(curve, 9);
    const fits = curve === kind.keySpec ? OK : { code: 'ValidationException' };
    const asked = { ...requests['DeriveSharedSecret'], PublicKey: publicKey };
    const expected = wrongUsage('DeriveSharedSecret', kind, arn) ?? fits;
    void outcomes.ask(`with ${curve}`, 'DeriveSharedSecret', asked, expected);
  });
};

export const grants: Asks = async ({ keyId: KeyId, kind }, outcomes) => {
  const grant = { KeyId, GranteePrincipal: 'arn:aws:iam::999999999999:root', DryRun: true };
  const outcome = (isGiven: boolean): Outcome => ({
    code: isGiven ? 'DryRunOperationException' : 'ValidationException',
  });
  for (const operation of GRANT_OPERATIONS) {
    // Alone it is no grant.
    const Operations = operation === 'CreateGrant' ? [operation, 'DescribeKey'] : [operation];
    void outcomes.ask(operation, 'CreateGrant', { ...grant, Operations }, outcome(grantable(kind).includes(operation)));
  }
  const Constraints = { EncryptionContextSubset: { team: 'red' } };
  const constrained = { ...grant, Operations: ['DescribeKey'], Constraints };
  void outcomes.ask('constrained', 'CreateGrant', constrained, outcome(kind.keySpec === 'SYMMETRIC_DEFAULT'));
};
