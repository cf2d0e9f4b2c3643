import { constants, createCipheriv, createHash, type KeyObject, publicEncrypt } from 'node:crypto';
import {
  CMSVersion,
  ContentEncryptionAlgorithmIdentifier,
  id_data,
  id_envelopedData,
  KeyEncryptionAlgorithmIdentifier,
  KeyTransRecipientInfo,
  RecipientIdentifier,
  RecipientInfo,
  RecipientInfos,
} from '@peculiar/asn1-cms';
import { id_mgf1, id_RSAES_OAEP, RsaEsOaepParams, sha256 } from '@peculiar/asn1-rsa';
import { AsnConvert, AsnObjectIdentifierConverter, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, SubjectKeyIdentifier } from '@peculiar/asn1-x509';
import { invalidDocument } from './invalid-document';

const AES_256_CBC = '2.16.840.1.101.3.4.1.42';
const KEY_LENGTH = 32;
const IV_LENGTH = 16;

const OAEP_SHA_256 = new KeyEncryptionAlgorithmIdentifier({
  algorithm: id_RSAES_OAEP,
  parameters: AsnConvert.serialize(
    new RsaEsOaepParams({
      hashAlgorithm: sha256,
      maskGenAlgorithm: new AlgorithmIdentifier({ algorithm: id_mgf1, parameters: AsnConvert.serialize(sha256) }),
    }),
  ),
});

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
    const recipients = new RecipientInfos([new RecipientInfo({ ktri: transported(key, recipient) })]);
    const algorithm = new ContentEncryptionAlgorithmIdentifier({
      algorithm: AES_256_CBC,
      parameters: AsnConvert.serialize(new OctetString(iv)),
    });
    return indefinite(
      SEQUENCE,
      oid(id_envelopedData),
      indefinite(
        CONTEXT_0,
        indefinite(
          SEQUENCE,
          VERSION_2,
          der(recipients),
          indefinite(SEQUENCE, oid(id_data), der(algorithm), indefinite(CONTEXT_0, der(new OctetString(content)))),
        ),
      ),
    );
  } finally {
    key.fill(0);
  }
}

function transported(key: Buffer, recipient: KeyObject): KeyTransRecipientInfo {
  const spki = recipient.export({ format: 'der', type: 'spki' });
  const identifier = new SubjectKeyIdentifier(createHash('sha256').update(spki).digest());
  return new KeyTransRecipientInfo({
    version: CMSVersion.v2,
    rid: new RecipientIdentifier({ subjectKeyIdentifier: identifier }),
    keyEncryptionAlgorithm: OAEP_SHA_256,
    encryptedKey: new OctetString(encryptedKey(key, recipient)),
  });
}

function encryptedKey(key: Buffer, recipient: KeyObject): Buffer {
  try {
    return publicEncrypt({ key: recipient, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, key);
  } catch (error) {
    throw invalidDocument('nothing can be encrypted to its public_key', error);
  }
}

const SEQUENCE = 0x30;
const CONTEXT_0 = 0xa0;
const VERSION_2 = Buffer.from([0x02, 0x01, CMSVersion.v2]);
const END_OF_CONTENTS = Buffer.alloc(2);

const indefinite = (tag: number, ...content: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([tag, 0x80]), ...content, END_OF_CONTENTS]);

const der = (value: object): Buffer => Buffer.from(AsnConvert.serialize(value));

const oid = (text: string): Buffer => Buffer.from(AsnObjectIdentifierConverter.toASN(text).toBER());
