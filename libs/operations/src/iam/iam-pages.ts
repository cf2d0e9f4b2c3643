import { KmsError } from '#domain/errors';
import { decodeMarker, type Page, pageOfList } from '../pagination';

/** Of the requests that list. */
export interface PageRequest {
  Marker?: string;
  MaxItems?: number;
}

const DEFAULT_ITEMS = 100;

export const pageSize = ({ MaxItems }: PageRequest): number => MaxItems ?? DEFAULT_ITEMS;

/** The position that the marker names. Throws ValidationError for one that no reply of ours has given out. */
export const positionOf = ({ Marker }: PageRequest): string | undefined => inIamWords(() => decodeMarker(Marker));

/** A page of a list that is at hand whole and in a stable order. */
export const listPage = <T>(list: readonly T[], request: PageRequest): Page<T> =>
  inIamWords(() => pageOfList(list, pageSize(request), request.Marker));

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
