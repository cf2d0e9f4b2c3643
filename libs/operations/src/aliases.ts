import type {
  AliasListEntry,
  CreateAliasRequest,
  DeleteAliasRequest,
  ListAliasesRequest,
  ListAliasesResponse,
  UpdateAliasRequest,
} from '@aws-sdk/client-kms';
import { aliasAlreadyExists, aliasNotFound } from '#domain/alias/alias';
import { aliasArn } from '#domain/arn';
import { KmsError, RequestFault } from '#domain/errors';
import { isSameKind } from '#domain/key/key-kinds';
import { assertStateAllows, type KeyOperation } from '#domain/key/state-table';
import type { AggregateRef } from '#domain/subjects';
import { authorizeAccount, authorizeKey } from './authorization';
import { checked } from './checks';
import { existingKey, type FoundKey, findKey, foundAnew, resourceOf } from './key-lookup';
import type { Limit } from './limits';
import { type Call, type ControlPorts, control } from './operation';
import { pageAsked, pageFields, positionOf, takePage } from './pagination';
import { ALIAS_NAME, KEY_ID, LIMIT, MARKER, Optional, Required } from './wire/fields';
import { epochSeconds, type Wire } from './wire/wire';

const PREFIX = 'alias/';
const ALIASES_PER_KEY = 50;
const PAGE_SIZES = { byDefault: 50, atMost: 100 };

/** The alias aggregate that a request names; throws where AWS refuses the name itself. */
function aliasRef(aliasName: string, call: Call): AggregateRef<'alias'> {
  if (!aliasName.startsWith(PREFIX)) {
    throw new RequestFault(
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    );
  }
  if (aliasName.startsWith('alias/aws/')) throw new KmsError('NotAuthorizedException', '');
  if (aliasName.includes(':') || aliasName === PREFIX) {
    throw new RequestFault(`${aliasName} contains invalid characters for an alias`);
  }
  const { region, account } = call.caller;
  return { region, account, aggregate: 'alias', id: aliasName.slice(PREFIX.length) };
}

/** Whether the caller may do this with the alias; whether there is one does not matter. By the caller's own policies. */
function authorizeAlias(ref: AggregateRef<'alias'>, call: Call): void {
  const resource = aliasArn(ref.region, ref.account, PREFIX + ref.id);
  checked(call, (now) => {
    now.trail?.about(resource, ref.account, 'AWS::KMS::Alias');
    authorizeAccount(now, { resource });
  });
}

/** The key that an alias is to point at, if the caller may have it so, in a state that allows it. */
function targetKey(operation: KeyOperation, targetKeyId: string, call: Call, ports: ControlPorts): FoundKey {
  if (resourceOf(targetKeyId, call).resource.startsWith(PREFIX)) {
    throw new RequestFault('Aliases must refer to keys. Not aliases');
  }
  const { projection } = ports;
  const target = findKey(targetKeyId, 'key', call, projection);
  return checked(call, (now) => {
    const found = foundAnew(target, now, projection);
    authorizeKey(now, projection, found);
    assertStateAllows(operation, found.key.keyState, found.arn);
    return found;
  });
}

/** The key that an existing alias points at now: changing or deleting the alias takes it from that key. */
function authorizedCurrentKey(
  ref: AggregateRef<'alias'>,
  call: Call,
  { projection }: ControlPorts,
): FoundKey | undefined {
  return checked(call, (now) => {
    const alias = projection.alias(ref.region, ref.account, ref.id)?.state;
    if (alias?.aliasState !== 'Active') return undefined;
    const current = existingKey(ref.region, ref.account, alias.targetKeyId, now, projection);
    if (current) authorizeKey(now, projection, current);
    return current;
  });
}

/** Code that uses an alias is not to break because the key behind it became one of another kind (UpdateAlias, AWS KMS API). */
function assertSameKind(current: FoundKey, target: FoundKey): void {
  if (isSameKind(current.key, target.key)) return;
  throw new KmsError(
    'ValidationException',
    `The alias can be moved only to a key of the same type and usage as ${current.arn}, which ${target.arn} is not.`,
  );
}

const aliasesOf = ({ ref, arn }: FoundKey, { projection }: ControlPorts): Limit => ({
  of: `aliases of ${arn}`,
  max: ALIASES_PER_KEY,
  count: () => projection.aliasNamesOf(ref).size,
  has: (name) => projection.aliasNamesOf(ref).has(name),
  refusal: () => new KmsError('LimitExceededException', `${arn} can have at most ${ALIASES_PER_KEY} aliases`),
});

