import type { ListRoleTagsResponse, ListUserTagsResponse } from '@aws-sdk/client-iam';
import type { NamedPrincipal } from '#domain/principal/state';
import { type Call, type ControlPorts, control } from '../operation';
import { Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { type FoundPrincipal, roleFor, userFor } from './access';
import { MARKER, MAX_ITEMS, ROLE_NAME, TAG_KEYS, TAGS, USER_NAME } from './fields';
import { listPage, type PageRequest, pageFields } from './iam-pages';
import { assertNotReserved, domainTags, type WireTag, wireTags } from './iam-tags';

type Found = FoundPrincipal<NamedPrincipal>;

async function untag({ ref }: Found, tagKeys: string[], call: Call, ports: ControlPorts): Promise<undefined> {
  for (const tagKey of tagKeys) assertNotReserved(tagKey);
  await ports.runCommand(ref, { type: 'UntagPrincipal', tagKeys }, call);
  return undefined;
}

function tagsOf({ state }: Found, request: PageRequest) {
  const page = listPage(state.tags, request);
  return { Tags: wireTags(page.items), ...pageFields(page) };
}

class UserTags {
  @Required(USER_NAME) UserName!: string;
  @Required(TAGS) Tags!: WireTag[];
}

class UserTagKeys {
  @Required(USER_NAME) UserName!: string;
  @Required(TAG_KEYS) TagKeys!: string[];
}

class UserTagsPage implements PageRequest {
  @Required(USER_NAME) UserName!: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

class RoleTags {
  @Required(ROLE_NAME) RoleName!: string;
  @Required(TAGS) Tags!: WireTag[];
}

class RoleTagKeys {
  @Required(ROLE_NAME) RoleName!: string;
  @Required(TAG_KEYS) TagKeys!: string[];
}

class RoleTagsPage implements PageRequest {
  @Required(ROLE_NAME) RoleName!: string;
  @Optional(MARKER) Marker?: string;
  @Optional(MAX_ITEMS) MaxItems?: number;
}

export const tagUser = control<UserTags, undefined>({
  service: 'iam',
  name: 'TagUser',
  request: UserTags,
  async run({ UserName, Tags }, call, ports) {
    const tags = domainTags(Tags);
    const { ref } = userFor(UserName, call, ports.projection, { tags });
    await ports.runCommand(ref, { type: 'TagPrincipal', tags }, call);
    return undefined;
  },
});

export const untagUser = control<UserTagKeys, undefined>({
  service: 'iam',
  name: 'UntagUser',
  request: UserTagKeys,
  run: ({ UserName, TagKeys }, call, ports) =>
    untag(userFor(UserName, call, ports.projection, { tagKeys: TagKeys }), TagKeys, call, ports),
});

export const listUserTags = control<UserTagsPage, Wire<ListUserTagsResponse>>({
  service: 'iam',
  name: 'ListUserTags',
  request: UserTagsPage,
  run: (request, call, { projection }) => tagsOf(userFor(request.UserName, call, projection), request),
});

export const tagRole = control<RoleTags, undefined>({
  service: 'iam',
  name: 'TagRole',
  request: RoleTags,
  async run({ RoleName, Tags }, call, ports) {
    const tags = domainTags(Tags);
    const { ref } = roleFor(RoleName, call, ports.projection, { tags });
    await ports.runCommand(ref, { type: 'TagPrincipal', tags }, call);
    return undefined;
  },
});

export const untagRole = control<RoleTagKeys, undefined>({
  service: 'iam',
  name: 'UntagRole',
  request: RoleTagKeys,
  run: ({ RoleName, TagKeys }, call, ports) =>
    untag(roleFor(RoleName, call, ports.projection, { tagKeys: TagKeys }), TagKeys, call, ports),
});

export const listRoleTags = control<RoleTagsPage, Wire<ListRoleTagsResponse>>({
  service: 'iam',
  name: 'ListRoleTags',
  request: RoleTagsPage,
  run: (request, call, { projection }) => tagsOf(roleFor(request.RoleName, call, projection), request),
});
