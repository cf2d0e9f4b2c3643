import { readFileSync } from 'node:fs';
import { KmsError } from '#domain/errors';
import { decideAgain, isDenial, NotDecidable, type RecordedCall, type Refusal } from '#operations/what-if/decide-again';
import { changed, type ProposedChange } from '#operations/what-if/proposed-change';
import { OPERATOR_SOURCE } from '#platform/recording/operator-records';
import type { Projection } from '#views/projection';
import { shownDecision } from './explain';
import { everythingAt, type SnapshotPlace } from './log-reader';
import { momentAt } from './moments';
import { CommandError, type Operator } from './operator';
import { findKeyRef, type Surroundings, unknownKey } from './question';
import { type ReadRecord, recordsSince } from './record-reader';
import { type CallGroup, CallGroups } from './refusal-groups';

export interface WhatIfOptions {
  /** Key id, key ARN, alias name or alias ARN. */
  key?: string;
  /** Path of a file. */
  policy?: string;
  grant?: string;
  user?: string;
  role?: string;
  policyName?: string;
  accessKey?: string;
  account?: string;
  /** A duration or a moment. */
  since: string;
  json?: boolean;
}

const KEY = ['--key <key>', 'a key id, key ARN, alias name or alias ARN'] as const;
const GRANT = ['--grant <grant id>', 'the grant'] as const;
const POLICY = ['--policy <file>', 'the policy, as JSON'] as const;
const USER = ['--user <name>', 'the user'] as const;
const ROLE = ['--role <name>', 'the role'] as const;
const POLICY_NAME = ['--policy-name <name>', 'of the inline policy'] as const;

/** What can be asked about: the option each takes, and what it means. */
export const CHANGES: readonly {
  name: ProposedChange['type'];
  description: string;
  options: readonly (readonly [string, string])[];
}[] = [
  { name: 'put-key-policy', description: 'another key policy', options: [KEY, POLICY] },
  { name: 'disable-key', description: 'the key disabled', options: [KEY] },
  { name: 'schedule-key-deletion', description: 'the key pending deletion', options: [KEY] },
  { name: 'revoke-grant', description: 'the grant revoked', options: [KEY, GRANT] },
  { name: 'retire-grant', description: 'the grant retired', options: [KEY, GRANT] },
  { name: 'put-user-policy', description: 'an inline policy of a user', options: [USER, POLICY_NAME, POLICY] },
  { name: 'delete-user-policy', description: 'an inline policy of a user gone', options: [USER, POLICY_NAME] },
  { name: 'delete-user', description: 'a user gone, with its policies and access keys', options: [USER] },
  { name: 'put-role-policy', description: 'an inline policy of a role', options: [ROLE, POLICY_NAME, POLICY] },
  { name: 'delete-role-policy', description: 'an inline policy of a role gone', options: [ROLE, POLICY_NAME] },
  { name: 'update-assume-role-policy', description: 'another trust policy of a role', options: [ROLE, POLICY] },
  { name: 'delete-role', description: 'a role gone, with its policies', options: [ROLE] },
  {
    name: 'deactivate-access-key',
    description: 'an access key inactive, and the sessions that it began',
    options: [['--access-key <id>', 'the access key, such as AKIA...']],
  },
];

const MADE: ReadonlySet<string> = new Set([
  'AlreadyExistsException',
  'EntityAlreadyExists',
  'XksKeyAlreadyInUseException',
]);

interface Judged {
  calls: number;
  refused: CallGroups;
  today: CallGroups;
  unknown: CallGroups;
}

/** Decides the recorded calls again, with and without the change. Whether nobody would have been refused because of it. */
export async function whatIf(
  operator: Operator,
  type: ProposedChange['type'],
  options: WhatIfOptions,
  around: Surroundings & SnapshotPlace & { now: string },
  print: (line: string) => void,
): Promise<boolean> {
  const since = await momentAt(operator, '--since', options.since, around.now);
  const change = await changeOf(operator, type, options, around);
  const { projection } = await everythingAt(operator, undefined, around);
  const then = withChange(projection, change, around.now);
  const judged: Judged = { calls: 0, refused: new CallGroups(), today: new CallGroups(), unknown: new CallGroups() };
  for await (const read of recordsSince(operator, since)) {
    const { errorCode, eventType, eventSource } = read.record;
    // What the operator does with the command line no policy decides.
    if (eventSource === OPERATOR_SOURCE) continue;
    if (errorCode === undefined && eventType === 'AwsApiCall') await judge(read, projection, then, around, judged);
  }
  if (options.json) printJson(change, since, judged, print);
  else printText(type, since, judged, print);
  return judged.refused.calls === 0;
}

