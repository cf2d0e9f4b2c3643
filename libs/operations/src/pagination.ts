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

/** Takes up to `limit` items; `positionOf` names each so that the next page begins behind it. */
export function takePage<T>(items: Iterable<T>, limit: number, positionOf: (item: T) => string): Page<T> {
  const taken: T[] = [];
  for (const item of items) {
    if (taken.length === limit) return { items: taken, nextMarker: encodeMarker(positionOf(taken[limit - 1]!)) };
    taken.push(item);
  }
  return { items: taken };
}

/** A page of a list that is at hand whole and in a stable order. */
export function pageOfList<T>(list: readonly T[], limit: number, marker: string | undefined): Page<T> {
  const after = decodeMarker(marker);
  const start = after === undefined ? 0 : Number(after);
  if (!Number.isSafeInteger(start) || start < 0) throw invalidMarker();
  const items = list.slice(start, start + limit);
  return start + limit < list.length ? { items, nextMarker: encodeMarker(String(start + limit)) } : { items };
}

export const pageFields = (page: Page<unknown>): { Truncated: boolean; NextMarker?: string } =>
  page.nextMarker === undefined ? { Truncated: false } : { Truncated: true, NextMarker: page.nextMarker };
