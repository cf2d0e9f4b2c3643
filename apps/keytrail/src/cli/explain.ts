import { parseKmsArn } from '#domain/arn';
import { isoDate } from '#domain/dates';
import { canDelegate } from '#domain/grant/delegation';
import type { ActiveGrant } from '#domain/grant/grant';
import { GRANT_OPERATIONS } from '#domain/grant/grant-operations';
import type { Tag } from '#domain/key/events';
import { keyPolicies, keyRequest, ownPolicies } from '#operations/authorization';
import type { Caller } from '#operations/caller';
import { conditionContext, endsUse } from '#operations/condition-context';
import { type FoundGrant, findGrant } from '#operations/grants/grant-lookup';
import { retiringPolicies } from '#operations/grants/retiring';
import { existingKey, type FoundKey, takesKeysOfOtherAccounts } from '#operations/key-lookup';
import type { Call } from '#operations/operation';
import { resolveCaller } from '#operations/resolve-caller';
import { OPERATION_TABLE } from '#operations/table';
import type { DecidedBy } from '#policy/decision';
import { type Considered, type Explanation, explain as explainDecision } from '#policy/explain';
import type { ContextLookup } from '#policy/variables';
import type { Projection } from '#views/projection';
import { partAt } from './log-reader';
import { CommandError, type Operator } from './operator';
import { findKeyRef, type Surroundings as Places, principalsOf, subjectsOfKey, unknownKey } from './question';

export interface ExplainOptions {
  /** ARN of a user, role, session or account root, or the name of a user or role. */
  principal: string;
  /** `kms:Decrypt` or `Decrypt`. */
  action: string;
  /** Key id, key ARN, alias name or alias ARN; none for actions on the account. */
  key?: string;
  /** Id of the grant that is to be retired. */
  grant?: string;
  /** `name=value` */
  context?: readonly string[];
  /** ISO 8601; now without it. */
  at?: string;
  json?: boolean;
}

type Surroundings = Places & { /** Of the moment, ms. */ now: number };

/**
 * Whether the principal may, and why: by the code that decides requests, on the log as it is now, or was at a moment. Of the
 * log it reads what may count: the key with the aliases and grants of its account, and the principals of the accounts.
 */
export async function explain(
  operator: Operator,
  options: ExplainOptions,
  around: Surroundings,
  print: (line: string) => void,
): Promise<boolean> {
  const { at, key, principal } = options;
  const ref = key === undefined ? undefined : await findKeyRef(operator, key, at, around);
  const accounts = new Set([around.accountId, PRINCIPAL.exec(principal)?.[1], ref?.account]);
  const subjects = [...accounts].flatMap((account) => (account === undefined ? [] : [principalsOf(account)]));
  const { projection } = await partAt(operator, [...subjects, ...(ref ? subjectsOfKey(ref) : [])], at);
  return explainOn(projection, options, at === undefined ? around : { ...around, now: Date.parse(at) }, print);
}

