/**
 * The bytes of standard base64 with padding (RFC 4648, section 4), or undefined for anything else. Node's decoder passes
 * over what is not base64, and over bits that do not count: here only one spelling of some bytes is theirs.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
