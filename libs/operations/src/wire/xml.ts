import { XMLBuilder } from 'fast-xml-parser';

/** The AWS Query protocol's replies. */
export const XML_TYPE = 'text/xml';

/** Members whose number of epoch seconds is written as a date, as the API models of IAM and STS have them. */
const DATES: ReadonlySet<string> = new Set(['CreateDate', 'Expiration', 'LastUsedDate']);

// Escaping is ours: of a line break in an element an XML parser would make a single line feed.
const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  suppressEmptyNode: true,
  processEntities: false,
});

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#xD;' };
const escapeText = (text: string): string => text.replace(/[&<>"\r]/g, (character) => ESCAPES[character]!);

/** A reply; without members in `result` it has no result element, as AWS answers what returns nothing. */
export function xmlReply(operation: string, namespace: string, result: object, requestId: string): string {
  return document(`${operation}Response`, namespace, {
    ...(Object.keys(result).length === 0 ? {} : { [`${operation}Result`]: element(result) }),
    ResponseMetadata: { RequestId: requestId },
  });
}

export function xmlError(
  namespace: string,
  { code, message, status }: { code: string; message: string; status: number },
  requestId: string,
): string {
  return document('ErrorResponse', namespace, {
    Error: { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: escapeText(message) },
    RequestId: requestId,
  });
}

const document = (name: string, namespace: string, content: object): string =>
  builder.build({ [name]: { '@xmlns': namespace, ...content } });

function element(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.length === 0 ? '' : { member: value.map((item) => element(item)) };
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, element(inner, key)]));
  }
  if (typeof value === 'number' && DATES.has(name)) return new Date(value * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  return escapeText(String(value));
}
