import { constants, createCipheriv, createHash, type KeyObject, publicEncrypt } from 'node:crypto';
import { CMSVersion, id_data, id_envelopedData } from '@peculiar/asn1-cms';
import { id_mgf1, id_RSAES_OAEP, RsaEsOaepParams, sha256 } from '@peculiar/asn1-rsa';
import { AsnConvert, AsnObjectIdentifierConverter } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { invalidDocument } from './invalid-document';

const KEY_LENGTH = 32;
const IV_LENGTH = 16;

const SEQUENCE = 0x30;
const SET = 0x31;
const OCTET_STRING = 0x04;
const CONTEXT_0 = 0x80;
const CONTEXT_0_CONSTRUCTED = 0xa0;
const END_OF_CONTENTS = Buffer.alloc(2);

// What is the same in every envelope is encoded once: encoding by the library's schema takes longer than all else here.
const der = (value: object): Buffer => Buffer.from(AsnConvert.serialize(value));
const oid = (text: string): Buffer => Buffer.from(AsnObjectIdentifierConverter.toASN(text).toBER());
const VERSION_2 = Buffer.from([0x02, 0x01, CMSVersion.v2]);
const ENVELOPED_DATA = oid(id_envelopedData);
const DATA = oid(id_data);
const AES_256_CBC = oid('2.16.840.1.101.3.4.1.42');
const OAEP_SHA_256 = der(
  new AlgorithmIdentifier({
    algorithm: id_RSAES_OAEP,
    parameters: AsnConvert.serialize(
      new RsaEsOaepParams({
        hashAlgorithm: sha256,
        maskGenAlgorithm: new AlgorithmIdentifier({ algorithm: id_mgf1, parameters: AsnConvert.serialize(sha256) }),
      }),
    ),
  }),
);

/**
 * A CMS EnvelopedData (RFC 5652, section 6) that only the holder of an RSA key can open: a fresh AES-256-CBC key, transported with
 * RSAES-OAEP, SHA-256 and MGF1 of SHA-256 (RFC 8017). `random` gives fresh bytes. Throws ValidationException if nothing can be
 * encrypted to the key. What it made the key of is zeroised; `plaintext` is the caller's to zeroise.
 *
 * In BER with indefinite lengths on the outside, as AWS KMS has it: the AWS Nitro Enclaves SDK for C reads no other form.
 * AWS does not say what its 32-byte key identifiers are; this has method 4 of RFC 7093, SHA-256 of the SubjectPublicKeyInfo.
 */
export function envelop(plaintext: Uint8Array, recipient: KeyObject, random: (length: number) => Buffer): Buffer {
  const key = random(KEY_LENGTH);
  try {
    const iv = random(IV_LENGTH);
    const cipher = createCipheriv('aes-256-cbc', key, iv);
    const content = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const recipientInfos = definite(SET, keyTransport(key, recipient));
    const algorithm = definite(SEQUENCE, AES_256_CBC, definite(OCTET_STRING, iv));
    const encrypted = indefinite(CONTEXT_0_CONSTRUCTED, definite(OCTET_STRING, content));
    const encryptedContentInfo = indefinite(SEQUENCE, DATA, algorithm, encrypted);
    const envelopedData = indefinite(SEQUENCE, VERSION_2, recipientInfos, encryptedContentInfo);
    return indefinite(SEQUENCE, ENVELOPED_DATA, indefinite(CONTEXT_0_CONSTRUCTED, envelopedData));
  } finally {
    key.fill(0);
  }
}

/** A KeyTransRecipientInfo (RFC 5652, section 6.2.1). */
function keyTransport(key: Buffer, recipient: KeyObject): Buffer {
  const spki = recipient.export({ format: 'der', type: 'spki' });
  const identifier = createHash('sha256').update(spki).digest();
  return definite(
    SEQUENCE,
    VERSION_2,
    definite(CONTEXT_0, identifier),
    OAEP_SHA_256,
    definite(OCTET_STRING, encryptedKey(key, recipient)),
  );
}

function encryptedKey(key: Buffer, recipient: KeyObject): Buffer {
  try {
    return publicEncrypt({ key: recipient, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, key);
  } catch (error) {
    throw invalidDocument('nothing can be encrypted to its public_key', error);
  }
}

const indefinite = (tag: number, ...content: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([tag, 0x80]), ...content, END_OF_CONTENTS]);

/** Of less than 64 KiB. */
function definite(tag: number, ...content: Buffer[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), ...content]);
}
