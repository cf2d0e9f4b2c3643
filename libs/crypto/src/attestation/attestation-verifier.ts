import type { KeyObject } from 'node:crypto';
import { KmsError } from '#domain/errors';
import { type AttestationDocument, type Platform, parseAttestationDocument } from './attestation-document';
import type { Certificate } from './certificate';
import { CertificateChains, verifies } from './certificate-chain';
import { parseCoseSign1 } from './cose-sign1';
import { invalidDocument } from './invalid-document';
import { recipientKey } from './recipient-key';

/** What a verified document attests. */
export interface Attestation {
  /** Of the enclave: `i-1234567890abcdef0-enc9876543210abcde`. */
  moduleId: string;
  platform: Platform;
  /** By their index; lower-case hex. */
  pcrs: ReadonlyMap<number, string>;
}

export interface VerifiedDocument extends Attestation {
  /** RSA; whom the response is for. */
  recipientKey: KeyObject;
}

/** How long a document is good for; also how far its clock may be ahead. */
export const MAX_AGE_MS = 5 * 60_000;

/** Verifies attestation documents against the roots it is given. Keeps what it has learnt of certificates, and nothing of documents. */
export class AttestationVerifier {
  private readonly chains: CertificateChains;

  constructor(private readonly roots: readonly Certificate[]) {
    this.chains = new CertificateChains(roots);
  }

  /** `now` in epoch milliseconds. Rejects with ValidationException, which says what is wrong with the document. */
  async verify(document: Uint8Array, now: number): Promise<VerifiedDocument> {
    if (this.roots.length === 0) throw noRoots();
    const { payload, signature, signed } = parseCoseSign1(document);
    const attested = parseAttestationDocument(payload);
    assertFresh(attested, now);
    const signer = await this.chains.keyOf(attested.certificate, attested.caBundle, now);
    if (!(await verifies(signed, signer, signature, 'ieee-p1363'))) {
      throw invalidDocument('its signature does not verify');
    }
    const { moduleId, platform, publicKey } = attested;
    const pcrs = new Map([...attested.pcrs].map(([index, value]) => [index, Buffer.from(value).toString('hex')]));
    return { moduleId, platform, pcrs, recipientKey: recipientKey(publicKey) };
  }
}

function assertFresh({ timestamp }: AttestationDocument, now: number): void {
  if (Math.abs(now - timestamp) <= MAX_AGE_MS) return;
  throw invalidDocument(
    `its timestamp of ${timestamp} ms is more than ${MAX_AGE_MS / 60_000} minutes from this server's time of ${now} ms`,
  );
}

const noRoots = (): KmsError =>
  new KmsError(
    'ValidationException',
    'Recipient cannot be used: this server trusts no root of attestation documents. ' +
      'KEYTRAIL_NITRO_ROOTS names the PEM file of those that it is to trust.',
  );
