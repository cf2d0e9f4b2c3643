import { KmsError } from '#domain/errors';

export interface Statement {
  sid?: string;
  effect: 'Allow' | 'Deny';
  /** `*` or lists by type; exactly one of the two. */
  principal?: Principals;
  notPrincipal?: Principals;
  actions?: string[];
  notActions?: string[];
  resources?: string[];
  notResources?: string[];
  conditions: Record<string, Record<string, string[]>>;
}

export type Principals = '*' | Record<string, string[]>;

export interface PolicyDocument {
  version: '2008-10-17' | '2012-10-17';
  id?: string;
  statements: Statement[];
}

export const MAX_POLICY_BYTES = 32_768;

const malformed = (reason: string): KmsError => new KmsError('MalformedPolicyDocumentException', reason);

/** Reads a key policy. Throws MalformedPolicyDocumentException with the reason, or LimitExceededException. */
export function parsePolicyDocument(text: string): PolicyDocument {
  if (Buffer.byteLength(text, 'utf8') > MAX_POLICY_BYTES) {
    throw new KmsError('LimitExceededException', `Policy document must not exceed ${MAX_POLICY_BYTES} bytes.`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw malformed('The policy is not valid JSON.');
  }
  const document = object(json, 'The policy');
  onlyElements(document, ['Version', 'Id', 'Statement'], 'the policy');
  const version = document['Version'] ?? '2008-10-17';
  if (version !== '2008-10-17' && version !== '2012-10-17') throw malformed('Version must be 2012-10-17 or 2008-10-17.');
  if (document['Id'] !== undefined && typeof document['Id'] !== 'string') throw malformed('Id must be a string.');
  if (document['Statement'] === undefined) throw malformed('The policy has no Statement.');
  const raw = Array.isArray(document['Statement']) ? document['Statement'] : [document['Statement']];
  if (raw.length === 0) throw malformed('The policy has no Statement.');
  const statements = raw.map((statement, at) => parseStatement(object(statement, `Statement ${at + 1}`), at + 1));
  const sids = statements.flatMap(({ sid }) => (sid === undefined ? [] : [sid]));
  if (new Set(sids).size < sids.length) throw malformed('Statement IDs (SID) in a single policy must be unique.');
  return { version, statements, ...(typeof document['Id'] === 'string' ? { id: document['Id'] } : {}) };
}

const STATEMENT_ELEMENTS = [
  'Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition',
];

function parseStatement(raw: Record<string, unknown>, at: number): Statement {
  const where = `Statement ${at}`;
  onlyElements(raw, STATEMENT_ELEMENTS, where);
  const effect = raw['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed(`${where}: Effect must be Allow or Deny.`);
  const sid = raw['Sid'];
  if (sid !== undefined && typeof sid !== 'string') throw malformed(`${where}: Sid must be a string.`);
  exactlyOne(raw, 'Principal', 'NotPrincipal', where);
  exactlyOne(raw, 'Action', 'NotAction', where);
  exactlyOne(raw, 'Resource', 'NotResource', where);
  const actions = (name: string): string[] | undefined =>
    texts(raw[name], `${where}: ${name}`)?.map((action) => checkedAction(action, where));
  return clean({
    sid: sid as string | undefined,
    effect,
    principal: principals(raw['Principal'], where),
    notPrincipal: principals(raw['NotPrincipal'], where),
    actions: actions('Action'),
    notActions: actions('NotAction'),
    resources: texts(raw['Resource'], `${where}: Resource`),
    notResources: texts(raw['NotResource'], `${where}: NotResource`),
    conditions: conditions(raw['Condition'], where),
  }) as unknown as Statement;
}

const clean = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));

function object(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(`${what} must be a JSON object.`);
  return value as Record<string, unknown>;
}

function onlyElements(raw: Record<string, unknown>, known: readonly string[], where: string): void {
  for (const name of Object.keys(raw)) {
    if (!known.includes(name)) throw malformed(`Unknown element ${JSON.stringify(name.slice(0, 64))} in ${where}.`);
  }
}

function exactlyOne(raw: Record<string, unknown>, name: string, other: string, where: string): void {
  if ((raw[name] === undefined) === (raw[other] === undefined)) {
    throw malformed(`${where} must have exactly one of ${name} and ${other}.`);
  }
}

