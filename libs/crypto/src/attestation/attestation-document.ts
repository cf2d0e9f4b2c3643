import { invalidDocument } from './invalid-document';
import { type CborMap, decodeCbor } from './strict-cbor';

/** What attests: a Nitro enclave, or the NitroTPM of an EC2 instance. */
export type Platform = 'enclave' | 'tpm';

/** The payload of an attestation document, its form checked and nothing else. Byte strings are views of what was parsed. */
export interface AttestationDocument {
  moduleId: string;
  /** Epoch milliseconds. */
  timestamp: number;
  platform: Platform;
  /** By their index, 0 to 31. */
  pcrs: ReadonlyMap<number, Uint8Array>;
  /** DER: of the key that signed the document. */
  certificate: Uint8Array;
  /** DER, from the root down to the issuer of `certificate`. */
  caBundle: readonly Uint8Array[];
  /** DER: of the key to encrypt to. */
  publicKey: Uint8Array | undefined;
}

const PCRS: readonly [string, Platform][] = [
  ['pcrs', 'enclave'],
  ['nitrotpm_pcrs', 'tpm'],
];
const FIELDS: ReadonlySet<string | number> = new Set([
  ...['module_id', 'digest', 'timestamp', 'certificate', 'cabundle', 'public_key', 'user_data', 'nonce'],
  ...PCRS.map(([field]) => field),
]);
const PCR_LENGTHS = [32, 48, 64];
const MAX_PCRS = 32;
/** Not AWS's, which has none: it goes on record. */
const MAX_MODULE_ID = 256;
/** AWS's description has 512 for the last two in one place, 1,024 for all in another. */
const MAX_BYTES = 1_024;
/** Today's have 4: root, region, zone, instance. */
const MAX_BUNDLE = 10;

/**
 * Parses the payload of an attestation document by AWS's rules, and refuses members that it does not know. Throws
 * ValidationException. Sources: AWS, "Nitro Enclaves Attestation Process", sections 2.2 and 3.2.2; Amazon EC2 User Guide, "Validate
 * a NitroTPM Attestation Document".
 */
export function parseAttestationDocument(payload: Uint8Array): AttestationDocument {
  // Hypervisors write the outermost map with an indefinite length, or used to with a definite one.
  const map = decodeCbor(payload, 'payload', { indefinite: true });
  if (!(map instanceof Map)) throw invalidDocument('its payload is not a map');
  for (const field of map.keys()) {
    if (!FIELDS.has(field)) throw invalidDocument('it has a field that is not known');
  }
  if (map.get('digest') !== 'SHA384') throw invalidDocument('its digest is not SHA384');
  optionalBytes(map, 'user_data', 0);
  optionalBytes(map, 'nonce', 0);
  return {
    moduleId: moduleIdOf(map.get('module_id')),
    timestamp: timestampOf(map.get('timestamp')),
    ...pcrsOf(map),
    certificate: certificateOf(map.get('certificate'), 'its certificate'),
    caBundle: bundleOf(map.get('cabundle')),
    publicKey: optionalBytes(map, 'public_key', 1),
  };
}

function moduleIdOf(value: unknown): string {
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value) || value.length > MAX_MODULE_ID) {
    throw invalidDocument(`its module_id is not 1 to ${MAX_MODULE_ID} characters of ASCII without spaces`);
  }
  return value;
}

function timestampOf(value: unknown): number {
  if (typeof value !== 'number' || value <= 0) throw invalidDocument('its timestamp is not an integer above 0');
  return value;
}

function pcrsOf(map: CborMap): Pick<AttestationDocument, 'platform' | 'pcrs'> {
  const found = PCRS.filter(([field]) => map.has(field));
  if (found.length !== 1) throw invalidDocument('it does not have either pcrs or nitrotpm_pcrs');
  const [field, platform] = found[0]!;
  const pcrs = map.get(field);
  if (!(pcrs instanceof Map) || pcrs.size === 0 || pcrs.size > MAX_PCRS) {
    throw invalidDocument(`its ${field} are not a map of 1 to ${MAX_PCRS} registers`);
  }
  for (const [index, value] of pcrs) {
    if (typeof index !== 'number' || index < 0 || index >= MAX_PCRS) {
      throw invalidDocument(`its ${field} have an index that is not an integer from 0 to ${MAX_PCRS - 1}`);
    }
    if (!(value instanceof Uint8Array) || !PCR_LENGTHS.includes(value.length)) {
      throw invalidDocument(`its PCR${index} is not a byte string of ${PCR_LENGTHS.join(', ')} bytes`);
    }
  }
  return { platform, pcrs };
}

function certificateOf(value: unknown, what: string): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length === 0 || value.length > MAX_BYTES) {
    throw invalidDocument(`${what} is not a byte string of 1 to ${MAX_BYTES} bytes`);
  }
  return value;
}

function bundleOf(value: unknown): Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_BUNDLE) {
    throw invalidDocument(`its cabundle is not a list of 1 to ${MAX_BUNDLE} certificates`);
  }
  return value.map((item) => certificateOf(item, 'a certificate of its cabundle'));
}

/** Null for absent is what hypervisors write, whatever AWS's description says. */
function optionalBytes(map: CborMap, field: string, min: number): Uint8Array | undefined {
  const value = map.get(field) ?? undefined;
  if (value === undefined) return undefined;
  if (!(value instanceof Uint8Array) || value.length < min || value.length > MAX_BYTES) {
    throw invalidDocument(`its ${field} is not a byte string of ${min} to ${MAX_BYTES} bytes`);
  }
  return value;
}
