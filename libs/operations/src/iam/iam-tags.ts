import { KmsError } from '#domain/errors';
import type { Tag } from '#domain/key/events';
import { tooManyTags } from '#domain/principal/refusals';

export interface WireTag {
  Key: string;
  Value: string;
}

const MAX_TAGS = 50;

/** Tags as the domain keeps them. Throws InvalidInput for keys that are the same without case, or reserved. */
export function domainTags(tags: readonly WireTag[] = []): Tag[] {
  if (tags.length > MAX_TAGS) throw tooManyTags();
  const keys = new Set(tags.map(({ Key }) => Key.toLowerCase()));
  if (keys.size < tags.length) {
    throw new KmsError('InvalidInput', 'Duplicate tag keys found. Please note that Tag keys are case insensitive.');
  }
  for (const key of keys) assertNotReserved(key);
  return tags.map(({ Key, Value }) => ({ key: Key, value: Value }));
}

export function assertNotReserved(tagKey: string): void {
  if (tagKey.toLowerCase().startsWith('aws:')) {
    throw new KmsError('InvalidInput', "Tag keys that begin with 'aws:' are reserved for system use.");
  }
}

export const wireTags = (tags: readonly Tag[]): WireTag[] => tags.map(({ key, value }) => ({ Key: key, Value: value }));
