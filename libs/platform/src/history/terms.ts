import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { HistoryQuery } from '#operations/audit/event-history';

/** Whose events of which region. */
export interface Scope {
  account: string;
  region: string;
}

/** What has so few values that it has few combinations: a record has one term for all of it, instead of one for each. */
export interface KindOf {
  eventName: string;
  eventSource: string;
  readOnly: boolean;
  /** Of its resources, each once. */
  types: readonly string[];
}

/** A term, and every term that stands for the events of this and other kinds. */
export interface Kind {
  term: string;
  isOf: readonly string[];
}

/** What a lookup asks for: what is under one of these terms, or under the kinds of one. */
export type SoughtTerms = { terms: string[] } | { kindsOf: string };

const REMEMBERED = 20_000;
const REMEMBERED_KINDS = 2_000;
const TERM_HEX = 32;
const remembered = new LRUCache<string, string>({ max: REMEMBERED });
const rememberedKinds = new LRUCache<string, Kind>({ max: REMEMBERED_KINDS });

/**
 * What records of a scope are found under: 128 bits of SHA-256 in hex, as good as the text, narrow, and the same for every
 * process without asking anybody.
 */
function term({ account, region }: Scope, ...said: readonly [what: string, ...values: string[]]): string {
  const text = JSON.stringify([account, region, ...said]);
  let hash = remembered.get(text);
  if (hash === undefined) {
    hash = createHash('sha256').update(text).digest('hex').slice(0, TERM_HEX);
    remembered.set(text, hash);
  }
  return hash;
}

export const userTerm = (scope: Scope, name: string): string => term(scope, 'Username', name);
export const accessKeyTerm = (scope: Scope, id: string): string => term(scope, 'AccessKeyId', id);

/** Of a key or alias of the scope itself, one term is for its ARN and its short name both. */
export function resourceTerms(scope: Scope, arn: string): string[] {
  const own = ownPart(scope, arn);
  if (own !== undefined) return [term(scope, 'own', own)];
  // `...:key/<id>` is found by its id too, `...:alias/<name>` by the alias's whole name.
  const rest = arn.split(':').slice(5).join(':');
  const short = rest.startsWith(KEY) ? rest.slice(KEY.length) : rest;
  return [term(scope, 'ARN', arn), ...(short === '' ? [] : [term(scope, 'short', short)])];
}

const KEY = 'key/';

function ownPart({ account, region }: Scope, arn: string): string | undefined {
  const start = `arn:aws:kms:${region}:${account}:`;
  return arn.startsWith(start) && arn.length > start.length ? arn.slice(start.length) : undefined;
}

export function kindOf({ account, region }: Scope, { eventName, eventSource, readOnly, types }: KindOf): Kind {
  const name = JSON.stringify([account, region, eventName, eventSource, readOnly, types]);
  let kind = rememberedKinds.get(name);
  if (!kind) {
    kind = newKind({ account, region }, { eventName, eventSource, readOnly, types });
    rememberedKinds.set(name, kind);
  }
  return kind;
}

function newKind(scope: Scope, { eventName, eventSource, readOnly, types }: KindOf): Kind {
  return {
    term: term(scope, 'kind', eventName, eventSource, String(readOnly), ...[...types].sort()),
    isOf: [
      term(scope, 'everything'),
      term(scope, 'EventName', eventName),
      term(scope, 'EventSource', eventSource),
      term(scope, 'ReadOnly', String(readOnly)),
      ...types.map((type) => term(scope, 'ResourceType', type)),
    ],
  };
}

/** Of all attributes but EventId. */
export function soughtTerms(scope: Scope, attribute: HistoryQuery['attribute']): SoughtTerms {
  if (!attribute) return { kindsOf: term(scope, 'everything') };
  const { key, value } = attribute;
  if (key === 'Username') return { terms: [userTerm(scope, value)] };
  if (key === 'AccessKeyId') return { terms: [accessKeyTerm(scope, value)] };
  if (key !== 'ResourceName') return { kindsOf: term(scope, key, value) };
  const own = ownPart(scope, value);
  if (own !== undefined) return { terms: [term(scope, 'own', own)] };
  const ofAnother = [term(scope, 'ARN', value), term(scope, 'short', value)];
  return { terms: [term(scope, 'own', value), term(scope, 'own', KEY + value), ...ofAnother] };
}
