import type { ListRoleTagsResponse, ListUserTagsResponse } from '@aws-sdk/client-iam';
import { type ControlOperation, control } from '../operation';
import { Optional, Required } from '../wire/fields';
import type { Wire } from '../wire/wire';
import { MARKER, MAX_ITEMS, TAG_KEYS, TAGS } from './fields';
import { listPage, type PageRequest, pageAsked, pageFields } from './iam-pages';
import { assertNotReserved, domainTags, type WireTag, wireTags } from './iam-tags';
import { found, type Naming, type PrincipalKind, ROLE, requestClass, USER } from './principal-kinds';

interface WithTags {
  Tags: WireTag[];
}

interface WithTagKeys {
  TagKeys: string[];
}

const tag = (of: PrincipalKind): ControlOperation =>
  control<Naming<WithTags>, undefined>({
    service: 'iam',
    name: `Tag${of.kind}`,
    request: requestClass<WithTags>(of, { Tags: Required(TAGS) }),
    async run(request, call, ports) {
      const tags = domainTags(request.Tags);
      const { ref } = found(of, request, call, ports.projection, { tags });
      await ports.runCommand(ref, { type: 'TagPrincipal', tags }, call);
      return undefined;
    },
  });

const untag = (of: PrincipalKind): ControlOperation =>
  control<Naming<WithTagKeys>, undefined>({
    service: 'iam',
    name: `Untag${of.kind}`,
    request: requestClass<WithTagKeys>(of, { TagKeys: Required(TAG_KEYS) }),
    async run(request, call, ports) {
      const { TagKeys: tagKeys } = request;
      const { ref } = found(of, request, call, ports.projection, { tagKeys });
      for (const tagKey of tagKeys) assertNotReserved(tagKey);
      await ports.runCommand(ref, { type: 'UntagPrincipal', tagKeys }, call);
      return undefined;
    },
  });

const listTags = (of: PrincipalKind): ControlOperation =>
  control<Naming<PageRequest>, Wire<ListUserTagsResponse & ListRoleTagsResponse>>({
    service: 'iam',
    name: `List${of.kind}Tags`,
    request: requestClass<PageRequest>(of, { Marker: Optional(MARKER), MaxItems: Optional(MAX_ITEMS) }),
    run(request, call, { projection }) {
      const { arn, state } = found(of, request, call, projection);
      const page = listPage(state.tags, pageAsked(request, call, arn));
      return { Tags: wireTags(page.items), ...pageFields(page) };
    },
  });

export const tagUser = tag(USER);
export const untagUser = untag(USER);
export const listUserTags = listTags(USER);
export const tagRole = tag(ROLE);
export const untagRole = untag(ROLE);
export const listRoleTags = listTags(ROLE);
