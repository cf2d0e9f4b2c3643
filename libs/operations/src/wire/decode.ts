import { isUtf8 } from 'node:buffer';
import { validateSync } from 'class-validator';
import { KmsError } from '#domain/errors';
import { type Constraint, type MemberRule, memberPath } from './constraints';
import { membersOf } from './fields';
import { validationMessage, violationsOf } from './violations';
import { wipe } from './wipe';

export type RequestClass<I extends object> = new () => I;

/**
 * A request from the JSON of its body: only known members are taken, each of its JSON type (else
 * SerializationException), then checked against the bounds of the API model (else ValidationException, all
 * violations in one message). `null` is the same as absent.
 */
export function decodeRequest<I extends object>(requestClass: RequestClass<I>, body: Uint8Array): I {
  const json = parseObject(body);
  const request = new requestClass();
  try {
    readMembers(request, json, membersOf(requestClass));
    return request;
  } catch (refusal) {
    wipe(request);
    throw refusal;
  }
}

function readMembers(request: object, json: Record<string, unknown>, members: ReadonlyMap<string, MemberRule>): void {
  // To class-validator, a class without members is an unknown one.
  if (members.size === 0) return;
  let keepsBounds = true;
  for (const [name, rule] of members) {
    const given = Object.hasOwn(json, name) ? json[name] : undefined;
    const value = given === undefined || given === null ? undefined : decode(rule.constraint, given, name);
    if (value !== undefined) (request as Record<string, unknown>)[name] = value;
    keepsBounds &&= violationsOf(rule, value, name).length === 0;
  }
  // class-validator runs these same rules, at 4 us a request: it is asked what is wrong once something is.
  if (keepsBounds) return;
  const errors = validateSync(request, { validationError: { target: false, value: false } });
  if (errors.length > 0) {
    // Its messages are one text for each member, in which it puts names and values where a value reads `$property`.
    const sentences = errors.flatMap(({ property }) =>
      violationsOf(members.get(property)!, (request as Record<string, unknown>)[property], memberPath(property)),
    );
    throw new KmsError('ValidationException', validationMessage(sentences));
  }
}

function parseObject(body: Uint8Array): Record<string, unknown> {
  if (body.length === 0) return {};
  // Decoded all the same, every broken byte would become U+FFFD: two encryption contexts would become one.
  if (!isUtf8(body)) throw new KmsError('SerializationException', 'The request body is not UTF-8.');
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  } catch {
    throw new KmsError('SerializationException', 'The request body is not well-formed JSON.');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new KmsError('SerializationException', 'The request body must be a JSON object.');
  }
  return json as Record<string, unknown>;
}

/** `path` as in a message, but that it may begin with a capital: what is right pays for no text. */
function decode(constraint: Constraint, value: unknown, path: string): unknown {
  switch (constraint.kind) {
    case 'string':
    case 'enum':
      return typeof value === 'string' ? value : mismatch(value, 'a String', path);
    case 'integer':
      return typeof value === 'number' ? decodeInteger(value, path) : mismatch(value, 'an Integer', path);
    case 'boolean':
      return typeof value === 'boolean' ? value : mismatch(value, 'a Boolean', path);
    case 'timestamp':
      return typeof value === 'number' ? decodeTimestamp(value, path) : mismatch(value, 'a Timestamp', path);
    case 'blob':
      return typeof value === 'string' ? decodeBlob(value, path) : mismatch(value, 'a Blob', path);
    case 'strings':
    case 'enums':
      return decodeList(value, path, (item, itemPath) =>
        typeof item === 'string' ? item : mismatch(item, 'a String', itemPath()),
      );
    case 'stringMap':
      return decodeStringMap(value, path);
    case 'stringLists':
      return decodeStringLists(value, path);
    case 'structures':
      return decodeList(value, path, (item, itemPath) => decodeMembers(constraint.members, item, itemPath()));
    case 'structure':
      return constraint.members ? decodeMembers(constraint.members, value, path) : asObject(value, path);
  }
}

/** AWS does not say where; a caller who has to find it needs to know. */
const malformed = (what: string, path: string): KmsError =>
  new KmsError('SerializationException', `${what} at '${memberPath(path)}'`);

const TOKEN_NAMES: Record<string, string> = { string: 'STRING_VALUE', number: 'NUMBER_VALUE' };

function mismatch(value: unknown, wanted: string, path: string): never {
  if (typeof value === 'object') throw malformed('Start of structure or map found where not expected', path);
  const found = TOKEN_NAMES[typeof value] ?? `${String(value).toUpperCase()}_VALUE`;
  throw malformed(`${found} can not be converted to ${wanted}`, path);
}

/** As AWS does, a fraction is cut off; what does not fit 32 bits is refused. */
function decodeInteger(value: number, path: string): number {
  const integer = Math.trunc(value);
  if (integer > 2147483647 || integer < -2147483648)
    throw malformed('NUMBER_VALUE is out of range for an Integer', path);
  return integer;
}

/** The last moment that a date can say, in epoch seconds. */
const END_OF_TIME = 8_640_000_000_000;

function decodeTimestamp(value: number, path: string): number {
  if (Math.abs(value) > END_OF_TIME) throw malformed('NUMBER_VALUE is out of range for a Timestamp', path);
  return value;
}

const URL_ALPHABET = /[-_]/;

function decodeBlob(text: string, path: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  // Node's decoder passes over what is not base64, so a wrong length is how bad input shows; the alphabet for URLs it takes.
  if (text.length % 4 !== 0 || URL_ALPHABET.test(text) || bytes.length !== (text.length / 4) * 3 - padding) {
    bytes.fill(0);
    throw malformed('A Blob must be valid base64', path);
  }
  return bytes;
}

/** An item that is null is told of with what else a list has that it must not. */
function decodeList<T>(
  value: unknown,
  path: string,
  decodeItem: (item: unknown, itemPath: () => string) => T,
): (T | null)[] {
  if (!Array.isArray(value)) throw malformed('Expected list or null', path);
  return value.map((item, at) => (item === null ? null : decodeItem(item, () => `${path}.${at + 1}.member`)));
}

function decodeMembers(
  members: Readonly<Record<string, MemberRule>>,
  value: unknown,
  path: string,
): Record<string, unknown> {
  const structure: Record<string, unknown> = {};
  const json = asObject(value, path);
  for (const [name, { constraint }] of Object.entries(members)) {
    const inner = Object.hasOwn(json, name) ? json[name] : undefined;
    if (inner !== undefined && inner !== null) {
      structure[name] = decode(constraint, inner, `${path}.${memberPath(name)}`);
    }
  }
  return structure;
}

function decodeStringMap(value: unknown, path: string): Record<string, string> {
  const json = asObject(value, path);
  for (const name in json) if (typeof json[name] !== 'string') mismatch(json[name], 'a String', path);
  return json as Record<string, string>;
}

function decodeStringLists(value: unknown, path: string): Record<string, string[]> {
  const json = asObject(value, path);
  for (const name in json) {
    const texts = decodeList(json[name], path, (item) =>
      typeof item === 'string' ? item : mismatch(item, 'a String', path),
    );
    if (texts.includes(null)) mismatch(null, 'a String', path);
  }
  return json as Record<string, string[]>;
}

function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed('Unexpected value where a structure or map was expected', path);
  }
  return value as Record<string, unknown>;
}
