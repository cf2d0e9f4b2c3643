import { createHash } from 'node:crypto';
import { algorithmsFor } from '../published-key-kinds';
import { type Ask, type Asking, named, type Place } from './ask';
import { pooledPair } from './pooled-pairs';
import { PLAINTEXT } from './world';

const Plaintext = PLAINTEXT.toString('base64');
const SYMMETRIC = 'SYMMETRIC_DEFAULT';
const JUNK = Buffer.alloc(64, 7).toString('base64');
/** Of another kind of key, so that what is refused is the usage and not a ciphertext that nobody made. */
const OAEP = 'RSAES_OAEP_SHA_256';

/** One of the key's own where it is for this, else any that there is. */
const algorithmFor = ({ world: { kind }, pick }: Place, keyUsage: string): string => {
  const algorithms = kind.keyUsage === keyUsage ? kind.algorithms : algorithmsFor(keyUsage);
  return algorithms[pick % algorithms.length]!;
};

/** A ciphertext of the key, or what is none. */
function ciphertextOf({ world, pick }: Place): { blob: string; algorithm: string; isJunk: boolean; holds?: string } {
  const { made, kind } = world;
  const found = made.ciphertexts[pick % Math.max(1, made.ciphertexts.length)];
  if (found) return { ...found, isJunk: false };
  const algorithm = kind.keyUsage === 'ENCRYPT_DECRYPT' ? kind.algorithms[0]! : OAEP;
  return { blob: JUNK, algorithm, isJunk: true };
}

/** Nobody's symmetric ciphertext names no key, of which kind or state could be asked. */
const junkRefusal = ({ isJunk, algorithm }: { isJunk: boolean; algorithm: string }): Pick<Ask, 'early' | 'late'> => {
  if (!isJunk) return {};
  return algorithm === SYMMETRIC ? { early: 'InvalidCiphertextException' } : { late: 'InvalidCiphertextException' };
};

const encrypt: Asking = (place) => {
  const EncryptionAlgorithm = algorithmFor(place, 'ENCRYPT_DECRYPT');
  return {
    input: { ...named(place), Plaintext, EncryptionAlgorithm },
    done: ({ CiphertextBlob }) =>
      place.world.made.ciphertexts.push({
        blob: String(CiphertextBlob),
        algorithm: EncryptionAlgorithm,
        holds: Plaintext,
      }),
  };
};

const decrypt: Asking = (place) => {
  const ciphertext = ciphertextOf(place);
  return {
    input: { ...named(place), CiphertextBlob: ciphertext.blob, EncryptionAlgorithm: ciphertext.algorithm },
    ...junkRefusal(ciphertext),
    done: (body) => {
      if (ciphertext.holds !== undefined) expect(body['Plaintext']).toBe(ciphertext.holds);
    },
  };
};

const reEncrypt: Asking = (place) => {
  const { world, at, pick } = place;
  const { KeyId } = named(place);
  if (pick % 3 === 0) {
    const ciphertext = ciphertextOf(place);
    return {
      input: {
        CiphertextBlob: ciphertext.blob,
        ...{ SourceKeyId: KeyId, SourceEncryptionAlgorithm: ciphertext.algorithm },
        DestinationKeyId: world.others[at],
      },
      ...junkRefusal(ciphertext),
    };
  }
  const algorithm = algorithmFor(place, 'ENCRYPT_DECRYPT');
  return {
    input: {
      CiphertextBlob: world.otherCiphertexts[at],
      ...{ DestinationKeyId: KeyId, DestinationEncryptionAlgorithm: algorithm },
    },
    done: ({ CiphertextBlob }) =>
      world.made.ciphertexts.push({ blob: String(CiphertextBlob), algorithm, holds: Plaintext }),
  };
};

const generate =
  (more: object, member: string): Asking =>
  (place) => ({
    input: { ...named(place), ...more },
    done: (body) => place.world.made.ciphertexts.push({ blob: String(body[member]), algorithm: SYMMETRIC }),
  });

