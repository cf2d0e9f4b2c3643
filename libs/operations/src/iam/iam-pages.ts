import { KmsError } from '#domain/errors';
import type { Call } from '../operation';
import { listName, positionOf as markedPosition, type Page, type PageAsked, pageOfList } from '../pagination';

/** Of the requests that list. */
export interface PageRequest {
  Marker?: string;
  MaxItems?: number;
}

const DEFAULT_ITEMS = 100;

/** `chosenBy`: what chooses the items of the list, besides the account. */
export const pageAsked = (
  { MaxItems, Marker }: PageRequest,
  call: Call,
  ...chosenBy: readonly (string | undefined)[]
): PageAsked => ({ list: listName(call, chosenBy), limit: MaxItems ?? DEFAULT_ITEMS, marker: Marker });

/** The position that the marker names. Throws ValidationError for one that no page of this list has given out. */
export const positionOf = (asked: PageAsked): string | undefined => inIamWords(() => markedPosition(asked));

/** A page of a list that is at hand whole and in a stable order. */
export const listPage = <T>(all: readonly T[], asked: PageAsked): Page<T> => inIamWords(() => pageOfList(all, asked));

export const pageFields = ({ nextMarker }: Page<unknown>): { IsTruncated: boolean; Marker?: string } =>
  nextMarker === undefined ? { IsTruncated: false } : { IsTruncated: true, Marker: nextMarker };

function inIamWords<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof KmsError && error.code === 'InvalidMarkerException') {
      throw new KmsError('ValidationError', 'Invalid Marker.');
    }
    throw error;
  }
}