/** The key id of an alias whose key is gone already for callers, though the alias is still in the log. */
function goneKeyId(ref: AggregateRef, call: Call, { projection }: ControlPorts): string | undefined {
  const alias = projection.alias(ref.region, ref.account, ref.id)?.state;
  if (alias?.aliasState !== 'Active') return undefined;
  return existingKey(ref.region, ref.account, alias.targetKeyId, call, projection) ? undefined : alias.targetKeyId;
}

class AliasToKey implements CreateAliasRequest, UpdateAliasRequest {
  @Required(ALIAS_NAME) AliasName!: string;
  @Required(KEY_ID) TargetKeyId!: string;
}

export const createAlias = control<AliasToKey, undefined>({
  name: 'CreateAlias',
  request: AliasToKey,
  async run(request, call, ports) {
    const ref = aliasRef(request.AliasName, call);
    authorizeAlias(ref, call);
    const gone = goneKeyId(ref, call, ports);
    const target = targetKey('CreateAlias', request.TargetKeyId, call, ports);
    const exists = ports.projection.alias(ref.region, ref.account, ref.id)?.state.aliasState === 'Active';
    if (exists && !gone) throw aliasAlreadyExists(aliasArn(ref.region, ref.account, request.AliasName));
    await ports.limits.within(aliasesOf(target, ports), ref.id, call, () =>
      ports.runCommand(ref, { type: 'CreateAlias', targetKeyId: target.keyId, goneKeyId: gone }, call),
    );
    return undefined;
  },
});

export const updateAlias = control<AliasToKey, undefined>({
  name: 'UpdateAlias',
  request: AliasToKey,
  async run(request, call, ports) {
    const ref = aliasRef(request.AliasName, call);
    authorizeAlias(ref, call);
    const gone = goneKeyId(ref, call, ports);
    const alias = ports.projection.alias(ref.region, ref.account, ref.id)?.state;
    if (alias?.aliasState !== 'Active' || gone)
      throw aliasNotFound(aliasArn(ref.region, ref.account, request.AliasName));
    const current = authorizedCurrentKey(ref, call, ports);
    const target = targetKey('UpdateAlias', request.TargetKeyId, call, ports);
    if (current) assertSameKind(current, target);
    await ports.limits.within(aliasesOf(target, ports), ref.id, call, () =>
      ports.runCommand(ref, { type: 'UpdateAlias', targetKeyId: target.keyId, goneKeyId: gone }, call),
    );
    return undefined;
  },
});

class DeleteAlias implements DeleteAliasRequest {
  @Required(ALIAS_NAME) AliasName!: string;
}

export const deleteAlias = control<DeleteAlias, undefined>({
  name: 'DeleteAlias',
  request: DeleteAlias,
  async run(request, call, ports) {
    const ref = aliasRef(request.AliasName, call);
    authorizeAlias(ref, call);
    authorizedCurrentKey(ref, call, ports);
    await ports.runCommand(ref, { type: 'DeleteAlias', goneKeyId: goneKeyId(ref, call, ports) }, call);
    return undefined;
  },
});

class ListAliases implements ListAliasesRequest {
  @Optional(KEY_ID) KeyId?: string;
  @Optional(LIMIT) Limit?: number;
  @Optional(MARKER) Marker?: string;
}

export const listAliases = control<ListAliases, Wire<ListAliasesResponse>>({
  name: 'ListAliases',
  request: ListAliases,
  run(request, call, ports) {
    authorizeAccount(call);
    const target = request.KeyId === undefined ? undefined : findKey(request.KeyId, 'key', call, ports.projection);
    const asked = pageAsked(request, call, PAGE_SIZES, target?.arn);
    const after = positionOf(asked);
    const names = target
      ? [...ports.projection.aliasNamesOf(target.ref)].sort().filter((name) => after === undefined || name > after)
      : ports.projection.aliasNamesAfter(call.caller.region, call.caller.account, after);
    const page = takePage(entries(names, call, ports), asked, (entry) => entry.AliasName!.slice(PREFIX.length));
    return { Aliases: page.items, ...pageFields(page) };
  },
});

function* entries(names: Iterable<string>, call: Call, { projection }: ControlPorts): Iterable<Wire<AliasListEntry>> {
  const { region, account } = call.caller;
  for (const name of names) {
    const alias = projection.alias(region, account, name)?.state;
    if (alias?.aliasState !== 'Active' || !existingKey(region, account, alias.targetKeyId, call, projection)) continue;
    yield {
      AliasName: PREFIX + name,
      AliasArn: aliasArn(region, account, PREFIX + name),
      TargetKeyId: alias.targetKeyId,
      CreationDate: epochSeconds(alias.createdAt),
      LastUpdatedDate: epochSeconds(alias.updatedAt),
    };
  }
}
