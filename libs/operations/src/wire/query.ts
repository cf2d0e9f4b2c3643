import { isUtf8 } from 'node:buffer';
import { KmsError } from '#domain/errors';
import type { Constraint } from './constraints';
import type { RequestClass } from './decode';
import { membersOf } from './fields';

/** The AWS Query protocol's requests: a form whose names are paths, such as `Tags.member.1.Key`. */
export const FORM_TYPE = 'application/x-www-form-urlencoded';

/** Parameters by name. */
export type QueryParameters = ReadonlyMap<string, string>;

/** The parameters of a query, a form body, or both. Throws SerializationException for one that is given twice. */
export function parseParameters(query: string, form: Uint8Array): QueryParameters {
  if (!isUtf8(form)) throw malformed('The request body is not UTF-8.');
  const parameters = new Map<string, string>();
  for (const text of [query, Buffer.from(form).toString('utf8')]) {
    for (const [name, value] of new URLSearchParams(text)) {
      if (parameters.has(name)) throw malformed(`The parameter ${name.slice(0, 128)} is given twice.`);
      parameters.set(name, value);
    }
  }
  return parameters;
}

/**
 * The same request as the JSON that decodeRequest reads, so that a request is checked in one way whatever its protocol.
 * What names no member of the request is passed over, as AWS does.
 */
export function queryToJson(requestClass: RequestClass<object>, parameters: QueryParameters): Buffer {
  const json: Record<string, unknown> = {};
  for (const [name, { constraint }] of membersOf(requestClass)) {
    const value = valueAt(name, constraint, parameters);
    if (value !== undefined) json[name] = value;
  }
  return Buffer.from(JSON.stringify(json));
}

function valueAt(path: string, constraint: Constraint, parameters: QueryParameters): unknown {
  switch (constraint.kind) {
    case 'strings':
    case 'enums':
      return itemsAt(path, parameters)?.map((item) => parameters.get(item));
    case 'structures':
      return itemsAt(path, parameters)?.map((item) => {
        const structure: Record<string, unknown> = {};
        for (const [name, member] of Object.entries(constraint.members)) {
          const value = valueAt(`${item}.${name}`, member.constraint, parameters);
          if (value !== undefined) structure[name] = value;
        }
        return structure;
      });
    default:
      return scalar(constraint, parameters.get(path));
  }
}

/** What is not of its type stays a text, which decodeRequest refuses. */
function scalar({ kind }: Constraint, text: string | undefined): unknown {
  if (text === undefined) return undefined;
  if (kind === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** The paths of a list's items, in their order. An empty list is sent as its name alone. */
function itemsAt(path: string, parameters: QueryParameters): string[] | undefined {
  const prefix = `${path}.member.`;
  const found = new Map<string, number>();
  for (const name of parameters.keys()) {
    if (!name.startsWith(prefix)) continue;
    const [number = ''] = name.slice(prefix.length).split('.', 1);
    if (!/^[1-9]\d{0,8}$/.test(number)) throw malformed(`${name.slice(0, 128)}: expected a number after ".member.".`);
    found.set(prefix + number, Number(number));
  }
  if (found.size === 0) return parameters.has(path) ? [] : undefined;
  return [...found].sort(([, a], [, b]) => a - b).map(([item]) => item);
}

const malformed = (message: string): KmsError => new KmsError('SerializationException', message);
