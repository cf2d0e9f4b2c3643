import { createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { AsnConvert, AsnProp, AsnPropTypes, AsnType, AsnTypeTypes, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509';

const SHA256_WITH_RSA = '1.2.840.113549.1.1.11';
const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';

/** RFC 2986. No attributes are asked for. */
class CertificationRequestInfo {
  @AsnProp({ type: AsnPropTypes.Integer }) version = 0;
  @AsnProp({ type: Name }) subject = new Name();
  @AsnProp({ type: SubjectPublicKeyInfo }) subjectPublicKeyInfo = new SubjectPublicKeyInfo();
  @AsnProp({ type: AsnPropTypes.Any, repeated: 'set', context: 0, implicit: true }) attributes: ArrayBuffer[] = [];
}
AsnType({ type: AsnTypeTypes.Sequence })(CertificationRequestInfo);

class CertificationRequest {
  @AsnProp({ type: CertificationRequestInfo }) info = new CertificationRequestInfo();
  @AsnProp({ type: AlgorithmIdentifier }) signatureAlgorithm = new AlgorithmIdentifier();
  @AsnProp({ type: AsnPropTypes.BitString }) signature: ArrayBuffer = new ArrayBuffer(0);
}
AsnType({ type: AsnTypeTypes.Sequence })(CertificationRequest);

/** What the owner of a cluster signs, in PEM; `privateKey` is the cluster's, of RSA. */
export function clusterCsr(clusterId: string, privateKey: KeyObject): string {
  const info = new CertificationRequestInfo();
  const named = (type: string, utf8String: string) =>
    new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String }) })]);
  info.subject = new Name([named(ORGANIZATION, 'Keytrail'), named(COMMON_NAME, clusterId)]);
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  info.subjectPublicKeyInfo = AsnConvert.parse(spki, SubjectPublicKeyInfo);
  const request = new CertificationRequest();
  request.info = info;
  request.signatureAlgorithm = new AlgorithmIdentifier({ algorithm: SHA256_WITH_RSA, parameters: null });
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(info)), privateKey);
  request.signature = new OctetString(signature).buffer;
  return pem(Buffer.from(AsnConvert.serialize(request)));
}

/** Why a certificate is not one for this request by that authority, as a sentence; undefined where it is. Its dates do not count. */
export function certificateProblem(csr: string, signed: string, anchor: string): string | undefined {
  const certificate = certificateOf(signed);
  if (!certificate) return 'SignedCert: expected a certificate in PEM.';
  const authority = certificateOf(anchor);
  if (!authority) return 'TrustAnchor: expected a certificate in PEM.';
  if (!certificate.publicKey.equals(csrKey(csr)))
    return "SignedCert: it is not for the key of the cluster's ClusterCsr.";
  if (!certificate.verify(authority.publicKey)) return 'SignedCert: it is not signed by TrustAnchor.';
  return undefined;
}

function certificateOf(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

/** Of a request that `clusterCsr` made. */
export function csrKey(csr: string): KeyObject {
  const der = Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const { info } = AsnConvert.parse(der, CertificationRequest);
  const key = Buffer.from(AsnConvert.serialize(info.subjectPublicKeyInfo));
  return createPublicKey({ key, type: 'spki', format: 'der' });
}

const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE REQUEST-----\n`;