/** The same on a projection of that moment. Throws CommandError for what cannot be asked. */
export function explainOn(
  projection: Projection,
  options: ExplainOptions,
  around: Surroundings,
  print: (line: string) => void,
): boolean {
  const action = actionOf(options.action);
  const { conditions, encryptionContext } = contextOf(options.context ?? []);
  assertKeyFits(action, options.key);
  if (options.grant !== undefined && action !== 'RetireGrant') {
    throw new CommandError(`--grant ${options.grant}: only kms:RetireGrant is about a grant; leave it out`);
  }
  const now = isoDate(around.now);
  const found = options.key === undefined ? undefined : keyOf(options.key, options.at, now, projection, around);
  const caller = callerOf(options.principal, found?.ref.region ?? around.region, projection, around);
  const call: Call = { caller, requestId: 'explain', operation: action, now };
  let needsIdleDays = false;
  const given = conditionValues(conditions);
  const context: ContextLookup = (key) => {
    const value = given(key);
    if (value === undefined && key === IDLE_DAYS && endsUse(action)) needsIdleDays = true;
    return value;
  };
  const asked = { context, encryptionContext };
  const explanation: Explanation = found
    ? explainDecision(
        keyRequest(call, projection, found, asked),
        action === 'RetireGrant'
          ? retiringPolicies(grantOf(options.grant, found, projection), found, call)
          : keyPolicies(caller, projection, found, delegableBy(action, conditions, encryptionContext)),
      )
    : explainDecision(
        {
          action: `kms:${action}`,
          resource: '*',
          principal: caller.principal,
          context: conditionContext(call, asked),
        },
        ownPolicies(caller),
      );
  const refusal = found && acrossAccounts(found, caller, action);
  const allowed = explanation.decision.allowed && refusal === undefined;
  const { decidedBy } = explanation.decision;
  if (options.json) {
    const { considered } = explanation;
    const at = options.at === undefined ? {} : { at: options.at };
    const head = {
      ...at,
      allowed,
      principal: caller.principalArn,
      action: `kms:${action}`,
      resource: found?.arn ?? '*',
    };
    const state = found ? { keyState: found.key.keyState } : {};
    print(JSON.stringify({ ...head, ...state, ...(refusal ? { refusal } : {}), decidedBy, considered }, null, 2));
    return allowed;
  }
  const could = options.at === undefined ? 'may' : 'could';
  const then = options.at === undefined ? '' : `, at ${options.at}`;
  const can = allowed ? could : `${could} not`;
  print(
    `${allowed ? 'allowed' : 'denied'}: ${caller.principalArn} ${can} kms:${action} on ${found?.arn ?? '*'}${then}`,
  );
  print(`decided by: ${refusal ?? shownDecision(decidedBy)}`);
  if (action === 'CreateGrant' && decidedBy.kind === 'grant' && !conditions.has(GIVEN_OPERATIONS))
    print(`what the new grant allows must be allowed by this one too: name it by ${NAME_OPERATIONS}`);
  if (needsIdleDays) print(`when the key was last used is not looked up here: name it by --context ${NAME_IDLE_DAYS}`);
  if (found && found.key.keyState !== 'Enabled')
    print(`the key ${options.at ? 'was' : 'is'} ${found.key.keyState}, which permissions do not change`);
  print('considered:');
  for (const one of explanation.considered) print(`  ${shownConsidered(one)}`);
  if (explanation.considered.length === 0) print('  no statement and no grant');
  return allowed;
}

/** Every action on keys and accounts there is. ReEncrypt is two. */
function actionOf(text: string): string {
  const name = text.replace(/^kms:/i, '').toLowerCase();
  const ofKms = [...OPERATION_TABLE.values()].filter(({ service }) => service === 'kms').map(({ name }) => name);
  const names = [...ofKms, ...GRANT_OPERATIONS].filter((each) => each !== 'ReEncrypt');
  const action = names.find((each) => each.toLowerCase() === name);
  if (action !== undefined) return action;
  const hint = name === 'reencrypt' ? ': it is kms:ReEncryptFrom on one key and kms:ReEncryptTo on the other' : '';
  throw new CommandError(`--action ${text}: expected an action of AWS KMS, such as kms:Decrypt${hint}`);
}

/** What is asked of the account as a whole. */
const ON_THE_ACCOUNT = new Set(['CreateKey', 'GenerateRandom', 'ListAliases', 'ListKeys', 'ListRetirableGrants']);

function assertKeyFits(action: string, key: string | undefined): void {
  if (key === undefined && !ON_THE_ACCOUNT.has(action)) {
    throw new CommandError(`--key: expected a key, which kms:${action} is about`);
  }
  if (key !== undefined && ON_THE_ACCOUNT.has(action)) {
    throw new CommandError(`--key ${key}: kms:${action} is about no key; leave it out`);
  }
}

const GIVEN_OPERATIONS = 'kms:grantoperations';
const NAME_OPERATIONS = '--context kms:GrantOperations=Decrypt,Encrypt';

