import { type KeyObject, verify } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type Certificate, type NotOfThePki, parseCertificate } from './certificate';
import { invalidDocument } from './invalid-document';

/**
 * Whether an ECDSA signature with SHA-384 verifies. In the threads of libuv: one takes half a millisecond or more, which would hold
 * up all other requests.
 */
export const verifies = (
  data: Uint8Array,
  key: KeyObject,
  signature: Uint8Array,
  dsaEncoding: 'der' | 'ieee-p1363',
): Promise<boolean> =>
  new Promise((resolve) => {
    // An error is a signature that cannot even be read.
    verify('sha384', data, { key, dsaEncoding }, signature, (error, verified) => resolve(!error && verified));
  });

/** A certificate whose signature has been verified with the key of its issuer, and so on up to a root. */
interface Verified {
  certificate: Certificate;
  /** Absent of a root. */
  issuer?: Verified;
}

/** A region, a zone, an instance and an enclave have one each, for hours or days. */
const KEPT = 1_000;

/**
 * Certificate paths to trusted roots. Signatures that have been verified are remembered, so that each certificate is
 * parsed and verified once; dates, purposes and lengths of paths are checked each time.
 * Source: AWS, "Nitro Enclaves Attestation Process", sections 3.2.3 and 3.2.4; RFC 5280, section 6.
 */
export class CertificateChains {
  private readonly roots: readonly Verified[];
  private readonly verified = new LRUCache<string, Verified>({ max: KEPT });

  constructor(roots: readonly Certificate[]) {
    this.roots = roots.map((certificate) => ({ certificate }));
  }

  /**
   * The key of `certificate`, if `bundle` leads from a trusted root, byte for byte, down to it and every certificate is valid at
   * `now`, in epoch milliseconds. Rejects with ValidationException. From the root down, so that what nobody trusted has signed is
   * not even parsed.
   */
  async keyOf(certificate: Uint8Array, bundle: readonly Uint8Array[], now: number): Promise<KeyObject> {
    const [first, ...others] = bundle;
    let newest = this.roots.find((root) => root.certificate.der.equals(first!));
    if (!newest) throw invalidDocument('the first certificate of its cabundle is not a trusted root');
    assertValid(newest.certificate, 'its root certificate', now);
    assertAuthority(newest.certificate, 'its root certificate', others.length);
    for (const [at, der] of others.entries()) {
      const what = `certificate ${at + 1} of its cabundle`;
      newest = await this.issued(der, newest, what, now);
      assertAuthority(newest.certificate, what, others.length - at - 1);
    }
    const { certificate: signer } = await this.issued(certificate, newest, 'its certificate', now);
    if (signer.isAuthority || signer.pathLength !== undefined) {
      throw invalidDocument('its certificate is that of an authority');
    }
    if (!signer.signsDocuments) throw invalidDocument('the keyUsage of its certificate lacks digitalSignature');
    return signer.publicKey;
  }

  private async issued(der: Uint8Array, issuer: Verified, what: string, now: number): Promise<Verified> {
    const id = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('latin1');
    const known = this.verified.get(id);
    if (known?.issuer === issuer) {
      assertValid(known.certificate, what, now);
      return known;
    }
    const certificate = parsed(der, what);
    if (!certificate.issuer.equals(issuer.certificate.subject)) {
      throw invalidDocument(`${what} does not name the certificate before it as its issuer`);
    }
    assertValid(certificate, what, now);
    const { publicKey } = issuer.certificate;
    if (!(await verifies(certificate.tbs, publicKey, certificate.signature, 'der'))) {
      throw invalidDocument(`the signature of ${what} does not verify`);
    }
    const verified: Verified = { certificate, issuer };
    this.verified.set(id, verified);
    return verified;
  }
}

function parsed(der: Uint8Array, what: string): Certificate {
  try {
    return parseCertificate(der);
  } catch (error) {
    throw invalidDocument(`${what} ${(error as NotOfThePki).message}`, error);
  }
}

function assertValid({ notBefore, notAfter }: Certificate, what: string, now: number): void {
  if (now < notBefore) throw invalidDocument(`${what} is not valid before ${new Date(notBefore).toISOString()}`);
  if (now > notAfter) throw invalidDocument(`${what} expired at ${new Date(notAfter).toISOString()}`);
}

/** `following`: how many authorities come after it. */
function assertAuthority({ isAuthority, signsCertificates, pathLength }: Certificate, what: string, following: number) {
  if (!isAuthority) throw invalidDocument(`${what} is not that of an authority`);
  if (!signsCertificates) throw invalidDocument(`the keyUsage of ${what} lacks keyCertSign`);
  if (pathLength !== undefined && following > pathLength) {
    throw invalidDocument(`${what} allows ${pathLength} authorities after it, and ${following} follow`);
  }
}
