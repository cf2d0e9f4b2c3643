import { createHash } from 'node:crypto';
import { KmsError } from '#domain/errors';
import type { Call } from './operation';

export interface Page<T> {
  items: T[];
  /** Present when there are more. */
  nextMarker?: string;
}

/** Which page of which list a request asks for. */
export interface PageAsked {
  /** The list, in a few characters: markers that another list has given out are refused. */
  list: string;
  limit: number;
  marker: string | undefined;
}

interface PageRequest {
  Limit?: number;
  Marker?: string;
}

/**
 * `sizes`: how many items AWS gives without Limit, and at most: it takes any Limit of the API model, but pages may be shorter.
 * `chosenBy`: all else that chooses what is in the list, such as a key and the filters.
 */
export const pageAsked = (
  { Limit, Marker }: PageRequest,
  call: Pick<Call, 'operation' | 'caller'>,
  sizes: { byDefault: number; atMost: number },
  ...chosenBy: readonly (string | undefined)[]
): PageAsked => ({
  list: listName(call, chosenBy),
  limit: Math.min(Limit ?? sizes.byDefault, sizes.atMost),
  marker: Marker,
});

const LIST_NAME_LENGTH = 12;

/** One text for the list of an operation in an account and Region. */
export const listName = (
  { operation, caller: { region, account } }: Pick<Call, 'operation' | 'caller'>,
  chosenBy: readonly (string | undefined)[],
): string =>
  createHash('sha256')
    .update(JSON.stringify([operation, region, account, ...chosenBy]))
    .digest('base64url')
    .slice(0, LIST_NAME_LENGTH);

/** AWS KMS gives this error no message. */
const invalidMarker = (): KmsError => new KmsError('InvalidMarkerException', '');

const prefixOf = (list: string): string => `v2:${list}:`;

const encodeMarker = (list: string, after: string): string =>
  Buffer.from(prefixOf(list) + after, 'utf8').toString('base64url');

/**
 * The position after which the page asked for begins. A marker is opaque to callers. Throws InvalidMarkerException for anything
 * that no page of this list has given out.
 */
export function positionOf({ list, marker }: PageAsked): string | undefined {
  if (marker === undefined) return undefined;
  const text = Buffer.from(marker, 'base64url').toString('utf8');
  const prefix = prefixOf(list);
  if (!text.startsWith(prefix) || encodeMarker(list, text.slice(prefix.length)) !== marker) throw invalidMarker();
  return text.slice(prefix.length);
}

/**
 * What a page's items have in bytes of JSON at most, unless it is one alone: a reply must fit the message of a NATS server
 * (1 MiB by default). AWS's pages may be shorter than asked for, too.
 */
export const MAX_PAGE_BYTES = 1_000_000;

const sizeOf = (item: unknown): number => Buffer.byteLength(JSON.stringify(item), 'utf8') + 1;

/**
 * Takes as many items as are asked for, as they go into the reply, and no more than a reply can hold; `nameOf` names each so
 * that the next page begins behind it.
 */
export function takePage<T>(items: Iterable<T>, { list, limit }: PageAsked, nameOf: (item: T) => string): Page<T> {
  const taken: T[] = [];
  let bytes = 2;
  for (const item of items) {
    bytes += sizeOf(item);
    const last = taken.at(-1);
    if (last !== undefined && (taken.length === limit || bytes > MAX_PAGE_BYTES)) {
      return { items: taken, nextMarker: encodeMarker(list, nameOf(last)) };
    }
    taken.push(item);
  }
  return { items: taken };
}

/** What is shown of each item, made only for those that are taken. */
export function* entriesOf<T, E>(items: Iterable<T>, entryOf: (item: T) => E): Iterable<E> {
  for (const item of items) yield entryOf(item);
}

/** A page of a list that is at hand whole and in a stable order. */
export function pageOfList<T>(all: readonly T[], asked: PageAsked): Page<T> {
  const after = positionOf(asked);
  const start = after === undefined ? 0 : Number(after);
  if (!Number.isSafeInteger(start) || start < 0) throw invalidMarker();
  let end = start;
  for (let bytes = 2; end < Math.min(start + asked.limit, all.length); end++) {
    bytes += sizeOf(all[end]);
    if (end > start && bytes > MAX_PAGE_BYTES) break;
  }
  const items = all.slice(start, end);
  return end < all.length ? { items, nextMarker: encodeMarker(asked.list, String(end)) } : { items };
}

export const pageFields = (page: Page<unknown>): { Truncated: boolean; NextMarker?: string } =>
  page.nextMarker === undefined ? { Truncated: false } : { Truncated: true, NextMarker: page.nextMarker };
