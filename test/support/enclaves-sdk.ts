/** What the AWS Nitro Enclaves SDK for C takes from a CiphertextForRecipient. */
export interface EnvelopeParts {
  encryptedKey: Buffer;
  iv: Buffer;
  content: Buffer;
}

const [INTEGER, OCTETS, OID, SEQUENCE, SET] = [0x02, 0x04, 0x06, 0x30, 0x31];
const CONTEXT_0_PRIMITIVE = 0x80;
const CONTEXT_0 = 0xa0;

/**
 * Reads an envelope by the steps of that SDK, and refuses all that it refuses (aws/aws-nitro-enclaves-sdk-c, source/cms.c,
 * aws_cms_parse_enveloped_data). It is picky: the outer elements must be of indefinite length, since one of definite length
 * is skipped whole, and inner ones of definite length.
 */
export function readAsEnclavesSdk(envelope: Buffer): EnvelopeParts {
  const cms = new Reader(envelope);
  cms.enter(SEQUENCE);
  cms.expectOid('2a864886f70d010703');
  cms.enter(CONTEXT_0);
  cms.enter(SEQUENCE);
  expectVersion2(cms);
  const recipients = new Reader(cms.definite(SET));
  const recipient = new Reader(recipients.definite(SEQUENCE));
  expectVersion2(recipient);
  recipient.definite();
  recipient.definite(SEQUENCE);
  const encryptedKey = recipient.definite(OCTETS);
  cms.enter(SEQUENCE);
  cms.expectOid('2a864886f70d010701');
  const algorithm = new Reader(cms.definite(SEQUENCE));
  algorithm.expectOid('60864801650304012a');
  const iv = algorithm.definite(OCTETS);
  if (cms.tag === CONTEXT_0_PRIMITIVE) return { encryptedKey, iv, content: cms.definite() };
  cms.enter(CONTEXT_0);
  const parts: Buffer[] = [];
  while (cms.tag === OCTETS) parts.push(cms.definite(OCTETS));
  return { encryptedKey, iv, content: Buffer.concat(parts) };
}

function expectVersion2(reader: Reader): void {
  if (!reader.definite(INTEGER).equals(Buffer.from([2]))) throw new Error('not of version 2');
}

class Reader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  get tag(): number | undefined {
    return this.bytes[this.at];
  }

  /** Into an element of indefinite length. */
  enter(tag: number): void {
    if (this.tag !== tag || this.bytes[this.at + 1] !== 0x80)
      throw new Error(`no ${tag} of indefinite length at ${this.at}`);
    this.at += 2;
  }

  /** The content of an element of definite length, which is passed. */
  definite(tag?: number): Buffer {
    const [found, first] = [this.bytes[this.at], this.bytes[this.at + 1]!];
    if (tag !== undefined && found !== tag) throw new Error(`expected ${tag} at ${this.at}, found ${found}`);
    const more = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80) throw new Error(`indefinite length at ${this.at}`);
    const from = this.at + 2 + more;
    const length = more === 0 ? first : this.bytes.readUIntBE(this.at + 2, more);
    this.at = from + length;
    if (this.at > this.bytes.length) throw new Error('cut short');
    return this.bytes.subarray(from, this.at);
  }

  expectOid(hex: string): void {
    if (this.definite(OID).toString('hex') !== hex) throw new Error(`not the object identifier ${hex}`);
  }
}
