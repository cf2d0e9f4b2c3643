import { isUtf8 } from 'node:buffer';
import { validateSync } from 'class-validator';
import { assertWellFormed } from '#crypto/encryption-context';
import { KmsError } from '#domain/errors';
import { type Constraint, type MemberRule, memberPath, validationMessage, violationsOf } from './constraints';
import { membersOf } from './fields';
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
    const value = given === undefined || given === null ? undefined : decode(rule.constraint, given);
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

function decode(constraint: Constraint, value: unknown): unknown {
  switch (constraint.kind) {
    case 'string':
    case 'enum':
      return typeof value === 'string' ? value : mismatch(value, 'a String');
    case 'integer':
      return typeof value === 'number' ? decodeInteger(value) : mismatch(value, 'an Integer');
    case 'boolean':
      return typeof value === 'boolean' ? value : mismatch(value, 'a Boolean');
    case 'timestamp':
      return typeof value === 'number' ? value : mismatch(value, 'a Timestamp');
    case 'blob':
      return typeof value === 'string' ? decodeBlob(value) : mismatch(value, 'a Blob');
    case 'strings':
    case 'enums':
      return decodeList(value, (item) => (typeof item === 'string' ? item : mismatch(item, 'a String')));
    case 'stringMap':
      return decodeStringMap(value);
    case 'structures':
      return decodeList(value, (item) => decodeMembers(constraint.members, item));
    case 'structure':
      return constraint.members ? decodeMembers(constraint.members, value) : asObject(value);
  }
}

const TOKEN_NAMES: Record<string, string> = { string: 'STRING_VALUE', number: 'NUMBER_VALUE' };

function mismatch(value: unknown, wanted: string): never {
  if (typeof value === 'object') {
    throw new KmsError('SerializationException', 'Start of structure or map found where not expected.');
  }
  const found = TOKEN_NAMES[typeof value] ?? `${String(value).toUpperCase()}_VALUE`;
  throw new KmsError('SerializationException', `${found} can not be converted to ${wanted}`);
}

/** As AWS does, a fraction is cut off; what does not fit 32 bits is refused. */
function decodeInteger(value: number): number {
  const integer = Math.trunc(value);
  if (integer > 2147483647 || integer < -2147483648) {
    throw new KmsError('SerializationException', 'NUMBER_VALUE is out of range for an Integer');
  }
  return integer;
}

const URL_ALPHABET = /[-_]/;

function decodeBlob(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  // Node's decoder passes over what is not base64, so a wrong length is how bad input shows; the alphabet for URLs it takes.
  if (text.length % 4 !== 0 || URL_ALPHABET.test(text) || bytes.length !== (text.length / 4) * 3 - padding) {
    bytes.fill(0);
    throw new KmsError('SerializationException', 'A Blob must be valid base64.');
  }
  return bytes;
}

function decodeList<T>(value: unknown, decodeItem: (item: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new KmsError('SerializationException', 'Expected list or null');
  return value.map(decodeItem);
}

function decodeMembers(members: Readonly<Record<string, MemberRule>>, value: unknown): Record<string, unknown> {
  const structure: Record<string, unknown> = {};
  const json = asObject(value);
  for (const [name, { constraint }] of Object.entries(members)) {
    const inner = Object.hasOwn(json, name) ? json[name] : undefined;
    if (inner !== undefined && inner !== null) structure[name] = decode(constraint, inner);
  }
  return structure;
}

function decodeStringMap(value: unknown): Record<string, string> {
  const json = asObject(value);
  for (const name in json) {
    const text = json[name];
    if (typeof text !== 'string') mismatch(text, 'a String');
    assertWellFormed(name);
    assertWellFormed(text);
  }
  return json as Record<string, string>;
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KmsError('SerializationException', 'Unexpected value where a structure or map was expected.');
  }
  return value as Record<string, unknown>;
}
