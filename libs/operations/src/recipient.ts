import { createHash } from 'node:crypto';
import type { RecipientInfo } from '@aws-sdk/client-kms';
import type { Attestation, AttestationVerifier, VerifiedDocument } from '#crypto/attestation/attestation-verifier';
import { envelop } from '#crypto/attestation/enveloped-data';
import { workedOut } from './off-loop';
import type { Call, DataPorts } from './operation';
import type { Constraint } from './wire/constraints';
import { present } from './wire/present';
import { base64 } from './wire/wire';

const ALGORITHM = { kind: 'enum', values: ['RSAES_OAEP_SHA_256'] } as const satisfies Constraint;
const DOCUMENT = { kind: 'blob', min: 1, max: 262_144 } as const satisfies Constraint;

/** Of a request whose response may be for an attested recipient. */
export const RECIPIENT = {
  kind: 'structure',
  members: {
    KeyEncryptionAlgorithm: { constraint: ALGORITHM, required: false },
    AttestationDocument: { constraint: DOCUMENT, required: false },
  },
} as const satisfies Constraint;

/** Whom a response is for, and what it has attested: policies ask for that. */
export type Recipient = VerifiedDocument;

/**
 * The recipient that a request names, once its attestation document has been verified. To be called before anything is
 * authorised, and handed to it in `Asked`. Throws ValidationException.
 */
export function recipientOf(
  given: RecipientInfo | undefined,
  call: Call,
  ports: Pick<DataPorts, 'recipient'>,
): Recipient | undefined {
  if (given === undefined) return undefined;
  const recipient = ports.recipient(given, call);
  call.trail?.attested(recipient);
  return recipient;
}

/** DataPorts.recipient, where documents are verified. The document is verified away from the event loop. */
export function verifiedRecipient(given: RecipientInfo, call: Call, verifier: AttestationVerifier): Recipient {
  present(given.KeyEncryptionAlgorithm, ALGORITHM, 'recipient.keyEncryptionAlgorithm');
  const document = present(given.AttestationDocument, DOCUMENT, 'recipient.attestationDocument');
  const name = createHash('sha256').update(document).digest('hex');
  return workedOut(call, `attestation document ${name}`, () => verifier.verify(document, Date.parse(call.now)));
}

/**
 * The value of the condition key `kms:RecipientAttestation:<name>`, `name` in lower case: lower-case hex, as policies write it.
 * Source: AWS KMS Developer Guide, "Condition keys for attested platforms".
 */
export function attestedValue(recipient: Attestation | undefined, name: string): string | undefined {
  if (!recipient) return undefined;
  const { platform, pcrs } = recipient;
  if (name === 'imagesha384') return platform === 'enclave' ? pcrs.get(0) : undefined;
  const prefix = REGISTERS[platform];
  const index = name.slice(prefix.length);
  return name.startsWith(prefix) && /^(0|[1-9][0-9]?)$/.test(index) ? pcrs.get(Number(index)) : undefined;
}

const REGISTERS = { enclave: 'pcr', tpm: 'nitrotpmpcr' } as const;

type Secret<Member extends string> = { [M in Member | 'CiphertextForRecipient']?: string };

/**
 * The members of a response that hold its secret: `member`, in clear, or CiphertextForRecipient, where it is for a recipient.
 * `secret` is the caller's to zeroise.
 */
export function secretFor<Member extends string>(
  recipient: Recipient | undefined,
  member: Member,
  secret: Uint8Array,
  ports: Pick<DataPorts, 'random'>,
): Secret<Member> {
  if (!recipient) return { [member]: base64(secret) } as Secret<Member>;
  const envelope = envelop(secret, recipient.recipientKey, (length) => ports.random(length));
  return { CiphertextForRecipient: base64(envelope) } as Secret<Member>;
}