function texts(value: unknown, what: string): string[] | undefined {
  if (value === undefined) return undefined;
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0 || !list.every((item) => typeof item === 'string' && item.length > 0)) {
    throw malformed(`${what} must be a string or a list of strings.`);
  }
  return list as string[];
}

function checkedAction(action: string, where: string): string {
  if (action !== '*' && !/^[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+$/.test(action)) {
    throw malformed(`${where}: Action ${JSON.stringify(action.slice(0, 64))} is not a service and an action.`);
  }
  return action;
}

const PRINCIPAL_TYPES = ['AWS', 'Service', 'Federated', 'CanonicalUser'];
const INVALID_PRINCIPAL = 'Policy contains a statement with one or more invalid principals.';
const AWS_PRINCIPAL = /^(?:\*|\d{12}|arn:aws[a-z-]*:(?:iam|sts)::\d{12}:(?:root|(?:user|role|assumed-role|federated-user)\/[\w+=,.@/-]+)|A(?:ID|RO)A[A-Z0-9]+)$/;

function principals(value: unknown, where: string): Principals | undefined {
  if (value === undefined) return undefined;
  if (value === '*') return '*';
  const result: Record<string, string[]> = {};
  for (const [type, named] of Object.entries(object(value, `${where}: Principal`))) {
    if (!PRINCIPAL_TYPES.includes(type)) throw malformed(INVALID_PRINCIPAL);
    const list = texts(named, `${where}: Principal`)!;
    if (type === 'AWS' && !list.every((principal) => AWS_PRINCIPAL.test(principal))) throw malformed(INVALID_PRINCIPAL);
    result[type] = list;
  }
  if (Object.keys(result).length === 0) throw malformed(INVALID_PRINCIPAL);
  return result;
}

const OPERATORS = new Set([
  'StringEquals', 'StringNotEquals', 'StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase', 'StringLike', 'StringNotLike',
  'NumericEquals', 'NumericNotEquals', 'NumericLessThan', 'NumericLessThanEquals', 'NumericGreaterThan',
  'NumericGreaterThanEquals', 'DateEquals', 'DateNotEquals', 'DateLessThan', 'DateLessThanEquals', 'DateGreaterThan',
  'DateGreaterThanEquals', 'Bool', 'BinaryEquals', 'IpAddress', 'NotIpAddress', 'ArnEquals', 'ArnLike', 'ArnNotEquals',
  'ArnNotLike', 'Null',
]);

function conditions(value: unknown, where: string): Record<string, Record<string, string[]>> {
  if (value === undefined) return {};
  const result: [string, Record<string, string[]>][] = [];
  for (const [operator, block] of Object.entries(object(value, `${where}: Condition`))) {
    const base = operator.replace(/^(?:ForAnyValue|ForAllValues):/, '').replace(/IfExists$/, '');
    if (!OPERATORS.has(base) || operator === 'NullIfExists') {
      throw malformed(`${where}: unknown condition operator ${JSON.stringify(operator.slice(0, 64))}.`);
    }
    const keys = Object.entries(object(block, `${where}: ${base}`)).map(([key, expected]): [string, string[]] => {
      const list = (Array.isArray(expected) ? expected : [expected]).map((item) =>
        typeof item === 'boolean' || typeof item === 'number' ? String(item) : item,
      );
      if (!list.every((item) => typeof item === 'string')) throw malformed(`${where}: condition values must be strings.`);
      return [key, list as string[]];
    });
    result.push([operator, Object.fromEntries(keys)]);
  }
  return Object.fromEntries(result);
}

/** The policy of a key that is created without one, spaced as AWS returns it. */
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

const PUT_KEY_POLICY = 'kms:putkeypolicy';

/** Whether no statement would let the caller, or the caller's account, change the policy again. */
export function locksOut(document: PolicyDocument, callerArn: string): boolean {
  const account = callerArn.split(':')[4]!;
  const isCaller = (principal: string): boolean =>
    principal === '*' || principal === account || principal === `arn:aws:iam::${account}:root` || principal === callerArn;
  return !document.statements.some(
    (statement) =>
      statement.effect === 'Allow' &&
      (statement.principal === '*' || (statement.principal?.['AWS'] ?? []).some(isCaller)) &&
      (statement.actions ?? []).some((action) => wildcard(action.toLowerCase()).test(PUT_KEY_POLICY)),
  );
}

const wildcard = (pattern: string): RegExp =>
  new RegExp(`^${pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*+/g, '.*').replace(/\?/g, '.')}$`);
