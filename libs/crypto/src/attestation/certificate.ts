import { createPublicKey, type KeyObject } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  BasicConstraints,
  type Extension,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_subjectKeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  type SubjectPublicKeyInfo,
  Certificate as X509,
} from '@peculiar/asn1-x509';
import { isOneDerSequence } from './der';

/** What path validation (RFC 5280, section 6) asks of a certificate. Its buffers are its own. */
export interface Certificate {
  der: Buffer;
  /** What `signature` is over. */
  tbs: Buffer;
  /** ECDSA with SHA-384, as DER. */
  signature: Buffer;
  /** DER. */
  subject: Buffer;
  issuer: Buffer;
  /** Epoch milliseconds; both inclusive. */
  notBefore: number;
  notAfter: number;
  isAuthority: boolean;
  /** How many authorities may follow it, without that of the key that signs documents. */
  pathLength: number | undefined;
  signsCertificates: boolean;
  signsDocuments: boolean;
  publicKey: KeyObject;
}

const V3 = 2;
const ECDSA_WITH_SHA384 = '1.2.840.10045.4.3.3';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
/** The OID 1.3.132.0.34 in DER: a curve by its name, never by parameters of its own. */
const SECP384R1 = Buffer.from('06052b81040022', 'hex');
/** Critical extensions that are understood; the two identifiers only help to find issuers, which are given in order here. */
const UNDERSTOOD: readonly string[] = [
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_subjectKeyIdentifier,
  id_ce_authorityKeyIdentifier,
];

/** What a certificate that cannot be parsed lacks. */
export class NotOfThePki extends Error {
  override readonly name = 'NotOfThePki';

  constructor(cause: unknown) {
    super(
      'is not an X.509 certificate of a P-384 key, signed with ECDSA and SHA-384, without unknown critical extensions',
      { cause },
    );
  }
}

/**
 * Parses an X.509 certificate of the Nitro attestation PKI: version 3, of a P-384 key, signed with ECDSA and SHA-384. Throws
 * NotOfThePki. Nothing is verified.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  try {
    if (!isOneDerSequence(der)) throw new Error('not one DER sequence');
    return factsOf(Buffer.from(der));
  } catch (error) {
    throw new NotOfThePki(error);
  }
}

function factsOf(der: Buffer): Certificate {
  const { tbsCertificate, tbsCertificateRaw, signatureAlgorithm, signatureValue } = AsnConvert.parse(der, X509);
  const { version, signature, subject, issuer, validity, subjectPublicKeyInfo, extensions = [] } = tbsCertificate;
  if (version !== V3) throw new Error(`version ${version}`);
  if (signatureAlgorithm.algorithm !== ECDSA_WITH_SHA384 || signature.algorithm !== ECDSA_WITH_SHA384) {
    throw new Error(`signed with ${signatureAlgorithm.algorithm}, ${signature.algorithm}`);
  }
  const values = understood(extensions);
  const constraints = values.get(id_ce_basicConstraints);
  const { cA: isAuthority, pathLenConstraint: pathLength } = constraints
    ? AsnConvert.parse(constraints, BasicConstraints)
    : new BasicConstraints();
  const keyUsage = values.get(id_ce_keyUsage);
  const usages = keyUsage ? AsnConvert.parse(keyUsage, KeyUsage).toNumber() : 0;
  return {
    der,
    tbs: Buffer.from(tbsCertificateRaw!),
    signature: Buffer.from(signatureValue),
    subject: Buffer.from(AsnConvert.serialize(subject)),
    issuer: Buffer.from(AsnConvert.serialize(issuer)),
    notBefore: validity.notBefore.getTime().getTime(),
    notAfter: validity.notAfter.getTime().getTime(),
    isAuthority,
    pathLength,
    signsCertificates: (usages & KeyUsageFlags.keyCertSign) !== 0,
    signsDocuments: (usages & KeyUsageFlags.digitalSignature) !== 0,
    publicKey: p384KeyOf(subjectPublicKeyInfo),
  };
}

function understood(extensions: readonly Extension[]): Map<string, ArrayBuffer> {
  const values = new Map<string, ArrayBuffer>();
  for (const { extnID, critical, extnValue } of extensions) {
    if (values.has(extnID)) throw new Error(`extension ${extnID} is there twice`);
    if (critical && !UNDERSTOOD.includes(extnID)) throw new Error(`critical extension ${extnID}`);
    values.set(extnID, extnValue.buffer);
  }
  return values;
}

function p384KeyOf(info: SubjectPublicKeyInfo): KeyObject {
  const { algorithm, parameters } = info.algorithm;
  if (algorithm !== EC_PUBLIC_KEY || !parameters || !SECP384R1.equals(Buffer.from(parameters))) {
    throw new Error(`a key of ${algorithm}`);
  }
  return createPublicKey({ key: Buffer.from(AsnConvert.serialize(info)), format: 'der', type: 'spki' });
}
