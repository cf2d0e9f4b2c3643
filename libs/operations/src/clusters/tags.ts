import { tagsOf } from '#domain/cluster/decide';
import { KmsError } from '#domain/errors';
import type { Tag } from '#domain/key/events';
import { control } from '../operation';
import { listName, pageOfList } from '../pagination';
import { Optional, Required } from '../wire/fields';
import { authorizeOn, clusterRef, findBackup, ownerOf } from './cluster-lookup';
import { NEXT_TOKEN, RESOURCE_ID, TAG_KEY_LIST, TAG_LIST, type WireTag } from './fields';
import { wireTags } from './shown';

/** Throws CloudHsmTagException for keys that are given twice, or are AWS's own. */
export function domainTags(tags: readonly WireTag[] = []): Tag[] {
  const keys = new Set(tags.map(({ Key }) => Key));
  if (keys.size < tags.length) throw new KmsError('CloudHsmTagException', 'TagList: a key is given twice.');
  for (const key of keys) assertNotReserved(key);
  return tags.map(({ Key, Value }) => ({ key: Key, value: Value }));
}

function assertNotReserved(key: string): void {
  if (!key.toLowerCase().startsWith('aws:')) return;
  throw new KmsError('CloudHsmTagException', 'Tag keys that begin with aws: are reserved.');
}

class TagResource {
  @Required(RESOURCE_ID) ResourceId!: string;
  @Required(TAG_LIST) TagList!: WireTag[];
}

export const tagClusterResource = control<TagResource, object>({
  service: 'cloudhsm',
  name: 'TagClusterResource',
  awsName: 'TagResource',
  request: TagResource,
  async run({ ResourceId, TagList }, call, ports) {
    authorizeOn(call, 'TagResource', ResourceId);
    const ref = ownerOf(ResourceId, call, ports.projection);
    await ports.runCommand(ref, { type: 'TagResource', resourceId: ResourceId, tags: domainTags(TagList) }, call);
    return {};
  },
});

class UntagResource {
  @Required(RESOURCE_ID) ResourceId!: string;
  @Required(TAG_KEY_LIST) TagKeyList!: string[];
}

export const untagClusterResource = control<UntagResource, object>({
  service: 'cloudhsm',
  name: 'UntagClusterResource',
  awsName: 'UntagResource',
  request: UntagResource,
  async run({ ResourceId, TagKeyList }, call, ports) {
    authorizeOn(call, 'UntagResource', ResourceId);
    const ref = ownerOf(ResourceId, call, ports.projection);
    for (const key of TagKeyList) assertNotReserved(key);
    await ports.runCommand(ref, { type: 'UntagResource', resourceId: ResourceId, tagKeys: TagKeyList }, call);
    return {};
  },
});

const TAGS_PER_PAGE = 100;

class ListTags {
  @Required(RESOURCE_ID) ResourceId!: string;
  @Optional(NEXT_TOKEN) NextToken?: string;
  @Optional({ kind: 'integer', min: 1, max: TAGS_PER_PAGE }) MaxResults?: number;
}

export const listTags = control<ListTags, object>({
  service: 'cloudhsm',
  name: 'ListTags',
  request: ListTags,
  run({ ResourceId, NextToken, MaxResults = TAGS_PER_PAGE }, call, { projection }) {
    authorizeOn(call, 'ListTags', ResourceId);
    const { state } = ResourceId.startsWith('cluster-')
      ? { state: projection.folded(clusterRef(ResourceId, call))?.state ?? ({ clusterState: 'None' } as const) }
      : findBackup(ResourceId, call, projection);
    const tags = tagsOf(state, ResourceId, ownerOf(ResourceId, call, projection).id);
    const page = pageOfList(tags, { list: listName(call, [ResourceId]), limit: MaxResults, marker: NextToken });
    return { TagList: wireTags(page.items), ...(page.nextMarker === undefined ? {} : { NextToken: page.nextMarker }) };
  },
});
