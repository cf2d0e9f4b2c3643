import { KmsError } from '#domain/errors';
import { type Condition, isContextKey, parseOperator } from './conditions';
import { GRAMMARS, type PolicyGrammar, type PolicyKind } from './grammar';
import { isPrincipalName, isPrincipalType, type Principals } from './principals';
import { parseStrictJson } from './strict-json';
import { parseTemplate } from './variables';

/**
 * One statement, its single values turned into lists. `action` or `resource` absent in a key policy: the statement is
 * kept but has no effect, as AWS does (CreateKey reference, Policy).
 */
export interface Statement {
  /** Key policies, unlike IAM's, let statements share one. */
  sid?: string;
  effect: 'Allow' | 'Deny';
  /** Absent in policies that belong to a principal. */
  principal?: Listed<Principals>;
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
  kind: PolicyKind;
  /** Policy variables exist only in 2012-10-17; an absent Version means 2008-10-17. */
  version: '2008-10-17' | '2012-10-17';
  id?: string;
  /** At least one. */
  statements: Statement[];
}

const DOCUMENT_ELEMENTS = ['Version', 'Id', 'Statement'];
const NEGATABLE = ['Principal', 'Action', 'Resource'];
const STATEMENT_ELEMENTS = ['Sid', 'Effect', 'Condition', ...NEGATABLE.flatMap((name) => [name, `Not${name}`])];

/** AWS's own sentence. */
const INVALID_PRINCIPAL = 'Policy contains a statement with one or more invalid principals.';

type JsonObject = Record<string, unknown>;

/**
 * Reads a policy of the kind (IAM JSON policy grammar). Throws KmsError: LimitExceededException beyond the bound of its
 * grammar, else MalformedPolicyDocumentException saying what is wrong where.
 */
export function parsePolicyDocument(text: string, kind: PolicyKind = 'key'): PolicyDocument {
  const grammar = GRAMMARS[kind];
  const { size, unit } = grammar.max;
  if ((unit === 'bytes' ? Buffer.byteLength(text, 'utf8') : text.length) > size) {
    throw new KmsError('LimitExceededException', `The policy is larger than ${size} ${unit}.`);
  }
  const json = parseStrictJson(text);
  if ('reason' in json) throw malformed(json.reason);
  const raw = object(json.value, 'The policy', DOCUMENT_ELEMENTS);
  const version = raw['Version'] ?? '2008-10-17';
  if (version !== '2008-10-17' && version !== '2012-10-17') {
    throw malformed('Version must be "2012-10-17" or "2008-10-17".');
  }
  const id = optionalText(raw['Id'], 'Id');
  const statements = listOf(raw['Statement']).map((each, at) => parseStatement(each, `Statement ${at + 1}`, grammar));
  if (statements.length === 0) throw malformed('The policy has no Statement.');
  const sids = statements.flatMap(({ sid }) => (sid ? [sid] : []));
  if (grammar.repeatedSid && new Set(sids).size < sids.length) throw malformed(grammar.repeatedSid);
  if (version === '2012-10-17') {
    for (const [at, each] of statements.entries()) checkVariables(each, `Statement ${at + 1}`);
  }
  return { kind, version, ...(id === undefined ? {} : { id }), statements };
}

function parseStatement(value: unknown, where: string, grammar: PolicyGrammar): Statement {
  const raw = object(value, where, STATEMENT_ELEMENTS);
  const effect = raw['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed(`${where}: Effect must be "Allow" or "Deny".`);
  const sid = optionalText(raw['Sid'], `${where}: Sid`);
  for (const name of NEGATABLE) checkPresence(raw, name, where, grammar);
  const principal = either(raw, 'Principal', where, parsePrincipals);
  const action = either(raw, 'Action', where, parseActions);
  if (grammar.actions && action && (action.not || !action.of.every((each) => grammar.actions!.fits.test(each)))) {
    throw malformed(grammar.actions.otherwise);
  }
  const resource = either(raw, 'Resource', where, parseResources);
  return {
    ...(sid === undefined ? {} : { sid }),
    effect,
    ...(principal ? { principal } : {}),
    ...(action ? { action } : {}),
    ...(resource ? { resource } : {}),
    conditions: raw['Condition'] === undefined ? [] : parseConditions(raw['Condition'], where),
  };
}

function checkPresence(raw: JsonObject, name: string, where: string, grammar: PolicyGrammar): void {
  const present = raw[name] !== undefined || raw[`Not${name}`] !== undefined;
  const { required, forbidden } = grammar.elements[name] ?? {};
  if (!present && required !== undefined) throw malformed(required(where));
  if (present && forbidden !== undefined) throw malformed(forbidden(where));
}

function checkVariables({ resource, conditions }: Statement, where: string): void {
  for (const text of [...(resource?.of ?? []), ...conditions.flatMap(({ values }) => values)]) {
    const parsed = parseTemplate(text);
    if ('fault' in parsed) throw malformed(`${where}: ${shown(parsed.fault)} is not a policy variable.`);
  }
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
/**
 * The policy of an AWS managed key: principals of the account may use it and look at it where their own policies let them,
 * and change nothing. AWS lets them use it through the service alone; there is no service here to go through.
 */
export const managedKeyPolicy = (account: string): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Id: 'keytrail-managed-1',
    Statement: [
      {
        Sid: 'Use and look at',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: [
          ...['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*'],
          ...['kms:Describe*', 'kms:Get*', 'kms:List*'],
        ],
        Resource: '*',
      },
    ],
  });

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