const IDLE_DAYS = 'kms:trailingdayswithoutkeyusage';
const NAME_IDLE_DAYS = 'kms:TrailingDaysWithoutKeyUsage=90';

/** Condition keys as they were given; the operations of a new grant are a list. */
const conditionValues =
  (conditions: ReadonlyMap<string, string>): ContextLookup =>
  (key) =>
    key === GIVEN_OPERATIONS ? conditions.get(key)?.split(',') : conditions.get(key);

/**
 * Of CreateGrant, which grants of the caller count: those that may give away the operations named, under the constraint
 * that the encryption context stands for.
 */
function delegableBy(
  action: string,
  conditions: ReadonlyMap<string, string>,
  encryptionContext: Readonly<Record<string, string>> | undefined,
): ((held: ActiveGrant) => boolean) | undefined {
  if (action !== 'CreateGrant') return undefined;
  const named = conditions.get(GIVEN_OPERATIONS)?.split(',') ?? [];
  const operations = named.map((name) => {
    const operation = GRANT_OPERATIONS.find((each) => each === name);
    if (!operation) throw new CommandError(`${name}: no operation that a grant can allow; as in ${NAME_OPERATIONS}`);
    return operation;
  });
  const equals = conditions.get('kms:grantconstrainttype') === 'EncryptionContextEquals';
  const constraints =
    encryptionContext &&
    (equals ? { encryptionContextEquals: encryptionContext } : { encryptionContextSubset: encryptionContext });
  return (held) => canDelegate(held, { operations, ...(constraints && { constraints }) });
}

/** The grant that RetireGrant is about: it says itself who may. */
function grantOf(grantId: string | undefined, found: FoundKey, projection: Projection): FoundGrant {
  if (grantId === undefined) throw new CommandError('--grant: expected a grant id, which kms:RetireGrant is about');
  try {
    return findGrant(grantId, found, projection);
  } catch {
    throw new CommandError(`--grant ${grantId}: the key has no such grant`);
  }
}

/** Names that begin with `aws:` or `kms:` are condition keys; all others are of the encryption context. */
function contextOf(pairs: readonly string[]) {
  const conditions = new Map<string, string>();
  const encryptionContext: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new CommandError(`--context ${pair}: expected name=value`);
    const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
    if (/^(aws|kms):/i.test(name)) conditions.set(name.toLowerCase(), value);
    else encryptionContext[name] = value;
  }
  return {
    conditions,
    encryptionContext: Object.keys(encryptionContext).length === 0 ? undefined : encryptionContext,
  };
}

