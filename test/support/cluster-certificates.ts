import { csrKey } from '#crypto/cluster-certificate';
import { certificate, pemOf } from './attestation-documents';

/** What the owner of a cluster makes of its request: the certificate, and that of who signed it. */
export function signedByOwner(csr: string): { SignedCert: string; TrustAnchor: string } {
  const now = Date.now();
  const owner = certificate(now, { name: 'owner' });
  const publicKey = csrKey(csr);
  const signed = certificate(now, {
    ...{ name: 'cluster', issuer: owner, authority: false },
    keys: { publicKey, privateKey: owner.privateKey },
  });
  return { SignedCert: pemOf(signed), TrustAnchor: pemOf(owner) };
}
