import { KmsError } from '#domain/errors';
import { type Condition, isContextKey, parseOperator } from './conditions';
import { isPrincipalName, isPrincipalType, type Principals } from './principals';
import { parseStrictJson } from './strict-json';

/**
 * One statement of a key policy, its single values turned into lists. `action` or `resource` absent: the statement is
 * kept but has no effect, as AWS does (CreateKey reference, Policy).
 */
export interface Statement {
  /** AWS KMS, unlike IAM, lets statements share one. */
  sid?: string;
  effect: 'Allow' | 'Deny';
  principal: Listed<Principals>;
  action?: Listed<string[]>;
  resource?: Listed<string[]>;
  /** All of them must hold. */
  conditions: Condition[];
}

/** An element, or with `not` its negated twin (NotPrincipal, NotAction, NotResource). */
export interface Listed<T> {
  not: boolean;
  of: T;
}

export interface PolicyDocument {
  /** Policy variables exist only in 2012-10-17; an absent Version means 2008-10-17. */
  version: '2008-10-17' | '2012-10-17';
  id?: string;
  /** At least one. */
  statements: Statement[];
}

/** AWS KMS quota, in bytes of UTF-8. */
export const MAX_POLICY_BYTES = 32_768;

const DOCUMENT_ELEMENTS = ['Version', 'Id', 'Statement'];
const NEGATABLE = ['Principal', 'Action', 'Resource'];
const STATEMENT_ELEMENTS = ['Sid', 'Effect', 'Condition', ...NEGATABLE.flatMap((name) => [name, `Not${name}`])];

/** AWS's own sentence. */
const INVALID_PRINCIPAL = 'Policy contains a statement with one or more invalid principals.';

type JsonObject = Record<string, unknown>;

/**
 * Reads a key policy (IAM JSON policy grammar as AWS KMS takes it). Throws KmsError: LimitExceededException beyond
 * MAX_POLICY_BYTES, else MalformedPolicyDocumentException saying what is wrong where.
 */
export function parsePolicyDocument(text: string): PolicyDocument {
  if (Buffer.byteLength(text, 'utf8') > MAX_POLICY_BYTES) {
    throw new KmsError('LimitExceededException', `The policy is larger than ${MAX_POLICY_BYTES} bytes.`);
  }
  const json = parseStrictJson(text);
  if ('reason' in json) throw malformed(json.reason);
  const raw = object(json.value, 'The policy', DOCUMENT_ELEMENTS);
  const version = raw['Version'] ?? '2008-10-17';
  if (version !== '2008-10-17' && version !== '2012-10-17') {
    throw malformed('Version must be "2012-10-17" or "2008-10-17".');
  }
  const id = optionalText(raw['Id'], 'Id');
  const statements = listOf(raw['Statement']).map((each, at) => parseStatement(each, `Statement ${at + 1}`));
  if (statements.length === 0) throw malformed('The policy has no Statement.');
  return { version, ...(id === undefined ? {} : { id }), statements };
}

function parseStatement(value: unknown, where: string): Statement {
  const raw = object(value, where, STATEMENT_ELEMENTS);
  const effect = raw['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed(`${where}: Effect must be "Allow" or "Deny".`);
  const sid = optionalText(raw['Sid'], `${where}: Sid`);
  const principal = either(raw, 'Principal', where, parsePrincipals);
  if (principal === undefined) throw malformed(`${where} has no Principal.`);
  const action = either(raw, 'Action', where, parseActions);
  const resource = either(raw, 'Resource', where, parseResources);
  return {
    ...(sid === undefined ? {} : { sid }),
    effect,
    principal,
    ...(action ? { action } : {}),
    ...(resource ? { resource } : {}),
    conditions: raw['Condition'] === undefined ? [] : parseConditions(raw['Condition'], where),
  };
}

function either<T>(
  raw: JsonObject,
  name: string,
  where: string,
  parse: (value: unknown, what: string) => T,
): Listed<T> | undefined {
  const negated = `Not${name}`;
  if (raw[name] !== undefined && raw[negated] !== undefined) {
    throw malformed(`${where} has both ${name} and ${negated}.`);
  }
  if (raw[name] !== undefined) return { not: false, of: parse(raw[name], `${where}: ${name}`) };
  if (raw[negated] !== undefined) return { not: true, of: parse(raw[negated], `${where}: ${negated}`) };
  return undefined;
}

function parsePrincipals(value: unknown, what: string): Principals {
  if (value === '*') return '*';
  const result: Exclude<Principals, '*'> = {};
  if (typeof value === 'string') throw malformed(INVALID_PRINCIPAL);
  for (const [type, named] of Object.entries(object(value, what))) {
    if (!isPrincipalType(type)) throw malformed(INVALID_PRINCIPAL);
    const names = texts(named, what);
    if (!names.every((name) => isPrincipalName(type, name))) throw malformed(INVALID_PRINCIPAL);
    result[type] = names;
  }
  if (Object.keys(result).length === 0) throw malformed(INVALID_PRINCIPAL);
  return result;
}

function parseActions(value: unknown, what: string): string[] {
  const actions = texts(value, what);
  const bad = actions.find((action) => action !== '*' && !/^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$/.test(action));
  if (bad !== undefined) throw malformed(`${what} ${shown(bad)} is not "*" or a service and an action.`);
  return actions;
}

function parseResources(value: unknown, what: string): string[] {
  const resources = texts(value, what);
  const bad = resources.find((resource) => !/^(?:\*|arn:(?:[^:]*:){4}.+)$/s.test(resource));
  if (bad !== undefined) throw malformed(`${what} ${shown(bad)} is not "*" or an ARN.`);
  return resources;
}

function parseConditions(value: unknown, where: string): Condition[] {
  return Object.entries(object(value, `${where}: Condition`)).flatMap(([name, block]) => {
    const operator = parseOperator(name);
    if (!operator) throw malformed(`${where}: unknown condition operator ${shown(name)}.`);
    return Object.entries(object(block, `${where}: ${name}`)).map(([key, expected]): Condition => {
      if (!isContextKey(key)) throw malformed(`${where}: ${shown(key)} is not a condition key.`);
      return { ...operator, key, values: listOf(expected).map((each) => conditionValue(each, where)) };
    });
  });
}

function conditionValue(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw malformed(`${where}: condition values must be strings, numbers or booleans.`);
}

/** The value as an object whose every member is `known`, where that is given. */
function object(value: unknown, what: string, known?: readonly string[]): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`${what} must be a JSON object.`);
  }
  const unknown = known && Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined) throw malformed(`${what} has the unknown element ${shown(unknown)}.`);
  return value as JsonObject;
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

function texts(value: unknown, what: string): string[] {
  const list = listOf(value).filter((item): item is string => typeof item === 'string' && item !== '');
  if (list.length === 0 || list.length < listOf(value).length) {
    throw malformed(`${what} must be a string or a list of strings.`);
  }
  return list;
}

function optionalText(value: unknown, what: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw malformed(`${what} must be a string.`);
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 64));

const malformed = (reason: string): KmsError => new KmsError('MalformedPolicyDocumentException', reason);

/** The policy of a key that is created without one, spaced as AWS's GetKeyPolicy returns it. */
export const defaultKeyPolicy = (account: string): string => `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::${account}:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`;
