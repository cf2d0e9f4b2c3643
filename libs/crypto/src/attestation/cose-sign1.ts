import { encode, Tag } from 'cbor2';
import { invalidDocument } from './invalid-document';
import { type CborMap, decodeCbor } from './strict-cbor';

/** The parts of a COSE_Sign1 (RFC 9052, section 4.2) that are of use. */
export interface CoseSign1 {
  payload: Uint8Array;
  /** r and s, 48 bytes each (RFC 9053, section 2.1). */
  signature: Uint8Array;
  /** What the signature is over: the Sig_structure (RFC 9052, section 4.4). */
  signed: Uint8Array;
}

const COSE_SIGN1 = 18;
const ALGORITHM = 1;
const ES384 = -35;
export const SIGNATURE_LENGTH = 96;
/** Source: AWS, "Nitro Enclaves Attestation Process", section 3.1. */
export const MAX_PAYLOAD = 16_384;
/** Tag, heads and headers take no more. */
const MAX_LENGTH = MAX_PAYLOAD + SIGNATURE_LENGTH + 64;

const NO_EXTERNAL_DATA = new Uint8Array();

/**
 * Parses what a Nitro hypervisor signs: ES384, said in the protected header and nothing else in either, so that no header can
 * change what is verified. Tagged or not. Throws ValidationException.
 */
export function parseCoseSign1(document: Uint8Array): CoseSign1 {
  if (document.length > MAX_LENGTH) throw invalidDocument(`its payload is longer than ${MAX_PAYLOAD} bytes`);
  const decoded = decodeCbor(document, 'COSE_Sign1 structure');
  const parts = decoded instanceof Tag && decoded.tag === COSE_SIGN1 ? decoded.contents : decoded;
  if (!Array.isArray(parts) || parts.length !== 4) throw invalidDocument('it is not a COSE_Sign1 structure of 4 parts');
  const [protectedHeader, unprotectedHeader, payload, signature] = parts as unknown[];
  if (!(protectedHeader instanceof Uint8Array) || !isEs384(decodeCbor(protectedHeader, 'protected header'))) {
    throw invalidDocument('its protected header is not that of ES384 alone');
  }
  if (!(unprotectedHeader instanceof Map) || unprotectedHeader.size > 0) {
    throw invalidDocument('its unprotected header is not an empty map');
  }
  if (!(payload instanceof Uint8Array) || payload.length === 0 || payload.length > MAX_PAYLOAD) {
    throw invalidDocument(`its payload is not a byte string of 1 to ${MAX_PAYLOAD} bytes`);
  }
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_LENGTH) {
    throw invalidDocument(`its signature is not a byte string of ${SIGNATURE_LENGTH} bytes`);
  }
  return { payload, signature, signed: encode(['Signature1', protectedHeader, NO_EXTERNAL_DATA, payload]) };
}

const isEs384 = (header: unknown): boolean =>
  header instanceof Map && header.size === 1 && (header as CborMap).get(ALGORITHM) === ES384;
