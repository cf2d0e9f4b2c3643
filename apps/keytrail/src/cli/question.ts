import type { AggregateType } from '#domain/aggregates';
import { parseKmsArn } from '#domain/arn';
import type { Commit } from '#domain/commit';
import { accountRef } from '#domain/principal/principal-id';
import { type AggregateRef, eventSubject } from '#domain/subjects';
import type { StoredCommit } from '#event-store/event-store';
import type { Settings } from '#platform/settings';
import type { FoldedOf } from '#views/folded';
import type { MomentFold } from '#views/moment';
import { everythingAt, historyAt, partAt, type SnapshotPlace } from './log-reader';
import { CommandError, type Operator } from './operator';

/** Account and region of identifiers that name none. */
export type Surroundings = Pick<Settings, 'accountId' | 'region'>;

/** What a question is about: one key with its aliases and grants, one account, or everything. */
export interface Question {
  key?: AggregateRef<'key'>;
  account?: string;
}

export type OnCommit = (commit: Commit, stored: StoredCommit) => void;

const ACCOUNT = /^\d{12}$/;
const TOKEN = /^[A-Za-z0-9/_-]+$/;

/** The options of a command as a question. Throws CommandError where they name nothing that the log has. */
export async function questionOf(
  operator: Operator,
  options: { key?: string; account?: string },
  at: string | undefined,
  around: Surroundings,
): Promise<Question> {
  const { key, account } = options;
  if (key !== undefined && account !== undefined) throw new CommandError('--key and --account: give one of them');
  if (account !== undefined && !ACCOUNT.test(account))
    throw new CommandError(`--account ${account}: expected 12 digits; list accounts with: ./keytrail account list`);
  if (key === undefined) return account === undefined ? {} : { account };
  const found = await findKeyRef(operator, key, at, around);
  if (!found) throw unknownKey(key, at);
  return { key: found };
}

export const unknownKey = (key: string, at: string | undefined): CommandError =>
  new CommandError(
    `the log has no key ${key}${at === undefined ? '' : ` at ${at}`}; list keys with: ./keytrail replay${at === undefined ? '' : ` --at ${at}`}`,
  );

/** The key that is named by id, key ARN, alias name or alias ARN; an alias counts for what it pointed at then. */
export async function findKeyRef(
  operator: Operator,
  text: string,
  at: string | undefined,
  { accountId, region }: Surroundings,
): Promise<AggregateRef<'key'> | undefined> {
  const arn = text.startsWith('arn:') ? parseKmsArn(text) : { region, account: accountId, resource: text };
  if (!arn || !TOKEN.test(arn.resource)) return undefined;
  let id = arn.resource.replace(/^key\//, '');
  // A bare key id may be of any region and account that the log has.
  let ref: AggregateRef<'key'> = { region: '*', account: '*', aggregate: 'key', id };
  if (text.startsWith('arn:')) ref = { region: arn.region, account: arn.account, aggregate: 'key', id };
  if (arn.resource.startsWith('alias/')) {
    const alias = { ...ref, ...arn, aggregate: 'alias' as const, id: arn.resource.slice('alias/'.length) };
    const { projection } = await partAt(operator, [eventSubject(alias)], at);
    const state = projection.alias(arn.region, arn.account, alias.id)?.state;
    if (state?.aliasState !== 'Active') return undefined;
    id = state.targetKeyId;
    ref = { region: arn.region, account: arn.account, aggregate: 'key', id };
  }
  const { projection } = await partAt(operator, [eventSubject(ref)], at);
  return [...projection.allKeys()][0]?.ref;
}

/** Whether the question is about it: of a key also its grants, those that ended too, and the aliases that point at it. */
export function isAbout({ key, account }: Question, { ref, state }: FoldedOf<AggregateType>): boolean {
  if (!key) return account === undefined || ref.account === account;
  if (ref.region !== key.region || ref.account !== key.account) return false;
  if (ref.aggregate === 'key') return ref.id === key.id;
  if ('aliasState' in state) return state.aliasState === 'Active' && state.targetKeyId === key.id;
  return 'grantState' in state && state.grantState !== 'None' && state.keyId === key.id;
}

/**
 * Where all that concerns a key is: its own history, and those of the aliases, grants and custom key stores of its account and
 * region.
 */
export const subjectsOfKey = (key: AggregateRef<'key'>): string[] => [
  eventSubject(key),
  eventSubject({ ...key, aggregate: 'alias', id: '*' }),
  eventSubject({ ...key, aggregate: 'grant', id: '*' }),
  eventSubject({ ...key, aggregate: 'customKeyStore', id: '*' }),
];

export const principalsOf = (account: string): string => eventSubject({ ...accountRef(account), id: '*' });

const subjectsOfAccount = (account: string): string[] =>
  (['key', 'alias', 'grant', 'principal', 'trail', 'cluster', 'customKeyStore'] satisfies AggregateType[]).map(
    (aggregate) => eventSubject({ region: '*', account, aggregate, id: '*' }),
  );

/** The answer's part of the log at a moment, read commit by commit. */
export function historyOf(
  operator: Operator,
  { key, account }: Question,
  at: string | undefined,
  onCommit: OnCommit,
): Promise<MomentFold> {
  if (key) return partAt(operator, subjectsOfKey(key), at, onCommit);
  if (account !== undefined) return partAt(operator, subjectsOfAccount(account), at, onCommit);
  return historyAt(operator, at, onCommit);
}

/** The same without its history: of more than one key it may begin with a snapshot. */
export const stateOf = (
  operator: Operator,
  { key }: Question,
  at: string | undefined,
  place: SnapshotPlace,
): Promise<MomentFold> => (key ? partAt(operator, subjectsOfKey(key), at) : everythingAt(operator, at, place));
