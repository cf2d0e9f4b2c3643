import { ACCOUNT } from '../memory-operations';
import { type Asking, named, type Place } from './ask';

const ROOT = `arn:aws:iam::${ACCOUNT}:root`;

/** Lets the account do everything, under one of a few names. */
const policyOf = (pick: number): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Id: `policy-${pick % 3}`,
    Statement: { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' },
  });

const read: Asking = (place) => ({ input: named(place) });

const putPolicy: Asking = (place) => {
  const Policy = policyOf(place.pick);
  return {
    input: { ...named(place), Policy },
    done: () => {
      place.key.policy = Policy;
    },
  };
};

const describeIt: Asking = (place) => {
  const Description = `description ${place.pick % 4}`;
  return {
    input: { ...named(place), Description },
    done: () => {
      place.key.description = Description;
    },
  };
};

const tag: Asking = (place) => {
  const { key, pick } = place;
  const [TagKey, TagValue] = [`tag-${pick % 3}`, `value ${pick % 5}`];
  return {
    input: { ...named(place), Tags: [{ TagKey, TagValue }] },
    done: () => key.tags.set(TagKey, TagValue),
  };
};

const untag: Asking = (place) => {
  const TagKey = `tag-${place.pick % 3}`;
  return { input: { ...named(place), TagKeys: [TagKey] }, done: () => place.key.tags.delete(TagKey) };
};

const createGrant: Asking = (place) => {
  const { key, pick } = place;
  // The same grant again, where it has a name.
  const Name = pick % 2 === 0 ? `grant-${pick % 6}` : undefined;
  return {
    input: { ...named(place), GranteePrincipal: ROOT, Operations: ['DescribeKey'], ...(Name && { Name }) },
    done: ({ GrantId }) => key.grants.add(String(GrantId)),
  };
};

const endGrant: Asking = (place) => {
  const { key, pick } = place;
  const [GrantId] = [...key.grants].slice(pick % Math.max(1, key.grants.size));
  return {
    input: { ...named(place), GrantId: GrantId ?? '0' },
    late: GrantId === undefined ? 'NotFoundException' : undefined,
    done: () => key.grants.delete(GrantId!),
  };
};

/** The alias, which region's keys it is about, and which of them it points at. */
function aliasOf({ world, at, pick }: Place) {
  const name = `alias/${pick % 3}`;
  const aliases = world.aliases[at]!;
  return { name, aliases, pointsAt: aliases.get(name) };
}

const createAlias: Asking = (place) => {
  const { name, aliases, pointsAt } = aliasOf(place);
  return {
    input: { AliasName: name, TargetKeyId: named(place).KeyId },
    late: pointsAt && 'AlreadyExistsException',
    done: () => aliases.set(name, 'it'),
  };
};

const updateAlias: Asking = (place) => {
  const { world, at, pick } = place;
  const { name, aliases, pointsAt } = aliasOf(place);
  const isOfOther = pick % 7 < 3;
  const isMoved = pointsAt !== (isOfOther ? 'other' : 'it');
  return {
    input: { AliasName: name, TargetKeyId: isOfOther ? world.others[at] : named(place).KeyId },
    early: pointsAt ? undefined : 'NotFoundException',
    // It stays with keys of a kind: the other one is symmetric.
    late: isMoved && world.kind.keySpec !== 'SYMMETRIC_DEFAULT' ? 'ValidationException' : undefined,
    isOfOther,
    done: () => aliases.set(name, isOfOther ? 'other' : 'it'),
  };
};

const deleteAlias: Asking = (place) => {
  const { name, aliases, pointsAt } = aliasOf(place);
  return {
    input: { AliasName: name },
    early: pointsAt ? undefined : 'NotFoundException',
    isOfOther: true,
    done: () => aliases.delete(name),
  };
};

export const PROPERTY_ASKS: Readonly<Record<string, Asking>> = {
  DescribeKey: read,
  GetKeyPolicy: read,
  GetKeyRotationStatus: read,
  GetKeyLastUsage: read,
  ListAliases: read,
  ListGrants: read,
  ListKeyPolicies: read,
  ListKeyRotations: read,
  ListResourceTags: read,
  PutKeyPolicy: putPolicy,
  UpdateKeyDescription: describeIt,
  TagResource: tag,
  UntagResource: untag,
  CreateGrant: createGrant,
  RetireGrant: endGrant,
  RevokeGrant: endGrant,
  CreateAlias: createAlias,
  UpdateAlias: updateAlias,
  DeleteAlias: deleteAlias,
};
