import type { AdditionalEventData, DecisionInput } from '#audit-log/record';
import type { Attestation } from '#crypto/attestation/attestation-verifier';

/**
 * The registers that CloudTrail records beside the image digest, which is PCR0 of an enclave. Sources: AWS KMS Developer Guide,
 * "Monitoring requests for Nitro enclaves", "Monitoring requests for NitroTPM".
 */
const RECORDED = {
  enclave: { registers: [1, 2, 3, 4, 8], name: 'attestationDocumentEnclavePCR' },
  tpm: { registers: [4, 7, 8, 9, 16, 23], name: 'attestationDocumentNitroTPMPCR' },
} as const;

/** What a record shows of an attestation document, as CloudTrail does: values in base64. */
export function recordedRecipient({ moduleId, platform, pcrs }: Attestation): AdditionalEventData['recipient'] {
  const { registers, name } = RECORDED[platform];
  const recipient: Record<string, string> = { attestationDocumentModuleId: moduleId };
  const image = platform === 'enclave' ? pcrs.get(0) : undefined;
  if (image !== undefined) recipient['attestationDocumentEnclaveImageDigest'] = base64(image);
  for (const index of registers) {
    const value = pcrs.get(index);
    if (value !== undefined) recipient[`${name}${index}`] = base64(value);
  }
  return recipient;
}

type RecordedAttestation = NonNullable<DecisionInput['attestation']>;

/** All that policies can ask of an attestation document. */
export const recordedAttestation = ({ moduleId, platform, pcrs }: Attestation): RecordedAttestation => ({
  platform,
  moduleId,
  pcrs: Object.fromEntries([...pcrs].map(([index, value]) => [index, base64(value)])),
});

/** The reverse of recordedAttestation. */
export const attestationFrom = ({ moduleId, platform, pcrs }: RecordedAttestation): Attestation => ({
  moduleId,
  platform,
  pcrs: new Map(
    Object.entries(pcrs).map(([index, value]) => [Number(index), Buffer.from(value, 'base64').toString('hex')]),
  ),
});

const base64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64');
