import { KmsError } from '../errors';
import { recordedIds, sameIds } from '../named-ids';
import type { Tag } from './events';
import { type KeyDeciders, type KeyEvolvers, livingBefore } from './families';
import { usableKey } from './living';
import { isReplica, movedRotation, settled } from './state';

export const TAGS_PER_KEY = 50;

/** What a key's owner sets: whether it is enabled, its description, tags and policy. */
export const propertyDeciders: KeyDeciders<
  'EnableKey' | 'DisableKey' | 'UpdateKeyDescription' | 'TagResource' | 'UntagResource' | 'PutKeyPolicy'
> = {
  EnableKey: (_command, key, context) => {
    const living = usableKey('EnableKey', key, context);
    if (living.keyState === 'Enabled') return [];
    const overdue =
      !isReplica(living) && living.rotation !== undefined && living.rotation.nextRotationDate <= context.now;
    return [{ type: 'KeyEnabled', v: 1, ...(overdue ? { nextRotationDate: context.now } : {}) }];
  },

  DisableKey: (_command, key, context) =>
    usableKey('DisableKey', key, context).keyState === 'Disabled' ? [] : [{ type: 'KeyDisabled', v: 1 }],

  UpdateKeyDescription: ({ description }, key, context) =>
    usableKey('UpdateKeyDescription', key, context).description === description
      ? []
      : [{ type: 'KeyDescriptionUpdated', v: 1, description }],

  TagResource: ({ tags }, key, context) => {
    const living = usableKey('TagResource', key, context);
    const changed = tags.filter((tag) => !living.tags.some((old) => old.key === tag.key && old.value === tag.value));
    const added = changed.filter((tag) => !living.tags.some((old) => old.key === tag.key));
    assertTagCount([...living.tags, ...added], context.keyArn);
    return changed.length === 0 ? [] : [{ type: 'KeyTagged', v: 1, tags: changed }];
  },

  UntagResource: ({ tagKeys }, key, context) => {
    const living = usableKey('UntagResource', key, context);
    const asked = new Set(tagKeys);
    const present = living.tags.flatMap((tag) => (asked.has(tag.key) ? [tag.key] : []));
    return present.length === 0 ? [] : [{ type: 'KeyUntagged', v: 1, tagKeys: present }];
  },

  PutKeyPolicy: ({ policy, namedIds }, key, context) => {
    const living = usableKey('PutKeyPolicy', key, context);
    // The same text means others once a principal that it names has been deleted and created anew.
    if (living.policy === policy && sameIds(living.namedIds, namedIds)) return [];
    return [{ type: 'KeyPolicyPut', v: 1, policy, ...recordedIds(namedIds) }];
  },
};

export const propertyEvolvers: KeyEvolvers<
  'KeyEnabled' | 'KeyDisabled' | 'KeyDescriptionUpdated' | 'KeyTagged' | 'KeyUntagged' | 'KeyPolicyPut'
> = {
  KeyEnabled: (key, event) => {
    const enabled = settled(livingBefore(key, event), 'Enabled');
    return { ...enabled, ...movedRotation(enabled, event.nextRotationDate) };
  },
  KeyDisabled: (key, event) => settled(livingBefore(key, event), 'Disabled'),
  KeyDescriptionUpdated: (key, event) => ({ ...livingBefore(key, event), description: event.description }),
  KeyTagged: (key, event) => {
    const current = livingBefore(key, event);
    return { ...current, tags: withTags(current.tags, event.tags) };
  },
  KeyUntagged: (key, event) => {
    const current = livingBefore(key, event);
    return { ...current, tags: current.tags.filter((tag) => !event.tagKeys.includes(tag.key)) };
  },
  KeyPolicyPut: (key, event) => {
    const { namedIds: _namedIds, ...rest } = livingBefore(key, event);
    return { ...rest, policy: event.policy, ...recordedIds(event.namedIds) };
  },
};

const withTags = (tags: readonly Tag[], added: readonly Tag[]): Tag[] => [
  ...tags.map((tag) => added.find((newer) => newer.key === tag.key) ?? tag),
  ...added.filter((newer) => !tags.some((tag) => tag.key === newer.key)),
];

/** Throws LimitExceededException. */
export function assertTagCount(tags: readonly Tag[], keyArn: string): void {
  if (tags.length > TAGS_PER_KEY) {
    throw new KmsError('LimitExceededException', `${keyArn} can have at most ${TAGS_PER_KEY} tags`);
  }
}
