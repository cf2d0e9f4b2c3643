import type { Tag } from '../key/events';

/** IAM's tag keys are the same without case, and shown in the case they were last given in. Those of KMS differ by case. */
export const sameTagKey = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

export const withTags = (tags: readonly Tag[], added: readonly Tag[]): Tag[] => [
  ...tags.map((tag) => added.find((newer) => sameTagKey(newer.key, tag.key)) ?? tag),
  ...added.filter((newer) => !tags.some((tag) => sameTagKey(tag.key, newer.key))),
];

export const withoutTags = (tags: readonly Tag[], tagKeys: readonly string[]): Tag[] =>
  tags.filter((tag) => !tagKeys.some((tagKey) => sameTagKey(tagKey, tag.key)));
