import { AsnConvert } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import type { KeySpec } from '#domain/key/key-kinds';

/** NIST's object identifiers, as RFC 9881 (ML-DSA) and RFC 9935 (ML-KEM) use them: without parameters. */
const ALGORITHMS: Partial<Record<KeySpec, string>> = {
  ML_DSA_44: '2.16.840.1.101.3.4.3.17',
  ML_DSA_65: '2.16.840.1.101.3.4.3.18',
  ML_DSA_87: '2.16.840.1.101.3.4.3.19',
  ML_KEM_512: '2.16.840.1.101.3.4.4.1',
  ML_KEM_768: '2.16.840.1.101.3.4.4.2',
  ML_KEM_1024: '2.16.840.1.101.3.4.4.3',
};

/** DER of a post-quantum public key, which this OpenSSL knows nothing of. */
export function subjectPublicKeyInfo(keySpec: KeySpec, publicKey: Uint8Array): Buffer {
  const algorithm = ALGORITHMS[keySpec];
  if (algorithm === undefined) throw new RangeError(`${keySpec} is no post-quantum key spec`);
  const info = new SubjectPublicKeyInfo({
    algorithm: new AlgorithmIdentifier({ algorithm }),
    subjectPublicKey: Uint8Array.from(publicKey).buffer,
  });
  return Buffer.from(AsnConvert.serialize(info));
}