const sign: Asking = (place) => {
  const SigningAlgorithm = algorithmFor(place, 'SIGN_VERIFY');
  const isDigest = SigningAlgorithm === 'ED25519_PH_SHA_512';
  const Message = isDigest ? createHash('sha512').update(PLAINTEXT).digest('base64') : Plaintext;
  const signed = { Message, SigningAlgorithm, MessageType: isDigest ? 'DIGEST' : 'RAW' };
  return {
    input: { ...named(place), ...signed },
    done: ({ Signature }) => {
      place.world.made.signature = { ...signed, Signature };
    },
  };
};

const verify: Asking = (place) => {
  const { signature } = place.world.made;
  if (signature) return { input: { ...named(place), ...signature } };
  const SigningAlgorithm = algorithmFor(place, 'SIGN_VERIFY');
  const isDigest = SigningAlgorithm === 'ED25519_PH_SHA_512';
  return {
    input: {
      ...{ ...named(place), Message: JUNK, SigningAlgorithm, Signature: JUNK },
      MessageType: isDigest ? 'DIGEST' : 'RAW',
    },
    late: 'KMSInvalidSignatureException',
  };
};

const generateMac: Asking = (place) => {
  const authenticated = { Message: Plaintext, MacAlgorithm: algorithmFor(place, 'GENERATE_VERIFY_MAC') };
  return {
    input: { ...named(place), ...authenticated },
    done: ({ Mac }) => {
      place.world.made.mac = { ...authenticated, Mac };
    },
  };
};

const verifyMac: Asking = (place) => {
  const { mac } = place.world.made;
  if (mac) return { input: { ...named(place), ...mac } };
  const MacAlgorithm = algorithmFor(place, 'GENERATE_VERIFY_MAC');
  return { input: { ...named(place), Message: Plaintext, MacAlgorithm, Mac: JUNK }, late: 'KMSInvalidMacException' };
};

const deriveSharedSecret: Asking = async (place) => {
  const { keySpec, keyUsage } = place.world.kind;
  const peer = await pooledPair(keyUsage === 'KEY_AGREEMENT' ? keySpec : 'ECC_NIST_P256', 9);
  const PublicKey = peer.publicKey.toString('base64');
  return { input: { ...named(place), KeyAgreementAlgorithm: 'ECDH', PublicKey } };
};

const EncapsulationAlgorithm = 'ML_KEM';

const encapsulate: Asking = (place) => ({
  input: { ...named(place), EncapsulationAlgorithm },
  done: ({ SharedSecretCiphertextBlob }) => {
    place.world.made.encapsulated = String(SharedSecretCiphertextBlob);
  },
});

const decapsulate: Asking = (place) => {
  const { encapsulated } = place.world.made;
  return {
    input: { ...named(place), EncapsulationAlgorithm, SharedSecretCiphertextBlob: encapsulated ?? JUNK },
    ...(encapsulated === undefined && { late: 'InvalidCiphertextException' }),
  };
};

const AES = { KeySpec: 'AES_256' };
const PAIR = { KeyPairSpec: 'ECC_NIST_P256' };

export const CRYPTOGRAPHIC_ASKS: Readonly<Record<string, Asking>> = {
  Encrypt: encrypt,
  Decrypt: decrypt,
  ReEncrypt: reEncrypt,
  GenerateDataKey: generate(AES, 'CiphertextBlob'),
  GenerateDataKeyWithoutPlaintext: generate(AES, 'CiphertextBlob'),
  GenerateDataKeyPair: generate(PAIR, 'PrivateKeyCiphertextBlob'),
  GenerateDataKeyPairWithoutPlaintext: generate(PAIR, 'PrivateKeyCiphertextBlob'),
  Sign: sign,
  Verify: verify,
  GenerateMac: generateMac,
  VerifyMac: verifyMac,
  DeriveSharedSecret: deriveSharedSecret,
  Encapsulate: encapsulate,
  Decapsulate: decapsulate,
  GetPublicKey: (place) => ({ input: named(place) }),
};
