import type { AuditRecord } from '#audit-log/record';
import { AttestationVerifier } from '#crypto/attestation/attestation-verifier';
import { parseTrustedRoots } from '#crypto/attestation/trusted-roots';
import { userRef } from '#domain/principal/principal-id';
import { TestNitro } from '../../../test/support/attestation-documents';
import { ACCOUNT, allowing, MemoryOperations } from '../../../test/support/memory-operations';
import { attestationFrom, recordedAttestation, recordedRecipient } from './audit/recorded-attestation';
import { attestedValue } from './recipient';

const base64 = (index: number): string => Buffer.from(TestNitro.pcr(index), 'hex').toString('base64');
const registers = new Map(Array.from({ length: 32 }, (_, at) => [at, TestNitro.pcr(at)]));
const enclave = { moduleId: 'i-1-enc1', platform: 'enclave', pcrs: registers } as const;
const tpm = { moduleId: 'i-1-tpm0', platform: 'tpm', pcrs: registers } as const;

describe('a condition on what is attested', () => {
  test.each([
    ['imagesha384', enclave, 0],
    ['pcr0', enclave, 0],
    ['pcr31', enclave, 31],
    ['nitrotpmpcr4', tpm, 4],
  ] as const)('has a value: %s', (name, attestation, index) => {
    expect(attestedValue(attestation, name)).toBe(TestNitro.pcr(index));
  });

  test.each([
    ['imagesha384', undefined],
    ['imagesha384', tpm],
    ['pcr4', tpm],
    ['nitrotpmpcr4', enclave],
    ['pcr', enclave],
    ['pcr32', enclave],
    ['pcr00', enclave],
    ['pcr1 ', enclave],
    ['pcr-1', enclave],
    ['pcr1e0', enclave],
    ['', enclave],
    ['moduleid', enclave],
    ['imagesha384', { ...enclave, pcrs: new Map() }],
  ])('has none: %j of %j', (name, attestation) => {
    expect(attestedValue(attestation, name)).toBeUndefined();
  });
});

describe('on record', () => {
  test('is of an enclave and of a NitroTPM what CloudTrail has of them', () => {
    expect(recordedRecipient(enclave)).toEqual({
      attestationDocumentModuleId: 'i-1-enc1',
      attestationDocumentEnclaveImageDigest: base64(0),
      ...Object.fromEntries([1, 2, 3, 4, 8].map((at) => [`attestationDocumentEnclavePCR${at}`, base64(at)])),
    });
    expect(recordedRecipient(tpm)).toEqual({
      attestationDocumentModuleId: 'i-1-tpm0',
      ...Object.fromEntries([4, 7, 8, 9, 16, 23].map((at) => [`attestationDocumentNitroTPMPCR${at}`, base64(at)])),
    });
    expect(recordedRecipient({ ...enclave, pcrs: new Map() })).toEqual({ attestationDocumentModuleId: 'i-1-enc1' });
  });

  test.each([enclave, tpm])('is all that a decision can ask of $moduleId', (attestation) => {
    expect(attestationFrom(recordedAttestation(attestation)!)).toEqual(attestation);
  });
});

describe('a call for a recipient', () => {
  test('is refused once its caller has lost the right while the document was verified', async () => {
    const operations = new MemoryOperations();
    const nitro = new TestNitro(operations.now);
    const ann = userRef(ACCOUNT, 'ann');
    const principalId = 'AIDAANNANNANNANNANN1';
    await operations.runCommand(ann, { type: 'CreateUser', name: 'ann', uniqueId: principalId, path: '/', tags: [] });
    const policy = allowing('kms:GenerateRandom');
    await operations.runCommand(ann, { type: 'PutPolicy', policyName: 'own', policy });
    const verifier = new AttestationVerifier(parseTrustedRoots(nitro.rootPem));
    let meanwhile = async (): Promise<void> => {};
    operations.attestations = {
      verify: async (document: Uint8Array, now: number) => {
        const verified = await verifier.verify(document, now);
        await meanwhile();
        return verified;
      },
    } as AttestationVerifier;
    const records: AuditRecord[] = [];
    operations.onRecord = (record) => records.push(record);
    const AttestationDocument = nitro.document().toString('base64');
    const Recipient = { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument };
    const ask = () => operations.call('GenerateRandom', { NumberOfBytes: 16, Recipient }, { principalId });
    expect((await ask()).code).toBe('OK');
    meanwhile = () => operations.runCommand(ann, { type: 'DeletePolicy', policyName: 'own' });
    expect((await ask()).code).toBe('AccessDeniedException');
    const recipient = expect.objectContaining({ attestationDocumentEnclaveImageDigest: base64(0) });
    expect(records.map(({ errorCode, additionalEventData }) => [errorCode, additionalEventData])).toEqual([
      [undefined, expect.objectContaining({ recipient })],
      ['AccessDeniedException', expect.objectContaining({ recipient })],
    ]);
  });
});
