import { KmsError } from '#domain/errors';

export interface Page<T> {
  items: T[];
  /** Present when there are more. */
  nextMarker?: string;
}

/** A marker says after which item to go on; opaque to callers. */
const MARKER_PREFIX = 'v1:';

/** AWS KMS gives this error no message. */
const invalidMarker = (): KmsError => new KmsError('InvalidMarkerException', '');

const encodeMarker = (after: string): string => Buffer.from(MARKER_PREFIX + after, 'utf8').toString('base64url');

/** The position that a marker names. Throws InvalidMarkerException for anything that no reply of ours has given out. */
export function decodeMarker(marker: string | undefined): string | undefined {
  if (marker === undefined) return undefined;
  const text = Buffer.from(marker, 'base64url').toString('utf8');
  if (!text.startsWith(MARKER_PREFIX) || encodeMarker(text.slice(MARKER_PREFIX.length)) !== marker) {
    throw invalidMarker();
  }
  return text.slice(MARKER_PREFIX.length);
}

/**
 * What a page's items have in bytes of JSON at most, unless it is one alone: a reply must fit the message of a NATS server
 * (1 MiB by default). AWS's pages may be shorter than asked for, too.
 */
export const MAX_PAGE_BYTES = 1_000_000;

const sizeOf = (item: unknown): number => Buffer.byteLength(JSON.stringify(item), 'utf8') + 1;

/**
 * Takes up to `limit` items, as they go into the reply, and no more than a reply can hold; `positionOf` names each so that
 * the next page begins behind it.
 */
export function takePage<T>(items: Iterable<T>, limit: number, positionOf: (item: T) => string): Page<T> {
  const taken: T[] = [];
  let bytes = 2;
  for (const item of items) {
    bytes += sizeOf(item);
    const last = taken.at(-1);
    if (last !== undefined && (taken.length === limit || bytes > MAX_PAGE_BYTES)) {
      return { items: taken, nextMarker: encodeMarker(positionOf(last)) };
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
export function pageOfList<T>(list: readonly T[], limit: number, marker: string | undefined): Page<T> {
  const after = decodeMarker(marker);
  const start = after === undefined ? 0 : Number(after);
  if (!Number.isSafeInteger(start) || start < 0) throw invalidMarker();
  let end = start;
  for (let bytes = 2; end < Math.min(start + limit, list.length); end++) {
    bytes += sizeOf(list[end]);
    if (end > start && bytes > MAX_PAGE_BYTES) break;
  }
  const items = list.slice(start, end);
  return end < list.length ? { items, nextMarker: encodeMarker(String(end)) } : { items };
}

export const pageFields = (page: Page<unknown>): { Truncated: boolean; NextMarker?: string } =>
  page.nextMarker === undefined ? { Truncated: false } : { Truncated: true, NextMarker: page.nextMarker };