async function judge(
  { record, whole }: ReadRecord,
  now: Projection,
  then: Projection,
  { accountId }: Surroundings,
  judged: Judged,
): Promise<void> {
  judged.calls++;
  if (!whole) {
    judged.unknown.add(record, 'the key of its sealed part has been erased: its parameters cannot be read any more');
    return;
  }
  try {
    const after = await decideAgain(record as RecordedCall, then, accountId);
    if (!after) return;
    const today = await decideAgain(record as RecordedCall, now, accountId);
    // What was made cannot be made again; who may make it is another question.
    if (!today || (isDenial(after.code) && !isDenial(today.code))) judged.refused.add(record, whyOf(after));
    else if (MADE.has(today.code)) judged.unknown.add(record, `it was made, and cannot be made again: ${today.code}`);
    else judged.today.add(record, whyOf(today));
  } catch (error) {
    if (!(error instanceof NotDecidable)) throw error;
    judged.unknown.add(record, error.message);
  }
}

function whyOf({ code, message, decidedBy }: Refusal): string {
  if (decidedBy) return shownDecision(decidedBy);
  if (code === 'UnrecognizedClientException') return 'the caller, or the access key that it goes by, is not there';
  return `${code}: ${message}`;
}

function withChange(projection: Projection, change: ProposedChange, now: string): Projection {
  try {
    return changed(projection, change, now);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw new CommandError(`${change.type} would itself be refused: ${error.code}: ${error.message}`);
  }
}

async function changeOf(
  operator: Operator,
  type: ProposedChange['type'],
  options: WhatIfOptions,
  around: Surroundings,
): Promise<ProposedChange> {
  const { account = around.accountId, policyName = '', accessKey = '', grant = '' } = options;
  if (!/^\d{12}$/.test(account)) {
    throw new CommandError(`--account ${account}: expected 12 digits; list accounts with: ./keytrail account list`);
  }
  const name = options.user ?? options.role ?? '';
  switch (type) {
    case 'put-key-policy':
      return { type, key: await keyOf(operator, options, around), policy: policyIn(options) };
    case 'disable-key':
    case 'schedule-key-deletion':
      return { type, key: await keyOf(operator, options, around) };
    case 'revoke-grant':
    case 'retire-grant':
      return { type, key: await keyOf(operator, options, around), grantId: grant };
    case 'put-user-policy':
    case 'put-role-policy':
      return { type, account, name, policyName, policy: policyIn(options) };
    case 'delete-user-policy':
    case 'delete-role-policy':
      return { type, account, name, policyName };
    case 'update-assume-role-policy':
      return { type, account, name, policy: policyIn(options) };
    case 'delete-user':
    case 'delete-role':
      return { type, account, name };
    case 'deactivate-access-key':
      return { type, accessKeyId: accessKey };
  }
}

async function keyOf(operator: Operator, { key = '' }: WhatIfOptions, around: Surroundings) {
  const found = await findKeyRef(operator, key, undefined, around);
  if (!found) throw unknownKey(key, undefined);
  return found;
}

function policyIn({ policy = '' }: WhatIfOptions): string {
  try {
    return readFileSync(policy, 'utf8').trim();
  } catch (error) {
    throw new CommandError(`--policy ${policy}: ${(error as Error).message}; give the path of a file with the policy`);
  }
}

function printJson(change: ProposedChange, since: string, judged: Judged, print: (line: string) => void): void {
  const { calls, refused, today, unknown } = judged;
  const lists = { refused: refused.list(), refusedToday: today.list(), notJudged: unknown.list() };
  print(JSON.stringify({ change, since, calls, refusedCalls: refused.calls, ...lists }, null, 2));
}

function printText(
  type: ProposedChange['type'],
  since: string,
  { calls, refused, today, unknown }: Judged,
  print: (line: string) => void,
): void {
  const asked = `after ${type}, of ${counted(calls)} on record since ${since}`;
  print(
    refused.calls === 0
      ? `${asked} none would be refused because of it`
      : `${asked} ${refused.calls} would be refused:`,
  );
  for (const group of refused.list()) printGroup(group, print);
  if (today.calls > 0) print(`refused already as things are: ${today.calls}`);
  for (const group of today.list()) printGroup(group, print);
  if (unknown.calls > 0) print(`cannot be judged: ${unknown.calls}`);
  for (const group of unknown.list()) printGroup(group, print);
}

const SHOWN_CONTEXTS = 5;

function printGroup({ contexts, ...group }: CallGroup, print: (line: string) => void): void {
  const { caller, operation, resources, calls, firstSeen, lastSeen, why, example } = group;
  print(`  ${caller}  ${[operation, ...resources].join('  ')}`);
  const times = firstSeen === lastSeen ? firstSeen : `${firstSeen} to ${lastSeen}`;
  print(`      ${counted(calls)}, ${times}; event ${example}`);
  print(`      why: ${why}`);
  for (const { encryptionContext, calls: times } of contexts.slice(0, SHOWN_CONTEXTS)) {
    print(`      context ${JSON.stringify(encryptionContext)}: ${counted(times)}`);
  }
  const more = contexts.length - SHOWN_CONTEXTS;
  if (more > 0) print(`      and ${more} more contexts (--json)`);
}

const counted = (calls: number): string => `${calls} call${calls === 1 ? '' : 's'}`;