function keyOf(
  text: string,
  at: string | undefined,
  now: string,
  projection: Projection,
  { accountId, region }: Surroundings,
): FoundKey {
  const unknown = () => unknownKey(text, at);
  const arn = text.startsWith('arn:') ? parseKmsArn(text) : { region, account: accountId, resource: text };
  if (!arn) throw unknown();
  let keyId = arn.resource.replace(/^key\//, '');
  let viaAlias: string | undefined;
  if (arn.resource.startsWith('alias/')) {
    viaAlias = arn.resource;
    const alias = projection.alias(arn.region, arn.account, arn.resource.slice('alias/'.length))?.state;
    if (alias?.aliasState !== 'Active') throw unknown();
    keyId = alias.targetKeyId;
  }
  // A bare key id may be of any region and account that the log has.
  const ref =
    text.startsWith('arn:') || viaAlias ? arn : [...projection.allKeys()].find((one) => one.ref.id === keyId)?.ref;
  const found = ref && existingKey(ref.region, ref.account, keyId, { now }, projection);
  const state = ref && projection.key(ref.region, ref.account, keyId)?.state;
  if (!found && state) throw new CommandError(`key ${keyId} had been deleted${at === undefined ? '' : ` by ${at}`}`);
  if (!found) throw unknown();
  return viaAlias === undefined ? found : { ...found, viaAlias };
}

const PRINCIPAL =
  /^arn:aws[a-z-]*:(?:iam|sts)::(\d{12}):(?:(root)|(user|role)\/(?:.*\/)?([^/]+)|(assumed-role)\/([^/]+)\/([^/]+))$/;
const SESSION_NAME = 'explain';
const NO_TAGS: Tag[] = [];

/** A role is asked about as a session of it, which is how anybody is a role. */
function callerOf(text: string, region: string, projection: Projection, { accountId, now }: Surroundings): Caller {
  const [, account = accountId, root, kind, name, , roleName, sessionName] = PRINCIPAL.exec(text) ?? [];
  const isArn = text.startsWith('arn:');
  const wanted = (isArn ? (name ?? roleName) : text) ?? '';
  const user = isArn && kind !== 'user' ? undefined : stateOf(projection.user(account, wanted)?.state, 'User');
  const role = isArn && kind === 'user' ? undefined : stateOf(projection.role(account, wanted)?.state, 'Role');
  if (user && role) {
    throw new CommandError(`--principal ${text}: there is a user and a role of this name; give the ARN`);
  }
  const unknown = () =>
    new CommandError(`--principal ${text}: the log has no such principal; list them with: ./keytrail replay`);
  let principalId = 'root';
  if (user) principalId = user.uniqueId;
  else if (role) principalId = `${role.uniqueId}:${sessionName ?? SESSION_NAME}`;
  else if (root === undefined && text !== 'root') throw unknown();
  const issuedAt = Math.floor(now / 1000);
  const session = { account, principalId, accessKeyId: 'ASIA', issuedAt, expiresAt: issuedAt + 3600, tags: NO_TAGS };
  try {
    return resolveCaller(
      { region, account, principalId, ...(role ? { sessionToken: SESSION_NAME } : {}) },
      projection,
      { account: accountId, rootAccessKeyId: undefined, sessionClaimsOf: () => session },
      now,
    );
  } catch {
    throw unknown();
  }
}

const stateOf = <S extends { kind: string }, K extends S['kind']>(
  state: S | undefined,
  kind: K,
): Extract<S, { kind: K }> | undefined => (state?.kind === kind ? (state as Extract<S, { kind: K }>) : undefined);

/** Why policies do not matter, if they do not. */
function acrossAccounts(found: FoundKey, caller: Caller, action: string): string | undefined {
  if (found.ref.account === caller.account || takesKeysOfOtherAccounts(action.replace(/^ReEncrypt.*/, 'ReEncrypt'))) {
    return undefined;
  }
  return `kms:${action} takes no key of another account, whatever policies say`;
}

export function shownDecision(by: DecidedBy): string {
  switch (by.kind) {
    case 'statement':
      return statement(by);
    case 'grant':
      return `grant ${by.grantId}`;
    case 'root':
      return 'the account: its root needs no policy here';
    case 'nothing':
      return `nothing: no ${by.missing} allows it`;
  }
}

const statement = ({ policy, sid, index, effect }: { policy: string; sid?: string; index: number; effect: string }) =>
  `${policy}, statement ${index + 1}${sid === undefined ? '' : ` "${sid}"`} (${effect})`;

const COVERS = {
  account: 'matches, through the account',
  name: 'matches',
  session: 'matches, by the session',
} as const;

function shownConsidered(one: Considered): string {
  const what = one.kind === 'grant' ? `grant ${one.grantId}` : statement(one);
  if ('covers' in one) return `${what}: ${COVERS[one.covers]}`;
  const { element, operator, key, expected, actual, deletedPrincipal } = one.reason;
  if (deletedPrincipal !== undefined) {
    return `${what}: no match by ${element}: the ARN names the deleted principal ${deletedPrincipal}, not the one that has it now`;
  }
  const which = operator === undefined ? element : `${element} ${operator} ${key}`;
  return `${what}: no match by ${which}: has ${JSON.stringify(expected)}, the request ${JSON.stringify(actual) ?? 'nothing'}`;
}
