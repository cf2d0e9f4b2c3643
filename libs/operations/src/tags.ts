import type {
  ListResourceTagsRequest,
  ListResourceTagsResponse,
  TagResourceRequest,
  UntagResourceRequest,
} from '@aws-sdk/client-kms';
import { KmsError } from '#domain/errors';
import type { Tag } from '#domain/key/events';
import { TAGS_PER_KEY } from '#domain/key/properties';
import { authorizeKey } from './authorization';
import { fixedContext, tagContext } from './condition-context';
import { findKey } from './key-lookup';
import { control } from './operation';
import { pageAsked, pageFields, pageOfList } from './pagination';
import { KEY_ID, LIMIT, MARKER, MAX_TAGS_GIVEN, Optional, Required, TAGS } from './wire/fields';
import type { Wire } from './wire/wire';

interface WireTag {
  TagKey: string;
  TagValue: string;
}

/** Tags as the domain keeps them. Throws TagException for duplicate or reserved keys, or too many. */
export function domainTags(tags: readonly WireTag[]): Tag[] {
  const keys = new Set(tags.map((tag) => tag.TagKey));
  if (keys.size < tags.length) throw new KmsError('TagException', 'Duplicate tag keys');
  if (tags.length > TAGS_PER_KEY) throw new KmsError('TagException', 'Too many tags');
  for (const key of keys) assertNotReserved(key);
  return asTags(tags);
}

/** The same, not yet checked. */
export const asTags = (tags: readonly WireTag[]): Tag[] =>
  tags.map(({ TagKey, TagValue }) => ({ key: TagKey, value: TagValue }));

function assertNotReserved(tagKey: string): void {
  if (tagKey.toLowerCase().startsWith('aws:')) {
    throw new KmsError('TagException', 'Tags beginning with aws: are reserved');
  }
}

class TagResource implements TagResourceRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required(TAGS) Tags!: WireTag[];
}

export const tagResource = control<TagResource, undefined>({
  name: 'TagResource',
  request: TagResource,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found, { context: tagContext(asTags(request.Tags)) });
    await ports.runCommand(found.ref, { type: 'TagResource', tags: domainTags(request.Tags) }, call);
    return undefined;
  },
});

class UntagResource implements UntagResourceRequest {
  @Required(KEY_ID) KeyId!: string;
  @Required({ kind: 'strings', max: MAX_TAGS_GIVEN, each: { kind: 'string', min: 1, max: 128 } }) TagKeys!: string[];
}

export const untagResource = control<UntagResource, undefined>({
  name: 'UntagResource',
  request: UntagResource,
  async run(request, call, ports) {
    const found = findKey(request.KeyId, 'key', call, ports.projection);
    authorizeKey(call, ports.projection, found, { context: fixedContext({ 'aws:tagkeys': request.TagKeys }) });
    for (const tagKey of request.TagKeys) assertNotReserved(tagKey);
    await ports.runCommand(found.ref, { type: 'UntagResource', tagKeys: request.TagKeys }, call);
    return undefined;
  },
});

class ListResourceTags implements ListResourceTagsRequest {
  @Required(KEY_ID) KeyId!: string;
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
}

const PAGE_SIZES = { byDefault: TAGS_PER_KEY, atMost: TAGS_PER_KEY };

export const listResourceTags = control<ListResourceTags, Wire<ListResourceTagsResponse>>({
  name: 'ListResourceTags',
  request: ListResourceTags,
  run(request, call, { projection }) {
    const found = findKey(request.KeyId, 'key', call, projection);
    authorizeKey(call, projection, found);
    const page = pageOfList(found.key.tags, pageAsked(request, call, PAGE_SIZES, found.arn));
    return { Tags: page.items.map((tag) => ({ TagKey: tag.key, TagValue: tag.value })), ...pageFields(page) };
  },
});
