import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  Extension,
  Extensions,
  id_ce_basicConstraints,
  id_ce_keyUsage,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
} from '@peculiar/asn1-x509';
import { encode, Tag } from 'cbor2';

/** A certificate of the test's own, and the key that it is of. */
export interface Issued {
  name: string;
  der: Buffer;
  privateKey: KeyObject;
}

export interface CertificateOptions {
  name: string;
  /** Absent for one that signs itself. */
  issuer?: Issued | undefined;
  /** Instead of the issuer's own. */
  issuerName?: string;
  signWith?: KeyObject;
  /** Of the key; a new one of `curve` by default. */
  keys?: { publicKey: KeyObject; privateKey: KeyObject };
  curve?: 'P-384' | 'P-256' | 'P-521' | 'secp256k1';
  authority?: boolean | undefined;
  pathLength?: number | undefined;
  /** Flags of KeyUsageFlags; undefined for no such extension. */
  usage?: number | undefined;
  notBefore?: number;
  notAfter?: number;
  hash?: 'sha384' | 'sha256';
  version?: number;
  extensions?: Extension[];
}

const SIGNED_WITH = { sha384: '1.2.840.10045.4.3.3', sha256: '1.2.840.10045.4.3.2' };
export const AUTHORITY = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
export const SIGNER = KeyUsageFlags.digitalSignature;
const DAY_MS = 86_400_000;

export const extension = (extnID: string, value: object, critical: boolean): Extension =>
  new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });

/** Issues a certificate, by default as those of the Nitro attestation PKI are. */
export function certificate(now: number, options: CertificateOptions): Issued {
  const { name, issuer, authority = true, curve = 'P-384', hash = 'sha384' } = options;
  const keys = options.keys ?? generateKeyPairSync('ec', { namedCurve: curve });
  const usage = 'usage' in options ? options.usage : authority ? AUTHORITY : SIGNER;
  const algorithm = new AlgorithmIdentifier({ algorithm: SIGNED_WITH[hash] });
  const constraints = {
    cA: authority,
    ...(options.pathLength !== undefined && { pathLenConstraint: options.pathLength }),
  };
  const tbs = new TBSCertificate({
    version: options.version ?? 2,
    serialNumber: new Uint8Array(createHash('sha256').update(name).digest()).slice(0, 8).buffer,
    signature: algorithm,
    issuer: nameOf(options.issuerName ?? issuer?.name ?? name),
    validity: new Validity({
      notBefore: new Date(options.notBefore ?? now - DAY_MS),
      notAfter: new Date(options.notAfter ?? now + DAY_MS),
    }),
    subject: nameOf(name),
    subjectPublicKeyInfo: AsnConvert.parse(
      keys.publicKey.export({ format: 'der', type: 'spki' }),
      SubjectPublicKeyInfo,
    ),
    extensions: new Extensions([
      extension(id_ce_basicConstraints, new BasicConstraints(constraints), true),
      ...(usage === undefined ? [] : [extension(id_ce_keyUsage, new KeyUsage(usage), true)]),
      ...(options.extensions ?? []),
    ]),
  });
  const signature = sign(
    hash,
    Buffer.from(AsnConvert.serialize(tbs)),
    options.signWith ?? issuer?.privateKey ?? keys.privateKey,
  );
  const der = AsnConvert.serialize(
    new Certificate({ tbsCertificate: tbs, signatureAlgorithm: algorithm, signatureValue: arrayBuffer(signature) }),
  );
  return { name, der: Buffer.from(der), privateKey: keys.privateKey };
}

const nameOf = (text: string): Name =>
  new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: '2.5.4.3', value: new AttributeValue({ utf8String: text }) }),
    ]),
  ]);

const arrayBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;
const bytes = (buffer: Uint8Array): Uint8Array => new Uint8Array(buffer);

export const pemOf = ({ der }: Pick<Issued, 'der'>): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

/** The enclave's own key. */
export const recipientKeys = (modulusLength = 2048) => generateKeyPairSync('rsa', { modulusLength });

export interface DocumentOptions {
  /** Members of the payload to put, or with undefined to leave out. */
  fields?: Record<string, unknown>;
  protectedHeader?: Uint8Array;
  unprotectedHeader?: Map<unknown, unknown>;
  payload?: Uint8Array;
  signWith?: KeyObject;
  signature?: Uint8Array;
  tagged?: boolean;
}

/** A PKI in the manner of AWS's, and the enclave whose documents it signs. */
export class TestNitro {
  readonly root: Issued;
  /** From the root's first to the one that issues to enclaves. */
  readonly authorities: Issued[] = [];
  readonly signer: Issued;
  readonly recipient: { publicKey: KeyObject; privateKey: KeyObject };

  /** `now`: epoch milliseconds, around which all is valid. */
  constructor(
    readonly now: number,
    recipient = recipientKeys(),
  ) {
    this.recipient = recipient;
    this.root = certificate(now, { name: 'test.nitro-enclaves' });
    let issuer = this.root;
    for (const [at, name] of ['region', 'zone', 'instance'].entries()) {
      issuer = certificate(now, { name, issuer, pathLength: 2 - at });
      this.authorities.push(issuer);
    }
    this.signer = certificate(now, { name: 'enclave', issuer, authority: false });
  }

  get rootPem(): string {
    return pemOf(this.root);
  }

  /** What register `index` holds, in lower-case hex. */
  static pcr = (index: number): string => createHash('sha384').update(`PCR${index}`).digest('hex');

  fields(): Record<string, unknown> {
    const pcrs = Array.from({ length: 16 }, (_, at) => [at, bytes(Buffer.from(TestNitro.pcr(at), 'hex'))] as const);
    return {
      module_id: 'i-1234567890abcdef0-enc9876543210abcde',
      digest: 'SHA384',
      timestamp: this.now,
      pcrs: new Map(pcrs),
      certificate: bytes(this.signer.der),
      cabundle: [this.root, ...this.authorities].map(({ der }) => bytes(der)),
      public_key: bytes(this.recipient.publicKey.export({ format: 'der', type: 'spki' })),
      user_data: null,
      nonce: null,
    };
  }

  document(options: DocumentOptions = {}): Buffer {
    const members = Object.entries({ ...this.fields(), ...options.fields }).filter(([, value]) => value !== undefined);
    const payload = options.payload ?? encode(new Map(members));
    const header = options.protectedHeader ?? encode(new Map([[1, -35]]));
    const signed = encode(['Signature1', header, new Uint8Array(), payload]);
    const key = options.signWith ?? this.signer.privateKey;
    const signature = options.signature ?? bytes(sign('sha384', signed, { key, dsaEncoding: 'ieee-p1363' }));
    const parts = [header, options.unprotectedHeader ?? new Map(), payload, signature];
    return Buffer.from(encode(options.tagged ? new Tag(18, parts) : parts));
  }
}
